"""Buckets whose readers pay: every request says that they do."""

from __future__ import annotations

import re
import socket
from datetime import timedelta
from typing import Any

from objstore.store import S3Store
from tests.engine.raw import Raw, answering


def test_every_request_says_that_who_asks_pays() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/ObjectsinRequesterPaysBuckets.html"""
    begun = "<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>"
    documents = {
        b"uploads=": begun,
        b"delete=": "<DeleteResult/>",
        b"list-type=": "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
        b"part-number-marker=": "<ListPartsResult/>",
        b"tagging=": "<Tagging><TagSet/></Tagging>",
    }

    def answer(connection: socket.socket) -> None:
        head = raw.heads[-1]
        length = re.search(rb"(?i)content-length: (\d+)", head)
        connection.recv(int(length[1]) if length else 0, socket.MSG_WAITALL)
        line = head.split(b"\r\n")[0]
        body = next((text for name, text in documents.items() if name in line), "")
        if b"x-amz-copy-source:" in head.lower():
            body = "<CopyPartResult><ETag>e</ETag></CopyPartResult>" if b"partNumber" in line else "<CopyObjectResult/>"
        elif line.startswith(b"POST") and not body:
            body = "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"
        told = f'HTTP/1.1 200 OK\r\nETag: "e"\r\nx-amz-tagging-count: 1\r\nContent-Length: {len(body)}\r\n\r\n'
        connection.sendall(told.encode() + (b"" if line.startswith(b"HEAD") else body.encode()))

    raw: Raw
    with answering(answer) as raw:
        store = S3Store(
            "bucket",
            endpoint=raw.origin,
            region="here",
            access_key_id="key",
            secret_access_key="secret",
            request_payer=True,
            copy_if_not_exists="multipart",
            client_options={"allow_http": True},
        )
        store.put("a", b"1")
        store.put_many({"a": b"1", "b": b"2"})
        store.get("a")
        store.get_many(["a", "b"])
        store.head_many(["a", "b"])
        store.delete("a")
        store.delete(["a", "b"])
        store.list().collect()
        store.list(max_concurrency=2).collect()
        store.list_with_delimiter()
        list(store.walk())
        store.copy("a", "b")
        store.copy("a", "b", overwrite=False)
        store.rename("a", "b")
        upload = store.begin_upload("a")
        upload.put_part(1, b"1")
        upload.parts()
        upload.abort()
        store.put("a", bytes(6 << 20), chunk_size=5 << 20)
        asked = {
            (head.split(b" ")[0].decode(), *re.findall(rb"[?&]([a-zA-Z-]+)=", head.split(b"\r\n")[0])[:1])
            for head in raw.heads
        }
        silent = [head for head in raw.heads if b"x-amz-request-payer: requester" not in head]
    assert not silent
    assert len(asked) >= 11
    assert "x-amz-request-payer=requester" in store.sign("GET", "a", timedelta(seconds=60))


def test_a_copy_says_it_for_either_bucket() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html#API_CopyObject_RequestSyntax."""

    def answer(connection: socket.socket) -> None:
        line = raw.heads[-1].split(b"\r\n")[0]
        begun = "<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>"
        body = begun if b"uploads=" in line else "<CopyPartResult><ETag>e</ETag></CopyPartResult>"
        if line.startswith(b"POST") and b"uploadId=" in line:
            connection.recv(int(re.findall(rb"(?i)content-length: (\d+)", raw.heads[-1])[0]), socket.MSG_WAITALL)
            body = "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"
        if line.startswith(b"PUT") and b"partNumber" not in line:
            body = "<CopyObjectResult/>"
        told = f'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: {len(body)}\r\n\r\n'
        connection.sendall(told.encode() + (b"" if line.startswith(b"HEAD") else body.encode()))

    raw: Raw
    with answering(answer) as raw:
        usual = {"endpoint": raw.origin, "region": "here", "access_key_id": "key", "secret_access_key": "secret"}
        more: dict[str, Any] = {"copy_if_not_exists": "multipart", "client_options": {"allow_http": True}}
        paid, free = (S3Store(name, request_payer=name == "paid", **usual, **more) for name in ("paid", "free"))
        for source, target in ((paid, free), (free, paid)):
            source.copy("a", "b", to_store=target)
            source.copy("a", "b", to_store=target, overwrite=False)
    copies = [head for head in raw.heads if b"x-amz-copy-source: " in head]
    assert len(copies) == 4
    assert all(b"x-amz-request-payer: requester" in head for head in copies)
