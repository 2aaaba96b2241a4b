"""How far an operation is: bytes as they come, inside one request too, and the bars that `progress=True` draws."""

from __future__ import annotations

import asyncio
import inspect
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import pytest

import objstore
from objstore._core import engine_info
from objstore.store import HTTPStore, MemoryStore
from tests.conformance.test_progress import SHORT
from tests.faults.client import ROOT
from tests.listener import Listener

SIZE = 8 << 20
HALF = SIZE // 2


class Halves(BaseHTTPRequestHandler):
    """Sends half of a body, and takes all of one, and goes on only once the client has said how far it is."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    told: threading.Event

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(SIZE))
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(bytes(HALF))
        self.wfile.flush()
        assert self.told.wait(60)
        self.wfile.write(bytes(HALF))

    def do_PUT(self) -> None:
        assert len(self.rfile.read(int(self.headers["Content-Length"]))) == SIZE
        assert self.told.wait(60)
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(params=["engine", "curl"])
def carrier(request: pytest.FixtureRequest) -> Iterator[str]:
    before: Literal["engine", "curl"] = engine_info()["http"]
    objstore.configure(http=request.param)
    yield request.param
    objstore.configure(http=before)


@pytest.fixture
def told() -> threading.Event:
    return threading.Event()


@pytest.fixture
def store(told: threading.Event) -> Iterator[HTTPStore]:
    with Listener(("127.0.0.1", 0), type("Handler", (Halves,), {"told": told})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield HTTPStore(f"http://127.0.0.1:{server.server_port}", client_options={"allow_http": True})
        server.shutdown()


def awaited(name: str) -> Callable[..., Any]:
    async def call(store: HTTPStore, *args: Any, **kwargs: Any) -> Any:
        return await getattr(store, name + "_async")(*args, **kwargs)

    return lambda *args, **kwargs: asyncio.run(call(*args, **kwargs))


def blocking(name: str) -> Callable[..., Any]:
    return lambda store, *args, **kwargs: getattr(store, name)(*args, **kwargs)


MOVES: list[tuple[str, tuple[Any, ...]]] = [
    ("get_many", (["a"],)),
    ("get_range", ("a",)),
    ("put_many", ([("a", bytes(SIZE))],)),
    ("put", ("a", bytes(SIZE))),
]

SILENT = [("curl", "put"), ("curl", "put_many")]
"""libcurl takes a body from memory as a whole, and does not say how far it is."""


@pytest.mark.parametrize("face", [blocking, awaited])
@pytest.mark.parametrize(
    ("carrier", "name", "args"),
    [(carrier, *move) for move in MOVES for carrier in ("engine", "curl") if (carrier, move[0]) not in SILENT],
    ids=lambda value: value if isinstance(value, str) else "",  # megabytes are no name
    indirect=["carrier"],
)
def test_bytes_are_told_as_they_move_inside_one_request(
    store: HTTPStore, told: threading.Event, face: Callable[[str], Any], name: str, args: tuple[Any, ...], carrier: str
) -> None:
    calls: list[tuple[int, int, int]] = []

    def progress(*how_far: int) -> None:
        calls.append(how_far)  # type: ignore[arg-type]
        if 0 < how_far[2] <= SIZE and not how_far[0]:
            told.set()

    options = {"start": 0, "end": SIZE} if name == "get_range" else {}
    face(name)(store, *args, progress=progress, **options)
    assert calls[-1] == (1, 1, SIZE)
    assert any(done == 0 and size > 0 for done, _, size in calls)


def test_a_file_is_told_as_it_is_sent(store: HTTPStore, told: threading.Event, carrier: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(SIZE))
    calls: list[tuple[int, int, int]] = []

    def progress(done: int, total: int, size: int) -> None:
        calls.append((done, total, size))
        if size > 0:
            told.set()

    store.upload(tmp_path / "file", "a", progress=progress)
    assert calls[-1] == (1, 1, SIZE)
    assert calls[0][:2] == (0, 1)


# --- bars

PROGRAM = """
import asyncio, os, sys
import objstore
from objstore.store import LocalStore, MemoryStore
store = MemoryStore()
store.put("big", bytes(12 << 20), progress=True)
store.put_many([(f"a/{number:04}", b"1" * 1000) for number in range(2000)], progress=True)
assert store.get("big", progress=True).bytes() == bytes(12 << 20)
for chunk in store.get("big", progress=True).stream(): pass
store.get_range("big", start=0, end=9, progress=True)
store.get_ranges("big", starts=[0, 9], ends=[9, 10], progress=True)
store.get_many(["a/0001", "a/0002"], progress=True)
dict(store.iter_many(["a/0001", "a/0002"], progress=True))
store.head_many(["a/0001", "a/0002"], progress=True)
for page in store.list("a", progress=True): pass
store.list("a", progress=True).collect()
store.list_with_delimiter("a", progress=True)
list(store.list_level("a", progress=True))
list(store.walk("a", progress=True))
list(store.glob("a/*", progress=True))
store.copy("big", "copy", progress=True)
store.rename("copy", "other", progress=True)
store.download("big", sys.argv[1], progress=True)
store.upload(sys.argv[1], "again", progress=True)
store.copy_many([("a/0001", "c/1"), ("a/0002", "c/2")], progress=True)
store.download_many(["c/1", "c/2"], sys.argv[1] + ".d", progress=True)
store.upload_many(sys.argv[1] + ".d", "d", progress=True)
store.sync(sys.argv[1] + ".d", prefix="e", progress=True)
store.delete(["other", "again"], progress=True)
store.delete_prefix("a", progress=True)

