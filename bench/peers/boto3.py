"""boto3, signed: one client, threads around it, its transfer manager for what is large."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.config import Config

from bench.data import ACCESS_KEY_ID, BUCKET, REGION, SECRET_ACCESS_KEY
from bench.peers import Target, Work
from bench.peers.spread import in_threads

THREADS = 16


def client(target: Target) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=target.url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        verify=str(target.certificate),
        config=Config(
            s3={"addressing_style": "path"},
            max_pool_connections=THREADS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def many(target: Target) -> Work:
    s3 = client(target)
    return in_threads(lambda key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read(), THREADS)


def whole(target: Target) -> Work:
    s3 = client(target)
    return lambda key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def whole_managed(target: Target) -> Work:
    s3 = client(target)

    def work(key: str) -> memoryview:
        out = io.BytesIO()
        s3.download_fileobj(BUCKET, key, out)
        return out.getbuffer()

    return work


def serial(target: Target) -> Work:
    s3, part = client(target), f"bytes=0-{target.row.each - 1}"
    return lambda keys: [s3.get_object(Bucket=BUCKET, Key=key, Range=part)["Body"].read() for key in keys]


def put(target: Target) -> Work:
    s3 = client(target)

    def work(source: bytes | Path) -> None:
        if isinstance(source, Path):
            s3.upload_file(str(source), BUCKET, "upload")
        else:
            s3.upload_fileobj(io.BytesIO(source), BUCKET, "upload")

    return work


def listing(target: Target) -> Work:
    pages = client(target).get_paginator("list_objects_v2")

    def work(prefix: str) -> tuple[int, str, str]:
        entries = [entry for page in pages.paginate(Bucket=BUCKET, Prefix=prefix) for entry in page["Contents"]]
        return len(entries), entries[0]["Key"], entries[-1]["Key"]

    return work


def folder(target: Target) -> Work:
    s3 = client(target)

    def work(job: tuple[Sequence[tuple[str, int]], Path]) -> None:
        keys, into = job
        with create_transfer_manager(s3, TransferConfig()) as transfers:
            for key, _ in keys:
                (into / key).parent.mkdir(parents=True, exist_ok=True)
                transfers.download(BUCKET, key, str(into / key))

    return work


WORKS = {
    ("many", "16 threads"): many,
    ("whole", "get_object"): whole,
    ("whole", "download_fileobj"): whole_managed,
    ("serial", "get_object"): serial,
    ("put", "upload_fileobj"): put,
    ("list", "paginator"): listing,
    ("folder", "transfer manager"): folder,
}
