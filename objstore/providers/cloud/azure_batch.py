"""Deletes of many objects by one request (Blob Batch), each signed by itself.

https://learn.microsoft.com/rest/api/storageservices/blob-batch
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from objstore._core import Buffer
from objstore.exceptions import BaseError, CorruptResponseError
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.providers.cloud.azure_dialect import DIALECT
from objstore.providers.cloud.azure_documents import Answer, read_answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.plans.effects import Plan
    from objstore.providers.cloud.azure_blobs import Blobs

REFUSALS = (400, 405, 501)
"""How accounts answer that have no batches: those with directories, and some emulators."""


def delete_batches(
    blobs: Blobs, keys: Sequence[str], most_in_flight: int
) -> Plan[tuple[dict[str, BaseError], list[str]]]:
    """Delete objects by few requests.

    Returns:
        What failed for good, and the keys that are to be deleted each by itself: it is there that their errors show.
    """
    yield from blobs.service.refresh()
    size = blobs.service.dialect.delete_batch
    groups = [keys[i : i + size] for i in range(0, len(keys), size)]
    boundary = f"batch_{uuid.uuid4()}"
    exchange = Exchange(
        blobs.service,
        Shape("POST", {"Content-Type": f"multipart/mixed; boundary={boundary}"}),
        lambda index: groups[index][0],
        detail=lambda index: f" and {len(groups[index]) - 1} more",
        keep_head=True,
        most_in_flight=most_in_flight,
    )
    target = blobs.target("", [("comp", "batch"), ("restype", "container")])
    for group in groups:
        exchange.add(target, body=Buffer(_body(blobs, group, boundary)))
    yield from exchange.finish()
    failed: dict[str, BaseError] = {}
    left: list[str] = []
    for index, group in enumerate(groups):
        error = exchange.errors.get(index)
        if error is None:
            left += _undeleted(exchange, index, group)
        elif error.status is None or (error.status >= 500 and error.status != 501) or error.code == "ContainerNotFound":
            failed |= dict.fromkeys(group, error)
        else:
            blobs.takes_batches &= error.status not in REFUSALS
            left += group
    return failed, left


def _body(blobs: Blobs, keys: Sequence[str], boundary: str) -> bytes:
    """Write the requests of a batch; what says who we are is in each of them."""
    signer = blobs.identity.signer(Shape("DELETE", {}), blobs.service.host, {})
    parts = []
    for index, key in enumerate(keys):
        target, lines = blobs.path(key), [b"Content-Length: 0"]
        if signer is not None and signer.query:
            target += b"?" + signer.query
        elif signer is not None:
            lines += [*signer.headers, *filter(None, [signer.authorization_line(target)])]
        parts.append(
            f"--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
            f"Content-ID: {index}\r\n\r\n".encode()
            + b"DELETE %s HTTP/1.1\r\n%s\r\n\r\n" % (target, b"\r\n".join(lines))
        )
    return b"".join([*parts, f"--{boundary}--\r\n".encode()])


def _undeleted(exchange: Exchange, index: int, keys: Sequence[str]) -> list[str]:
    """Return which keys an answer does not say to be deleted or missing."""
    try:
        answers = read_answers(exchange.reply(index), len(keys))
    except CorruptResponseError:
        return [*keys]
    return [key for key, answer in zip(keys, answers, strict=True) if not _is_deleted(answer)]


def _is_deleted(answer: Answer) -> bool:
    return answer.status in DIALECT.successes["DELETE"] or (answer.status == 404 and answer.code == "BlobNotFound")