async def several():
    await asyncio.gather(*(store.put_async(f"b{number}", b"1", progress=True) for number in range(3)))

asyncio.run(several())
try:
    store.get("none", progress=True)
except FileNotFoundError:
    pass
stream = store.list(progress=True)
next(stream)
del stream
print("over")
"""

DRAWN = [
    *("put", "put_many", "get", "get", "get_range", "get_ranges", "get_many", "iter_many", "head_many", "list", "list"),
    *("list_with_delimiter", "list_level", "walk", "glob", "copy", "rename", "download", "upload"),
    *("copy_many", "download_many", "upload_many", "sync", "delete"),
    *("delete_prefix", "put", "put", "put", "list"),
]


def on_a_terminal(program: str, *arguments: str) -> str:
    """Run a program on a terminal, and return what it shows, without what moves the cursor."""
    master, slave = pty.openpty()
    env = {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120", "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env) as process:
        os.close(slave)
        shown = b""
        while True:
            try:
                piece = os.read(master, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            shown += piece
    os.close(master)
    assert process.returncode == 0, shown.decode()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).replace("\r\n", "\n")


def test_bars_on_a_terminal(tmp_path: Path) -> None:
    lines = [line.rpartition("\r")[2] for line in on_a_terminal(PROGRAM, str(tmp_path / "file")).split("\n")]
    bars = [line for line in lines if "━" in line]
    assert [*_without_repeats(line.split()[0] for line in bars)] == [*_without_repeats(DRAWN)]
    shown = "\n".join(bars)
    assert re.search(r"put_many ━+ 2,000/2,000 2\.0 MB, .*/s", shown)
    assert re.search(r"list ━+ 2,000 ", shown)
    assert re.search(r"download ━+ \d+/\d+ 12\.6 MB", shown)
    assert "over" in lines


def _without_repeats(names: Iterable[str]) -> Iterator[str]:
    return (name for name, _ in groupby(names))


def test_every_operation_draws_its_own() -> None:
    functions = (name for name in objstore.__all__ if inspect.isfunction(getattr(objstore, name)))
    names = {name for name in functions if not name.endswith("_async")} - SHORT
    assert names == {*DRAWN, "list_versions"}  # which takes a service


def test_nothing_is_written_elsewhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "file")],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("over\n", "")


def test_without_rich_it_says_what_to_install() -> None:
    program = """
import sys
sys.modules["rich"] = sys.modules["rich.console"] = None
from objstore.store import MemoryStore
store = MemoryStore()
try:
    store.put("a", b"1", progress=True)
except ImportError as error:
    print(error, [*store.list()])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "progress=True needs rich: pip install 'objstore-client[progress]' []\n"


def test_what_is_no_function_is_refused() -> None:
    store = MemoryStore()
    with pytest.raises(TypeError, match="progress = 'yes': give True for a bar, or a function"):
        store.put("a", b"1", progress="yes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="progress = 'yes'"):
        store.list(progress="yes")  # type: ignore[call-overload]
    assert store.list().collect() == []
    store.put("a", b"1", progress=False)
