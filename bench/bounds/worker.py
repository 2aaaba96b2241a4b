"""One row by one library, in a process of its own: what it held, and what failed, goes to stdout."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from bench import data
from bench.bounds.rows import COROUTINES, DESCRIPTORS, OBJECTS, PACE, READERS, SLOWLY_S, THREADS, WINDOW, key_of

SECONDS = 25.0
"""What has not ended by then has failed."""


def main(row: str, library: str, url: str) -> None:
    """Run a row, and say how many MiB were held more than before it, and how many calls did not succeed."""
    store = store_of(library, url)
    before = resident("VmRSS")
    with few_descriptors() if row in ("coroutines", "threads") else nullcontext():
        failed = WORKS[row](store)
    print(json.dumps({"memory": (resident("VmHWM") - before) >> 20, "failed": failed}), flush=True)
    os._exit(0)  # threads may hang


def store_of(library: str, url: str) -> Any:
    """Return a store with nothing set but where it is."""
    how = {"endpoint": url, "region": data.REGION, "client_options": {"allow_http": True}}
    keys = {"access_key_id": data.ACCESS_KEY_ID, "secret_access_key": data.SECRET_ACCESS_KEY}
    if library == "obstore":
        from obstore.store import S3Store as Obstore

        return Obstore(data.BUCKET, **how, **keys)
    from objstore.store import S3Store

    return S3Store(data.BUCKET, **how, **keys)


def resident(name: str) -> int:
    """Return what is resident of this process, or was at the most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name + ":"))


# --- memory


def readers(store: Any) -> int:
    """Read many streams at once, each slowly."""

    async def read(index: int) -> None:
        opened, begun, came = await store.get_async(key_of(index % OBJECTS)), time.monotonic(), 0
        async for chunk in opened.stream():
            came += len(chunk)
            await asyncio.sleep(begun + came / PACE - time.monotonic())
            if time.monotonic() - begun > SLOWLY_S:
                return

    async def together() -> None:
        await asyncio.gather(*map(read, range(READERS)))

    asyncio.run(together())
    return 0


def window(store: Any) -> int:
    """Read many large objects one after the other, while others come."""
    seen = 0
    for _, body in store.iter_many([key_of(index) for index in range(OBJECTS)], window=WINDOW):
        seen += len(body)
        del body
    return 0


# --- descriptors


@contextmanager
def few_descriptors() -> Iterator[None]:
    """Have few descriptors."""
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, usual[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, usual)


def coroutines(store: Any) -> int:
    """Get an object in each of many coroutines."""
    done: list[int] = []

    async def get(index: int) -> None:
        done.append(len(await (await store.get_async(f"small/{index}")).bytes_async()))

    async def together() -> None:
        await asyncio.wait([asyncio.ensure_future(get(index)) for index in range(COROUTINES)], timeout=SECONDS)

    asyncio.new_event_loop().run_until_complete(together())  # what has not ended is not waited for
    return COROUTINES - len(done)


def threads(store: Any) -> int:
    """Get an object in each of many threads, three times."""
    done: list[int] = []
    all_there = threading.Barrier(THREADS)

    def get(index: int) -> None:
        all_there.wait()
        for turn in range(3):
            store.get(f"small/{index}-{turn}").bytes()
        done.append(index)

    begun = time.monotonic()
    running = [threading.Thread(target=get, args=(index,), daemon=True) for index in range(THREADS)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(max(0.0, begun + SECONDS - time.monotonic()))
    return THREADS - len(done)


WORKS: dict[str, Callable[[Any], int]] = {work.__name__: work for work in (readers, window, coroutines, threads)}

if __name__ == "__main__":
    main(*sys.argv[1:])
