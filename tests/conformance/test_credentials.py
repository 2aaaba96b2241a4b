"""Credential providers: functions and coroutine functions, in both modes."""

from __future__ import annotations

import asyncio
import copy
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from objstore import exceptions
from tests.conformance.conftest import SMALL, Bucket, Face, Mode


class Keys:
    """A credential provider that counts its calls."""

    def __init__(self, bucket: Bucket, lifetime: timedelta | None = None) -> None:
        self.server = bucket.server
        self.lifetime = lifetime
        self.calls = 0
        self.secret = self.server.secret_access_key

    def __call__(self) -> dict[str, Any]:
        self.calls += 1
        return {
            "access_key_id": self.server.access_key_id,
            "secret_access_key": self.secret,
            "expires_at": None if self.lifetime is None else datetime.now(UTC) + self.lifetime,
        }


class AsyncKeys(Keys):
    """The same as a coroutine function, which waits as a real one would for its reply."""

    async def __call__(self) -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return super().__call__()


def with_provider(bucket: Bucket, mode: Mode, provider: Callable[[], object]) -> Face:
    return mode(bucket.open(access_key_id=None, secret_access_key=None, credential_provider=provider))


@pytest.mark.parametrize("kind", [Keys, AsyncKeys])
@pytest.mark.parametrize("lifetime", [None, timedelta(hours=1), timedelta(hours=-1)])
async def test_a_credential_provider_is_asked_once(
    bucket: Bucket, mode: Mode, kind: type[Keys], lifetime: timedelta | None
) -> None:
    keys = kind(bucket, lifetime)
    store = with_provider(bucket, mode, keys)
    assert keys.calls == 0
    await store.put("a", SMALL)
    await store.put("b", SMALL, use_multipart=True)
    assert await store.get_many(["a", "b"]) == [SMALL, SMALL]
    assert [meta["path"] for meta in await mode(store.list()).collect()] == ["a", "b"]
    await store.copy("a", "c")
    await store.delete(["a", "b", "c"])
    assert keys.calls == 1
    assert store.credential_provider is keys


@pytest.mark.parametrize("kind", [Keys, AsyncKeys])
async def test_all_who_wait_share_one_credential(bucket: Bucket, mode: Mode, kind: type[Keys]) -> None:
    keys = kind(bucket)
    store = with_provider(bucket, mode, keys)
    if mode.is_async:
        await asyncio.gather(*(store.put(f"{number}", SMALL) for number in range(20)))
    else:
        with ThreadPoolExecutor(8) as threads:
            [*threads.map(lambda number: store.target.put(f"{number}", SMALL), range(20))]
    assert keys.calls == 1


@pytest.mark.parametrize("kind", [Keys, AsyncKeys])
async def test_an_expiring_credential_is_renewed(bucket: Bucket, mode: Mode, kind: type[Keys]) -> None:
    keys = kind(bucket, timedelta(seconds=0.2))
    store = with_provider(bucket, mode, keys)
    begun, took = time.monotonic(), 0.0
    while keys.calls < 3 or took < 0.5:
        await store.put("a", SMALL)
        took = time.monotonic() - begun
        assert took < 60
    assert keys.calls <= 1 + took / 0.025


async def test_a_wrong_secret_of_a_provider_does_not_show(bucket: Bucket, mode: Mode) -> None:
    keys = Keys(bucket)
    keys.secret = "wrong-secret"
    store = with_provider(bucket, mode, keys)
    with pytest.raises(exceptions.PermissionDeniedError) as refused:
        await store.put("a", SMALL)
    assert "wrong-secret" not in str(refused.value)


FAULTY: dict[str, Callable[[], object]] = {
    "raises": lambda: 1 / 0,
    "no dict": lambda: "key",
    "no secret": lambda: {"access_key_id": "a", "expires_at": None},
    "no end": lambda: {"access_key_id": "a", "secret_access_key": "the-secret"},
    "naive end": lambda: {"access_key_id": "a", "secret_access_key": "the-secret", "expires_at": datetime(2026, 1, 1)},
    "line break": lambda: {"access_key_id": "a\r\nb: c", "secret_access_key": "the-secret", "expires_at": None},
}


@pytest.mark.parametrize("fault", FAULTY)
async def test_a_faulty_credential_provider(bucket: Bucket, mode: Mode, fault: str) -> None:
    calls: Counter[str] = Counter()

    def provider() -> object:
        calls["provider"] += 1
        return FAULTY[fault]()

    store = with_provider(bucket, mode, provider)
    for _ in (1, 2):  # the second is told what the first one was: it comes at once
        with pytest.raises(exceptions.UnauthenticatedError, match="credential provider") as failed:
            await store.get("a")
        assert "the-secret" not in str(failed.value)
        assert isinstance(failed.value, PermissionError)
    assert calls["provider"] == 1


async def test_providers_are_pickled_with_the_store(bucket: Bucket, mode: Mode) -> None:
    store = with_provider(bucket, mode, Keys(bucket)).target
    copied = copy.copy(store)
    assert copied == store
    await mode(copied).put("a", SMALL)
