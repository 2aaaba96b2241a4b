"""A service that lists what is not below the prefix that was asked for: nothing of that is read or deleted."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from objstore.exceptions import CorruptResponseError
from objstore.store import S3Store
from tests.engine.raw import answering

OTHER = (
    "<Contents><Key>other/x</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>e</ETag>"
    "<Size>1</Size></Contents>"
)
FOLDER = "<CommonPrefixes><Prefix>other/x/</Prefix></CommonPrefixes>"


@pytest.mark.parametrize("listed", [OTHER, FOLDER])
@pytest.mark.parametrize(
    "operation",
    [
        lambda store: store.delete_prefix("mine"),
        lambda store: store.list("mine").collect(),
        lambda store: store.list_with_delimiter("mine"),
    ],
)
@pytest.mark.parametrize("settings", [{}, {"prefix": "all"}])
def test_what_is_listed_elsewhere_is_refused(
    listed: str, operation: Callable[[S3Store], object], settings: dict[str, Any]
) -> None:
    document = f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>".encode()

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(document), document))

    with answering(answer) as raw:
        store = S3Store(
            "bucket",
            endpoint=raw.origin,
            region="here",
            skip_signature=True,
            client_options={"allow_http": True},
            **settings,
        )
        with pytest.raises(CorruptResponseError, match="has 'other/x"):
            operation(store)
    assert {head.split(b" ")[0] for head in raw.heads} == {b"GET"}
