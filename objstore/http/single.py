"""One request that belongs to no store, such as the question for a token: sent, and its reply returned as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore._core import Batch, Buffer, ClientSettings, Kind, Reply
from objstore.http import observed
from objstore.http.client import header_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore._core import Signer
    from objstore.plans.effects import Plan

MOST_BODY = 1 << 20
"""How large the reply may be: documents with a token have some KiB."""


def send(
    method: str,
    origin: str,
    target: str,
    settings: ClientSettings,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    signer: Signer | None = None,
) -> Plan[Reply]:
    """Send a request once, and return the reply whatever its status is; where none came, its `error` says why.

    Args:
        method: The method.
        origin: Scheme, host and port.
        target: Path and query, percent-encoded.
        settings: How to connect, and how long to wait.
        headers: Its headers.
        body: Its body.
        signer: What signs it.
    """
    kind = Kind(origin, method, settings, keep_head=True, most_body=MOST_BODY, watched=observed.is_heard())
    batch = Batch(kind, list(header_lines(headers or {})), signer)
    failed: Reply | None = None
    try:
        batch.add(target.encode(), body=None if body is None else Buffer(bytes(body)))
        batch.seal()
        while not batch.over:
            yield batch
            for reply in batch.failures():
                failed = reply
                batch.give_up(reply.index)
        return failed or batch.reply(0)
    finally:
        batch.close()
        path = target.partition("?")[0]
        observed.tell(observed.request_info(tried, method, origin, path=path) for tried in batch.tries())
