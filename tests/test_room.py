"""Local files with few descriptors: what waits for one waits, it does not fail."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from objstore.disk.room import Place, most_open, room
from objstore.plans.run import arun, run
from objstore.store import HTTPStore
from tests.engine import client
from tests.engine.client import Server

COUNT = 300


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with client.server() as running:
        yield running


def carry(origin: str, folder: str, mode: str) -> None:
    """Put or download many files at once, with 64 descriptors."""
    store = HTTPStore(origin, client_options={"allow_http": True})
    files = [Path(folder, f"{index}") for index in range(COUNT)]
    downloads = mode.startswith("download")
    if not downloads:
        for file in files:
            file.write_bytes(b"abcde")
    store.get("5/a").bytes()
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    def blocked(file: Path) -> object:
        return store.download("5/a", file) if downloads else store.put("5/a", file)

    async def awaited() -> None:
        one = store.download_async if downloads else store.put_async
        await asyncio.gather(*(one("5/a", file) for file in files))

    async def uploaded() -> None:
        await asyncio.gather(*(store.upload_async(file, "5/a") for file in files))

    if mode == "put_many":
        store.put_many([("5/a", file) for file in files])
    elif mode == "upload tasks":
        asyncio.run(uploaded())
    elif mode.endswith("tasks"):
        asyncio.run(awaited())
    else:
        with ThreadPoolExecutor(30) as pool:
            list(pool.map(blocked, files))
    print(sum(file.stat().st_size for file in files), room.taken)


@pytest.mark.parametrize(
    "mode", ["put_many", "put tasks", "upload tasks", "put threads", "download tasks", "download threads"]
)
def test_files_wait_for_descriptors(server: Server, tmp_path: Path, mode: str) -> None:
    program = "import sys; from tests.test_room import carry; carry(*sys.argv[1:])"
    command = [sys.executable, "-c", program, server.origin, str(tmp_path), mode]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{5 * COUNT} 0\n", "")


def test_who_stops_waiting_for_room_has_taken_none() -> None:
    async def main(place: Place) -> None:
        waiting = asyncio.create_task(arun(place.take()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    with Place() as all_of_it, Place() as other:
        run(all_of_it.take(most_open()))
        asyncio.run(main(other))
        assert (other.files, room.taken) == (0, most_open())
    assert room.taken == 0


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_child_has_all_places() -> None:
    with Place() as place:
        run(place.take(most_open() - room.taken))
        child = os.fork()
        if child == 0:
            os._exit(not room.takes())
        assert os.waitpid(child, 0)[1] == 0
