"""Lets every allocation of the engine and of libcurl fail once, over many operations, and says what came of it.

Usage: LD_PRELOAD=scarce.so python -m tests.scarce LIBRARY ENDPOINT FOLDER [OPERATION...]
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import os
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from objstore import engine_info
from objstore.exceptions import BaseError
from objstore.store import S3Store, Store

BODY = bytes(range(256)) * 400
WAIT = timedelta(milliseconds=1)
HANGS = 120
"""After so many seconds, one operation's trials are taken to hang."""


def operations(store: Store, folder: Path) -> dict[str, Callable[[], Any]]:
    """Return operations that give the same every time."""
    file = folder / "file"
    out = bytearray(300)

    def opened() -> bytes:
        with store.open("plain/a", "rb") as reader:
            return bytes(reader.read())

    def written() -> None:
        with store.open("plain/w", "wb") as writer:
            writer.write(BODY)

    def downloaded() -> bytes:
        store.download("plain/a", folder / "down", chunk_size=30_000)
        return (folder / "down").read_bytes()

    async def together() -> list[bytes]:
        found = await asyncio.gather(*(store.get_range_async("plain/a", start=n, end=n + 9) for n in range(4)))
        return [*map(bytes, found)]

    return {
        "get": lambda: bytes(store.get("plain/a").bytes()),
        "get options": lambda: bytes(store.get("plain/a", options={"range": {"suffix": 7}}).bytes()),
        "get stream": lambda: b"".join(map(bytes, store.get("plain/a").stream(10_000))),
        "get_range": lambda: bytes(store.get_range("plain/a", start=1, end=9)),
        "get_ranges": lambda: [*map(bytes, store.get_ranges("plain/a", starts=[1, 50_000], ends=[9, 50_009]))],
        "get_many": lambda: [*map(bytes, store.get_many(["plain/a", ("plain/a", 3, 70_000)]))],
        "get_many out": lambda: bytes(b"".join(store.get_many([("plain/a", n, n + 100) for n in range(3)], out=out))),
        "iter_many": lambda: sorted((index, bytes(body)) for index, body in store.iter_many(["plain/a"] * 3)),
        "head": lambda: store.head("plain/a")["size"],
        "head_many": lambda: [meta["size"] for meta in store.head_many(["plain/a"] * 3)],
        "put": lambda: store.put("plain/p", BODY)["e_tag"],
        "put with attributes": lambda: store.put("plain/p", BODY, attributes={"Content-Type": "a/b", "x": "y"})[
            "e_tag"
        ],
        "put file": lambda: store.put("plain/f", file)["e_tag"],
        "put iterator": lambda: store.put("plain/i", iter([BODY, BODY]))["e_tag"],
        "put in parts": lambda: store.put("plain/m", BODY, use_multipart=True)["e_tag"],
        "put_many": lambda: [each["e_tag"] for each in store.put_many({f"plain/n{n}": BODY for n in range(3)})],
        "upload": lambda: store.upload(file, "plain/u")["e_tag"],
        "list": lambda: [meta["path"] for meta in store.list("listed").collect()],
        "list in stretches": lambda: [meta["path"] for meta in store.list("listed", max_concurrency=2).collect()],
        "list_with_delimiter": lambda: len(store.list_with_delimiter("listed")["objects"]),
        "list as arrow": lambda: store.list("listed", return_arrow=True).collect().num_rows,
        "glob": lambda: [meta["path"] for meta in store.glob("listed/*").collect()],
        "delete": lambda: store.delete("plain/gone"),
        "delete many": lambda: store.delete(["plain/gone", "plain/gone too"]),
        "copy": lambda: store.copy("plain/a", "plain/c"),
        "sign": lambda: store.sign("GET", "plain/a", timedelta(seconds=9)).partition("?")[0],
        "download": downloaded,
        "open": opened,
        "open to write": written,
        "async": lambda: asyncio.run(together()),
    }


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def starve(scarce: ctypes.CDLL, name: str, operation: Callable[[], Any]) -> Counter[str]:
    """Do an operation again and again, each time without another piece of memory."""
    came: Counter[str] = Counter()
    operation()
    expected = operation()
    number = 0
    while True:
        print(f"{name} {number}", file=sys.stderr, flush=True)
        scarce.scarce_fail(number)
        try:
            found = operation()
        except (BaseError, MemoryError) as error:
            came[type(error).__name__] += 1
        else:
            assert found == expected, f"{name}: without allocation {number} it gave something else"
            came["right"] += 1
        finally:
            missed = scarce.scarce_seen() <= number
            scarce.scarce_fail(-1)
        assert operation() == expected, f"{name}: after allocation {number} failed, it does not recover"
        number += 1
        if missed:
            return came


def main(library: str, endpoint: str, folder: str, *chosen: str) -> None:
    """Starve all operations, or some."""
    faulthandler.dump_traceback_later(HANGS, exit=True)
    scarce = ctypes.CDLL(library)
    assert scarce.scarce_watch(b"/objstore/_core.")
    assert scarce.scarce_watch(b"libcurl") >= 2
    store = S3Store(
        "bucket",
        endpoint=endpoint,
        region="us-east-1",
        access_key_id="k",
        secret_access_key="s",
        client_options={
            "allow_http": True,
            "pool_max_idle_per_host": 0,
            "connect_timeout": 0.2,
            "first_byte_timeout": 0.3,
        },
        retry_config={"max_retries": 8, "backoff": {"init_backoff": WAIT, "max_backoff": WAIT}},
    )
    (Path(folder) / "file").write_bytes(BODY)
    store.put("plain/a", BODY)
    store.put_many({f"listed/{number}": b"1" for number in range(5)})
    known = {name: each for name, each in operations(store, Path(folder)).items() if not chosen or name in chosen}
    for operation in known.values():
        operation()  # what is kept for later is there now
    before = descriptors()
    for name, operation in known.items():
        faulthandler.dump_traceback_later(HANGS, exit=True)
        print(name, dict(starve(scarce, name, operation)), flush=True)
    assert descriptors() <= before, f"{descriptors()} descriptors are open, {before} were"
    print("done", engine_info()["requests"])


if __name__ == "__main__":
    main(*sys.argv[1:])
