"""Buckets whose readers pay: every request says that they do."""

from __future__ import annotations

import re
import socket
from datetime import timedelta

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
