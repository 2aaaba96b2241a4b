"""The HTTP sessions with which credential providers ask for credentials: the caller's, or one that retries.

A session of our own that is asynchronous lives for one request, so it belongs to no event loop that may be gone.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

from objstore.auth._extras import extra

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp
    import aiohttp_retry
    import requests

    AsyncSession: TypeAlias = aiohttp.ClientSession | aiohttp_retry.RetryClient

RETRIES = 5
RETRY_STATUSES = (429, 500, 502, 503, 504)
TIMEOUT = 30.0
"""The longest that one try may take, in seconds."""


def new_session(name: str) -> requests.Session:
    """Return a session that tries again.

    Args:
        name: The extra that brings requests.
    """
    session: requests.Session = extra(name, "requests").Session()
    adapters = extra(name, "requests.adapters")
    retry = extra(name, "urllib3").Retry(RETRIES, backoff_factor=0.8, status_forcelist=RETRY_STATUSES)
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapters.HTTPAdapter(max_retries=retry))
    return session


@asynccontextmanager
async def async_session(name: str, given: AsyncSession | None) -> AsyncIterator[AsyncSession]:
    """Return the caller's session, or one for a while that tries again.

    Args:
        name: The extra that brings aiohttp.
        given: The caller's session; it is left open.
    """
    if given is not None:
        yield given
        return
    aiohttp, retry = extra(name, "aiohttp"), extra(name, "aiohttp_retry")
    options = retry.ExponentialRetry(attempts=RETRIES, start_timeout=0.4, statuses=set(RETRY_STATUSES))
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with retry.RetryClient(raise_for_status=False, retry_options=options, timeout=timeout) as session:
        yield session
