"""Stores under many threads at once: every byte right, whatever else runs. Free-threaded builds are what it is for.

OBJSTORE_STRESS_SECONDS makes it go on for longer.
"""

from __future__ import annotations

import asyncio
import os
import random
import sysconfig
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from objstore.exceptions import NotFoundError
from objstore.store import LocalStore, MemoryStore, S3Store, Store
from tests.engine.client import run_program

SECONDS = float(os.environ.get("OBJSTORE_STRESS_SECONDS", "2"))
THREADS = 8
SHARED = [f"shared/{number:02}" for number in range(40)]


def body_of(path: str) -> bytes:
    """The bytes of an object, which its path decides: a byte of another object is a wrong one."""
    digest = sha256(path.encode()).digest()
    return digest * (1 << digest[0] % 10)


@pytest.fixture(params=["memory", "local", "rclone"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Make stores: in memory each has its objects, otherwise all have the same."""
    if request.param == "memory":
        return MemoryStore
    if request.param == "local":
        return lambda: LocalStore(tmp_path)
    server = request.getfixturevalue("rclone")
    bucket = server.make_bucket("threads")
    return lambda: S3Store(
        bucket,
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        client_options={"allow_http": True},
    )


class User:
    """One user of a store, who has a folder of its own and reads what all share."""

    def __init__(self, store: Any, name: str) -> None:
        self.store = store
        self.chance = random.Random(name)
        self.folder = f"own/{name}"
        self.own = [f"{self.folder}/{number}" for number in range(30)]

    def paths(self) -> list[str]:
        return self.chance.choices(SHARED, k=self.chance.randrange(1, 60))

    def ranges(self) -> tuple[list[tuple[str, int, int]], list[bytes]]:
        paths = self.paths()
        starts = [self.chance.randrange(len(body_of(path))) for path in paths]
        return (
            [(path, start, start + 99) for path, start in zip(paths, starts, strict=True)],
            [body_of(path)[start : start + 99] for path, start in zip(paths, starts, strict=True)],
        )

    def step(self) -> None:
        """Do one round of everything, blocking."""
        paths = self.paths()
        assert self.store.get_many(paths) == [body_of(path) for path in paths]
        requests, wanted = self.ranges()
        assert self.store.get_many(requests) == wanted
        memory = bytearray(99 * len(requests))
        self.store.get_many(requests, out=memory, max_concurrency=3)
        for number, piece in enumerate(wanted):
            assert memory[99 * number : 99 * number + len(piece)] == piece or len(piece) < 99
        path, start, end = requests[0]
        assert self.store.get_range(path, start=start, end=end) == wanted[0]
        assert dict(self.store.iter_many(paths[:9])) == {i: body_of(each) for i, each in enumerate(paths[:9])}
        self.store.put_many({path: body_of(path) for path in self.own})
        assert [meta["path"] for page in self.store.list(self.folder) for meta in page] == sorted(self.own)
        assert self.store.get_many(self.own) == [body_of(path) for path in self.own]
        self.store.delete(self.own)
        with pytest.raises(NotFoundError):
            self.store.get(self.own[0])

    async def step_async(self) -> None:
        """Do one round of everything, as a coroutine."""
        paths = self.paths()
        assert await self.store.get_many_async(paths) == [body_of(path) for path in paths]
        requests, wanted = self.ranges()
        got = await asyncio.gather(
            *(self.store.get_range_async(path, start=start, end=end) for path, start, end in requests)
        )
        assert got == wanted
        await self.store.put_many_async({path: body_of(path) for path in self.own})
        pages = [page async for page in self.store.list(self.folder)]
        assert [meta["path"] for page in pages for meta in page] == sorted(self.own)
        await self.store.delete_async(self.own)


@pytest.mark.parametrize("count", [1, 4])
def test_threads_and_event_loops(new_store: Callable[[], Store], count: int) -> None:
    """Six threads block and two run event loops with three tasks each, on one store and on several."""
    stores = [new_store() for _ in range(count)]
    for store in stores:
        store.put_many({path: body_of(path) for path in SHARED})
    until = time.monotonic() + SECONDS
    errors: list[BaseException] = []
    rounds: list[int] = []

    def block(store: Store, name: str) -> None:
        user = User(store, name)
        while time.monotonic() < until and not errors:
            user.step()
            rounds.append(1)

    async def await_(store: Store, name: str) -> None:
        user = User(store, name)
        while time.monotonic() < until and not errors:
            await user.step_async()
            rounds.append(1)

    async def several(store: Store, name: str) -> None:
        await asyncio.gather(*(await_(store, f"{name}-{task}") for task in range(3)))

    def work(number: int) -> None:
        store, name = stores[number % count], f"{count}-{number}"
        try:
            asyncio.run(several(store, name)) if number % 4 == 3 else block(store, name)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS + 60)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]
    assert len(rounds) >= THREADS


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this build of Python has a GIL")
def test_nothing_turns_the_gil_on() -> None:
    ended = run_program("threads.use_everything")
    assert (ended.returncode, ended.stdout.strip()) == (0, "free"), ended.stderr
