"""google-cloud-storage, the vendor's client: threads around it; with nobody to be, so it signs nothing."""

from __future__ import annotations

from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from bench.data import BUCKET
from bench.peers import Target, Work
from bench.peers.spread import in_threads

THREADS = 8


def bucket(target: Target) -> Any:
    client = storage.Client(
        project="bench", credentials=AnonymousCredentials(), client_options={"api_endpoint": target.url}
    )
    return client.bucket(BUCKET)


def many(target: Target) -> Work:
    objects = bucket(target)
    return in_threads(lambda key: objects.blob(key).download_as_bytes(), THREADS)


def ranges(target: Target) -> Work:
    blob, each = bucket(target).blob(target.row.key), target.row.each
    fetch = in_threads(lambda start: blob.download_as_bytes(start=start, end=start + each - 1, checksum=None), THREADS)
    return lambda calls: [fetch(starts) for starts in calls]


def whole(target: Target) -> Work:
    objects = bucket(target)
    return lambda key: objects.blob(key).download_as_bytes()


WORKS: dict[tuple[str, str], Any] = {
    ("many", "8 threads"): many,
    ("ranges", "8 threads"): ranges,
    ("whole", "download_as_bytes"): whole,
}
