"""Local files: what is whole, who wins, what leads out of the root, and what listings show."""

from __future__ import annotations

import asyncio
import copy
import ctypes
import errno
import importlib
import mmap
import os
import pickle
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from objstore import exceptions
from objstore.providers.local import files as local_files
from objstore.providers.local import listing as local_listing
from objstore.providers.local import provider as local_provider
from objstore.providers.local import reads as local_reads
from objstore.providers.local import root as local_root
from objstore.store import LocalStore, MemoryStore, S3Store

MIB = 1 << 20
LEFT_AFTER = 16 * MIB  # so much of a read is done at least


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture(params=["unnamed", "named"])
def store(request: pytest.FixtureRequest, root: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    """A store whose unfinished files have no names, and one where the system cannot do that."""
    monkeypatch.setattr(local_files, "HAS_PROC", request.param == "unnamed")
    return LocalStore(root)


def paths(store: Any, *arguments: Any) -> list[str]:
    return [meta["path"] for meta in store.list(*arguments).collect()]


def files(root: Path) -> list[str]:
    """Return all that is in a directory, hidden or not."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


# --- the store


def test_how_it_is_made_and_shown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(str(root))
    assert repr(store) == f'LocalStore("{root}")'
    assert store.prefix == root
    assert store.__getnewargs_ex__() == ((root,), {"automatic_cleanup": False, "mkdir": False})
    assert (repr(LocalStore()), LocalStore().prefix) == ("LocalStore", None)
    monkeypatch.chdir(root.parent)
    for same in (LocalStore("root"), LocalStore(root / ".." / "root"), LocalStore(f"{root}/")):
        assert same == store
        assert hash(same) == hash(store)
    assert store != LocalStore(root, automatic_cleanup=True)
    assert store != LocalStore(root.parent)
    assert store != LocalStore()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda store: pickle.loads(pickle.dumps(store))])
def test_a_copy_is_equal_and_works(root: Path, copied: Any) -> None:
    store = LocalStore(root, automatic_cleanup=True)
    store.put("a", b"1")
    assert copied(store) == store
    assert copied(store).get("a").bytes() == b"1"


def test_a_missing_root(root: Path) -> None:
    with pytest.raises(exceptions.ConfigurationError, match=r"missing.*mkdir"):
        LocalStore(root / "missing")
    LocalStore(root / "missing" / "too", mkdir=True).put("a", b"1")
    assert (root / "missing" / "too" / "a").read_bytes() == b"1"
    with pytest.raises(exceptions.ConfigurationError, match="directory"):
        LocalStore(root / "missing" / "too" / "a")
    with pytest.raises(TypeError, match="prefix"):
        LocalStore(5)  # type: ignore[arg-type]


def test_urls(root: Path) -> None:
    (root / "a b").mkdir()
    for url in (f"file://{root}/a%20b", f"file://localhost{root}/a%20b", f"file:{root}/a%20b/"):
        assert LocalStore.from_url(url) == LocalStore(root / "a b")
    assert LocalStore.from_url(f"file://{root}/new", mkdir=True, automatic_cleanup=True).prefix == root / "new"
    for url in ("http://host/data", "file://host/data", str(root)):
        with pytest.raises(exceptions.ConfigurationError, match=r"file:|no scheme"):
            LocalStore.from_url(url)


def test_the_root_of_the_file_system(root: Path) -> None:
    path = str(root / "a").removeprefix("/")
    LocalStore().put(path, b"1")
    assert LocalStore().get(path).bytes() == b"1"
    assert paths(LocalStore(), os.path.dirname(path)) == [path]


def test_what_it_cannot_do(store: LocalStore, root: Path) -> None:
    with pytest.raises(exceptions.NotSupportedError, match="URL"):
        store.sign("GET", "a", timedelta(hours=1))
    store.put("b", b"1")
    with pytest.raises(exceptions.NotSupportedError, match="version"):
        store.get("b", options={"version": "1"})
    assert files(root) == ["b"]


def test_the_e_tag_is_that_of_other_stores_on_files(store: LocalStore, root: Path) -> None:
    result = store.put("a/b", b"123")
    found = (root / "a" / "b").stat()
    assert result["e_tag"] == f'"{found.st_ino:x}-{found.st_mtime_ns // 1000:x}-3"'
    assert store.head("a/b")["e_tag"] == result["e_tag"]


def test_two_versions_never_have_the_same_e_tag(store: LocalStore) -> None:
    assert len({store.put("a", b"%d" % (number % 10))["e_tag"] for number in range(200)}) == 200


# --- whole or not at all


def test_a_reader_never_sees_half_a_file(store: LocalStore) -> None:
    bodies = [bytes([number]) * (MIB // 2 + number) for number in range(4)]
    store.put("a", bodies[0])
    over = threading.Event()

    def write() -> None:
        for number in range(60):
            store.put("a", bodies[number % 4], use_multipart=number % 8 == 7, chunk_size=100_000)
        over.set()

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        seen = 0
        while not over.is_set():
            assert store.get("a").bytes() in bodies
            assert store.get_many(["a"])[0] in bodies
            seen += 1
        writing.result()
    assert seen


def failing() -> Iterator[bytes]:
    yield b"x" * MIB
    raise RuntimeError("the source ended early")


@pytest.mark.parametrize("mode", ["overwrite", "create"])
def test_a_failed_write_leaves_nothing(store: LocalStore, root: Path, mode: Any) -> None:
    for use_multipart in (None, True):
        with pytest.raises(RuntimeError, match="early"):
            store.put("new/folder/a", failing(), use_multipart=use_multipart, chunk_size=1000, mode=mode)
    assert files(root) == []


def test_a_cancelled_write_leaves_nothing(store: LocalStore, root: Path) -> None:
    async def endless() -> Any:
        while True:
            yield b"x" * 1000

    # takes seconds to write, and no memory
    large = mmap.mmap(-1, 8192 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)

    async def cancel() -> None:
        for write in (
            store.put_async("folder/a", endless(), chunk_size=10_000),
            store.put_async("folder/b", large, use_multipart=False),
        ):
            writing = asyncio.create_task(write)
            await asyncio.sleep(0.02)
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing

    asyncio.run(cancel())
    assert files(root) == []


KILLED = """
import sys
from objstore.store import LocalStore

def pieces():
    while True:
        yield b"x" * 100_000
        print("on", flush=True)

LocalStore(sys.argv[1]).put("a", pieces(), chunk_size=100_000)
"""


def test_a_killed_process_leaves_nothing_to_be_seen(root: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, root], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(30):
            assert process.stdout.readline() == b"on\n"
        process.kill()
    assert files(root) == []


def test_unfinished_files_are_hidden(store: LocalStore, root: Path) -> None:
    name = ".objstore-0123456789abcdef.part"
    (root / name).touch()
    store.put(".objstore", b"1")
    assert paths(store) == [".objstore"]
    assert store.list_with_delimiter()["objects"][0]["path"] == ".objstore"
    for call in (
        lambda: store.put(name, b""),
        lambda: store.put(f"{name}/a", b""),
        lambda: store.copy(".objstore", name),
        lambda: store.rename(".objstore", name),
        lambda: store.delete(name),
        lambda: store.get(name),
        lambda: store.get_many([name]),
        lambda: store.head_many([name]),
    ):
        with pytest.raises(exceptions.InvalidPathError, match="unfinished"):
            call()


@contextmanager
def small_disk(path: Path, size: int) -> Iterator[Path]:
    """Mount a small file system, or skip the test where that is not allowed."""
    path.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True, check=False
    )
    if mounting.returncode:
        pytest.skip(f"no file system can be mounted here: {mounting.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


@pytest.mark.parametrize("mode", ["overwrite", "create"])
def test_a_full_disk(tmp_path: Path, mode: Any) -> None:
    with small_disk(tmp_path / "small", 2 * MIB) as path:
        store = LocalStore(path)
        store.put("kept", b"1" * MIB)
        (tmp_path / "source").write_bytes(b"2" * (2 * MIB))
        for source, use_multipart in ((b"2" * (2 * MIB), None), (tmp_path / "source", None), (b"2" * (2 * MIB), True)):
            with pytest.raises(exceptions.GenericError, match="space") as full:
                store.put("new", source, mode=mode, use_multipart=use_multipart)
            cause = full.value.__cause__
            assert isinstance(cause, OSError)
            assert cause.errno == errno.ENOSPC
        store.put("large", b"1" * (MIB // 2))
        with pytest.raises(exceptions.GenericError, match="space"):
            store.copy("kept", "copy")
        assert files(path) == ["kept", "large"]
        assert store.get("kept").bytes() == b"1" * MIB


STAGED = """
import os, sys
from objstore.providers.local import files
from objstore.store import LocalStore

files.HAS_PROC = sys.argv[2] == "unnamed"
files.os.rename = lambda *arguments, **options: os.kill(os.getpid(), 9)
LocalStore(sys.argv[1]).put("folder/a", b"new")
"""


@pytest.mark.parametrize("how", ["unnamed", "named"])
def test_what_a_kill_leaves_behind_is_removed_by_the_next_call(store: LocalStore, root: Path, how: str) -> None:
    """In the moment before it gets its name, a file has a hidden one."""
    calls = [
        lambda: store.put("folder/a", b"1"),
        lambda: store.put("folder/a", b"1", use_multipart=True),
        lambda: store.copy("other", "folder/a"),
        lambda: store.rename("other", "folder/a"),
        lambda: store.delete("folder/a"),
    ]
    for call in calls:
        store.put_many({"folder/a": b"old", "other": b"1"})
        subprocess.run([sys.executable, "-c", STAGED, root, how], check=False)
        if how == "unnamed":
            assert len(files(root)) == 4
        assert paths(store) == ["folder/a", "other"]
        call()
        assert [name for name in files(root) if name.endswith(".part")] == []


def test_one_that_is_being_written_is_left_alone(store: LocalStore, root: Path) -> None:
    """Several write the same key at once: none takes another's file for one that was left behind."""
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: store.put("a", b"%d" % number), range(400)))
    assert files(root) == ["a"]


# --- the disk


def test_fsync(store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fsync, a file is on the disk before it has its name, and the name before the call returns."""
    done: list[str] = []

    def recorded(name: str) -> None:
        function = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            path = os.readlink(f"/proc/self/fd/{arguments[0]}") if name == "fsync" else ""
            done.append(f"sync {os.path.relpath(path, root)}" if os.path.isdir(path) else name)
            return function(*arguments, **options)

        monkeypatch.setattr(os, name, call)

    def called(call: Any) -> list[str]:
        done.clear()
        call()
        return [one for one in done if one != "link"] if "rename" in done else done

    safe = LocalStore(root, fsync=True)
    assert safe != store
    for name in ("fsync", "rename", "unlink"):
        recorded(name)
    assert called(lambda: safe.put("a/b/c", b"1")) == ["fsync", "sync a/b", "sync a", "sync ."]
    assert called(lambda: safe.put("a/b/c", b"2")) == ["fsync", "rename", "sync a/b"]
    assert called(lambda: safe.put("a/b/c", b"3", use_multipart=True)) == ["fsync", "rename", "sync a/b"]
    assert called(lambda: safe.copy("a/b/c", "d")) == ["fsync", "sync ."]
    assert called(lambda: safe.rename("d", "e/f")) == ["sync e", "sync .", "sync ."]
    assert called(lambda: safe.rename("e/f", "a/b/c")) == ["rename", "sync a/b", "sync e"]
    assert called(lambda: safe.delete("a/b/c")) == ["unlink", "sync a/b"]
    e_tag = safe.put("a/b/c", b"1")["e_tag"] or ""
    assert called(lambda: safe.delete("a/b/c", if_match=e_tag)) == ["unlink", "sync a/b"]
    store.put_many({"x": b"1", "y": b"1"})
    assert called(lambda: safe.delete(["x", "y"])) == ["unlink", "unlink", "sync ."]
    assert "fsync" not in called(lambda: store.put("g/h", b"1"))
    copied = pickle.loads(pickle.dumps(safe))
    assert called(lambda: copied.put("i", b"1")) == ["fsync", "sync ."]
    url = LocalStore.from_url(root.as_uri(), fsync=True)
    assert called(lambda: url.put("j", b"1")) == ["fsync", "sync ."]


# --- races


RACE = """
import sys
from objstore import exceptions
from objstore.store import LocalStore

store = LocalStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(100):
    path = f"folder/{number:03}"
    try:
        mode = "create" if sys.argv[2] == "create" else {"e_tag": sys.argv[3 + number]}
        store.put(path, sys.argv[2].encode() * 10_000, mode=mode)
        print("won", number, flush=True)
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
        pass
"""


@pytest.mark.parametrize("kind", ["create", "update"])
def test_of_many_processes_one_wins(store: LocalStore, root: Path, kind: str) -> None:
    if kind == "update":
        tags = [store.put(f"folder/{number:03}", b"first")["e_tag"] or "" for number in range(100)]
    else:
        tags = []
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, root, kind, *tags], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    winners = sorted(line for process in processes for line in process.communicate("go\n")[0].splitlines())
    assert winners == sorted(f"won {number}" for number in range(100))
    assert set(store.get_many([f"folder/{number:03}" for number in range(100)])) == {kind.encode() * 10_000}
    assert len(files(root)) == 101


def test_an_update_never_undoes_an_overwrite(store: LocalStore) -> None:
    """Counters that are read, increased and written back only if nobody else has: none is lost."""

    def increase(_: int) -> None:
        while True:
            result = store.get("counter")
            try:
                store.put("counter", b"%d" % (int(result.bytes().decode()) + 1), mode={"e_tag": result.meta["e_tag"]})
            except exceptions.PreconditionError:
                continue
            return

    store.put("counter", b"0")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(increase, range(40)))
    assert store.get("counter").bytes() == b"40"


def test_of_many_who_delete_one_version_one_is_told_so(store: LocalStore) -> None:
    for _ in range(20):
        e_tag = store.put("folder/a", b"1")["e_tag"] or ""
        with ThreadPoolExecutor(4) as threads:
            ended = [threads.submit(store.delete, "folder/a", if_match=e_tag) for _ in range(4)]
        assert sorted(type(each.exception()).__name__ for each in ended) == ["NoneType", *["NotFoundError"] * 3]


def test_nobody_comes_between_the_look_and_the_delete(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another puts there once the version was compared is put after the delete, and not deleted with it."""
    e_tag = store.put("a", b"old")["e_tag"] or ""
    other = threading.Thread(target=store.put, args=("a", b"new"))
    compare = local_provider.check_conditions

    def compared(*arguments: Any) -> None:
        compare(*arguments)
        other.start()
        other.join(0.2)  # whoever does not wait for us has done it by then

    monkeypatch.setattr(local_provider, "check_conditions", compared)
    store.delete("a", if_match=e_tag)
    other.join()
    assert store.get_many(["a"]) == [b"new"]


def test_folders_that_others_remove(root: Path) -> None:
    store = LocalStore(root, automatic_cleanup=True)

    def come_and_go(number: int) -> None:
        for turn in range(50):
            store.put(f"a/b/{number}", b"%d" % turn, mode="create" if number % 2 else "overwrite")
            store.delete(f"a/b/{number}")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(come_and_go, range(4)))
    assert files(root) == []


# --- symlinks


def test_symlinks_within_the_root(store: LocalStore, root: Path) -> None:
    store.put("real/deep/a", b"1")
    (root / "relative").symlink_to("real/deep")
    (root / "absolute").symlink_to(root / "real")
    (root / "file").symlink_to(root / "real" / "deep" / "a")
    (root / "real" / "up").symlink_to("../real/deep/a")
    wanted = ["absolute/deep/a", "absolute/up", "file", "real/deep/a", "real/up", "relative/a"]
    assert paths(store) == wanted
    assert [store.get(path).bytes() for path in wanted] == [b"1"] * 6
    assert store.get_many(wanted) == [b"1"] * 6
    assert [meta["size"] for meta in store.head_many(wanted)] == [1] * 6
    assert store.list_with_delimiter()["common_prefixes"] == ["absolute", "real", "relative"]
    store.put("absolute/new", b"2")
    assert (root / "real" / "new").read_bytes() == b"2"
    store.put("file", b"3")
    assert not (root / "file").is_symlink()
    assert store.get("real/deep/a").bytes() == b"1"


def test_nothing_leads_out(store: LocalStore, root: Path) -> None:
    outside = root.parent / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "secret").write_bytes(b"secret")
    (root / "file").symlink_to(outside / "secret")
    (root / "relative").symlink_to("../outside/secret")
    (root / "folder").symlink_to(outside)
    (root / "up").symlink_to("..")
    store.put("inside", b"1")
    for path in ("file", "relative", "folder/secret", "up/outside/secret", "folder/../inside/x"):
        for call in (
            lambda path=path: store.get(path),
            lambda path=path: store.head(path),
            lambda path=path: store.get_many([path]),
            lambda path=path: store.head_many([path]),
            lambda path=path: store.get_range(path, start=0, length=1),
            lambda path=path: store.copy(path, "stolen"),
            lambda path=path: store.rename(path, "stolen"),
            lambda path=path: store.delete(path),
        ):
            with pytest.raises((exceptions.PermissionDeniedError, exceptions.InvalidPathError)):
                call()  # type: ignore[no-untyped-call]
    for path in ("folder/new", "up/new", "folder/folder/new"):
        for call in (
            lambda path=path: store.put(path, b"2"),
            lambda path=path: store.put(path, b"2", use_multipart=True),
            lambda path=path: store.copy("inside", path),
            lambda path=path: store.rename("inside", path),
        ):
            with pytest.raises(exceptions.PermissionDeniedError, match="leads out"):
                call()  # type: ignore[no-untyped-call]
    store.put("relative", b"2")  # the link is replaced, not what it leads to
    assert paths(store) == ["inside", "relative"]
    assert store.list_with_delimiter()["common_prefixes"] == []
    assert paths(store, "folder") == []
    assert files(outside) == ["folder", "secret"]
    assert (outside / "secret").read_bytes() == b"secret"


def test_symlinks_that_lead_nowhere(store: LocalStore, root: Path) -> None:
    (root / "broken").symlink_to("missing")
    (root / "circle").symlink_to("circle")
    (root / "folder").mkdir()
    (root / "folder" / "itself").symlink_to(".")
    (root / "folder" / "above").symlink_to("..")
    store.put("folder/a", b"1")
    assert paths(store) == ["folder/a"]
    assert store.list_with_delimiter()["common_prefixes"] == ["folder"]
    with pytest.raises(exceptions.NotFoundError):
        store.get("broken")
    with pytest.raises(exceptions.BaseError, match="circle"):
        store.get("circle")


def test_a_renamed_symlink_keeps_its_object(store: LocalStore, root: Path) -> None:
    store.put("folder/a", b"1")
    (root / "folder" / "link").symlink_to("a")
    store.rename("folder/link", "moved")
    assert paths(store) == ["folder/a", "moved"]
    assert store.get("moved").bytes() == b"1"


def exchange(one: Path, other: Path) -> None:
    """Let two paths change places, in one step."""
    if ctypes.CDLL(None, use_errno=True).renameat2(-100, bytes(one), -100, bytes(other), 2):
        raise OSError(ctypes.get_errno(), "renameat2")


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns fifty times as often: who has let go of the GIL has it back soon."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(before / 50)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_switches")
def test_a_folder_swapped_for_a_symlink_under_way(store: LocalStore, root: Path) -> None:
    """However fast the folder turns into a link that leads out, nothing is read or written out there."""
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(b"secret")
    store.put("folder/a", b"1")
    over = threading.Event()

    def swap() -> None:
        (root / "link").symlink_to(outside)
        while not over.is_set():
            exchange(root / "folder", root / "link")

    with ThreadPoolExecutor(1) as threads:
        swapping = threads.submit(swap)
        try:
            for _ in range(300):
                try:
                    assert store.get("folder/a").bytes() == b"1"
                    store.put("folder/a", b"1")
                except (exceptions.PermissionDeniedError, exceptions.NotFoundError, exceptions.NotSupportedError):
                    pass  # it is refused, with one reason or another
        finally:
            over.set()
        swapping.result()
    assert files(outside) == ["a"]
    assert (outside / "a").read_bytes() == b"secret"


def test_what_is_no_regular_file(store: LocalStore, root: Path) -> None:
    os.mkfifo(root / "pipe")
    store.put("a", b"1")
    assert paths(store) == ["a"]
    for call in (
        lambda: store.get("pipe"),
        lambda: store.get_many(["pipe"]),
        lambda: store.head_many(["pipe"]),
        lambda: store.delete("pipe"),
    ):
        with pytest.raises(exceptions.NotFoundError, match="pipe"):
            call()
    assert (root / "pipe").exists()


# --- attributes


def test_attributes_stay_with_the_file(store: LocalStore, root: Path) -> None:
    attributes = {"Content-Type": "text/x-test", "mine": "日本\t1", "UPPER": ""}
    store.put("a", b"1", attributes=attributes)
    store.put("b", b"1", attributes=attributes, use_multipart=True)
    store.copy("a", "folder/c")
    store.rename("a", "d")
    for path in ("b", "folder/c", "d"):
        assert LocalStore(root).get(path).attributes == attributes
    store.put("d", b"2")
    assert store.get("d").attributes == {}


def test_too_many_attributes(store: LocalStore, root: Path) -> None:
    with pytest.raises(exceptions.NotSupportedError, match="attributes"):
        store.put("folder/a", b"1", attributes={"mine": "x" * 100_000})
    assert files(root) == []


def test_a_file_system_without_attributes(store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "setxattr", refuse)
    monkeypatch.setattr(os, "getxattr", refuse)
    with pytest.raises(exceptions.NotSupportedError, match="extended attributes"):
        store.put("folder/a", b"1", attributes={"mine": "1"})
    assert files(root) == []
    store.put("a", b"1")
    assert store.get("a").attributes == {}


# --- keys


def test_a_key_is_a_file_or_a_folder(store: LocalStore, root: Path) -> None:
    store.put("a/b", b"1")
    store.put("other", b"2")
    for path in ("a", "a/b/c"):
        for call in (
            lambda path=path: store.put(path, b"2"),
            lambda path=path: store.put(path, b"2", mode="create"),
            lambda path=path: store.put(path, b"2", use_multipart=True),
            lambda path=path: store.copy("other", path),
            lambda path=path: store.rename("other", path),
            lambda path=path: store.rename("other", path, overwrite=False),
        ):
            with pytest.raises(exceptions.NotSupportedError, match="folder"):
                call()  # type: ignore[no-untyped-call]
    assert files(root) == ["a", "a/b", "other"]
    with pytest.raises(exceptions.NotFoundError, match="folder"):
        store.delete("a")


def writes(store: LocalStore, path: str) -> list[Any]:
    """Return all that may put an object in a place."""
    store.put("other", b"2")
    return [
        lambda: store.put(path, b"2"),
        lambda: store.put(path, b"2", mode="create"),
        lambda: store.put(path, b"2", use_multipart=True),
        lambda: store.put_many({path: b"2"}),
        lambda: store.copy("other", path),
        lambda: store.copy("other", path, overwrite=False),
        lambda: store.rename("other", path),
        lambda: store.rename("other", path, overwrite=False),
    ]


@pytest.mark.parametrize("below", [["a/b"], ["a/b/c", "a/d"], ["a/b/c/d", "a/b/e/f", "a/g"]])
@pytest.mark.parametrize("number", range(8))
def test_folders_that_a_store_has_left_are_in_nobodys_way(
    store: LocalStore, root: Path, below: list[str], number: int
) -> None:
    store.put_many((path, b"1") for path in below)
    store.delete(below)
    assert store.list_with_delimiter() == {"common_prefixes": [], "objects": []}
    writes(LocalStore(root), "a")[number]()
    assert store.get("a").bytes() == b"2"


def make_pipe_below(path: Path) -> None:
    path.mkdir()
    os.mkfifo(path / "pipe")


def test_a_part_file_that_was_left_behind_keeps_no_folder(store: LocalStore, root: Path) -> None:
    store.put("a/b", b"1")
    store.delete("a/b")
    (root / "a" / ".objstore-0123456789abcdef.part").touch()
    store.put("a", b"2")
    assert files(root) == ["a"]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(Path.mkdir, id="folder"),
        pytest.param(lambda path: (path / "inner").mkdir(parents=True), id="folder in a folder"),
        pytest.param(make_pipe_below, id="pipe in a folder"),
        pytest.param(os.mkfifo, id="pipe"),
        pytest.param(lambda path: path.symlink_to(path.parent), id="link to a folder"),
    ],
)
@pytest.mark.parametrize("in_a_folder_of_ours", [False, True])
def test_what_somebody_made_is_kept(store: LocalStore, root: Path, make: Any, in_a_folder_of_ours: bool) -> None:
    for number in range(8):
        write = writes(store, "a")[number]
        if in_a_folder_of_ours and number == 0:
            store.put("a/c/d", b"1")
            store.delete("a/c/d")
            make(root / "a" / "b")
        elif number == 0:
            make(root / "a")
        before = [name for name in files(root) if name != "a/c"]
        with pytest.raises(exceptions.NotSupportedError, match="folder"):
            write()
        assert [name for name in files(root) if name != "a/c"] == before


def test_on_a_file_system_without_attributes_no_folder_is_replaced(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell there who made it; with automatic_cleanup, none is left in the first place."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "setxattr", refuse)
    monkeypatch.setattr(os, "getxattr", refuse)
    store.put("a/b", b"1")
    store.delete("a/b")
    with pytest.raises(exceptions.NotSupportedError, match="not made by a LocalStore"):
        store.put("a", b"2")
    cleaning = LocalStore(root, automatic_cleanup=True)
    cleaning.put("a/b", b"1")
    cleaning.delete("a/b")
    cleaning.put("a", b"2")


@pytest.mark.parametrize("path", ["x" * 256, "folder/" + "é" * 128])
def test_names_that_are_too_long(store: LocalStore, root: Path, path: str) -> None:
    for call in (
        lambda: store.put(path, b"1"),
        lambda: store.put(path, b"1", use_multipart=True),
        lambda: store.get(path),
        lambda: store.get_many([path]),
        lambda: store.delete(path),
    ):
        with pytest.raises(exceptions.InvalidPathError, match="too long"):
            call()
    assert files(root) == []


def test_names_that_are_not_utf_8_are_no_keys(store: LocalStore, root: Path) -> None:
    (root / os.fsdecode(b"\xff\xfe")).touch()
    (root / os.fsdecode(b"folder\xff")).mkdir()
    (root / os.fsdecode(b"folder\xff") / "a").touch()
    store.put("a", b"1")
    assert paths(store) == ["a"]
    assert store.list_with_delimiter()["common_prefixes"] == []


@pytest.fixture
def nobody(root: Path) -> Iterator[None]:
    """Be a user to whom permissions apply."""
    if os.geteuid() != 0:
        yield
        return
    for folder in (root, *root.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o755)
    os.chown(root, 65534, 65534)
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("mode", [0, 0o444, 0o111])
@pytest.mark.parametrize("place", ["", "folder", "folder/inner"])
def test_a_listing_names_what_it_may_not_look_at(store: LocalStore, root: Path, mode: int, place: str) -> None:
    """A folder that may not be read, or read but not entered (0444), has objects that we cannot see: that is said."""
    store.put_many({"a": b"", "folder/a": b"1", "folder/inner/b": b"1", "folder/inner/c/d": b"1"})
    (root / place).chmod(mode)
    listings: list[Any] = [
        lambda: paths(store),
        lambda: paths(store, place or None),
        lambda: [*store.list(chunk_size=1)],
        lambda: store.list_with_delimiter(place or None),
        lambda: [*store.walk()],
        lambda: store.glob("**").collect(),
    ]
    if place:
        listings.append(lambda: store.delete_prefix(place))
    try:
        for listing in listings:
            with pytest.raises(exceptions.PermissionDeniedError, match=place or str(root)):
                listing()
    finally:
        (root / place).chmod(0o755)
    assert len(paths(store)) == 4


@pytest.mark.usefixtures("nobody")
def test_a_link_to_what_may_not_be_looked_at(store: LocalStore, root: Path) -> None:
    store.put("folder/inner/a", b"1")
    (root / "link").symlink_to("folder/inner")
    (root / "folder").chmod(0o600)
    try:
        with pytest.raises(exceptions.PermissionDeniedError, match=r"folder|link"):
            store.list_with_delimiter()
    finally:
        (root / "folder").chmod(0o755)


FEW = """
import os, resource, sys
from objstore import exceptions
from objstore.store import LocalStore

store = LocalStore(sys.argv[1])
wanted = [meta["path"] for meta in store.list().collect()]
lowest = len(os.listdir("/proc/self/fd")) - 1
short = 0
for most in range(lowest, lowest + 12):
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, 4096))
    try:
        found = [meta["path"] for meta in LocalStore.list(store).collect()]
    except exceptions.BaseError as error:
        assert error.code == "EMFILE", error
        short += 1
    else:
        assert found == wanted, (most, found)
assert 0 < short < 12, short
"""


def test_a_listing_that_runs_out_of_descriptors_is_an_error(store: LocalStore, root: Path) -> None:
    store.put_many({"a": b"", "folder/a": b"1", "folder/inner/b": b"1"})
    (root / "link").symlink_to("a")
    (root / "folder" / "up").symlink_to("../folder/inner")
    (root / "absolute").symlink_to(root / "folder" / "inner")
    subprocess.run([sys.executable, "-c", FEW, root], check=True)


# --- deleting


def test_a_missing_object_is_an_error_and_the_others_are_deleted(store: LocalStore) -> None:
    store.put_many({"a": b"", "b": b"", "c": b""})
    with pytest.raises(exceptions.NotFoundError, match="missing") as missing:
        store.delete(["a", "missing", "b"])
    assert missing.value.path == "missing"
    assert paths(store) == ["c"]


def remove_by_fsspec(store: LocalStore) -> None:
    fsspec = pytest.importorskip("objstore.fsspec")
    fsspec.FsspecStore("file", skip_instance_cache=True).rm(f"{store.prefix}/folder", recursive=True)


def remove_by_zarr(store: LocalStore) -> None:
    zarr = pytest.importorskip("objstore.zarr", exc_type=ImportError)
    asyncio.run(zarr.Store(store).delete_dir("folder"))


def remove_by_arrow(store: LocalStore) -> None:
    pytest.importorskip("pyarrow")
    directories = importlib.import_module("objstore._arrow.directories")
    directories.directories_of(store).remove("folder/")


@pytest.mark.parametrize("remove", [remove_by_fsspec, remove_by_zarr, remove_by_arrow])
def test_all_that_is_below_is_removed_though_another_call_is_first(
    root: Path, monkeypatch: pytest.MonkeyPatch, remove: Any
) -> None:
    store = LocalStore(root)
    store.put_many((f"folder/{number}", b"") for number in range(3))
    delete = local_provider.Local._delete

    def after_another(self: Any, key: str) -> None:
        (root / "folder" / "1").unlink(missing_ok=True)
        delete(self, key)

    monkeypatch.setattr(local_provider.Local, "_delete", after_another)
    remove(store)
    assert paths(store) == []


@pytest.mark.parametrize("cleanup", [False, True])
def test_automatic_cleanup(root: Path, cleanup: bool) -> None:
    store = LocalStore(root, automatic_cleanup=cleanup)
    store.put_many({"a/b/c": b"1", "a/d": b"2", "e/f/g": b"3"})
    store.delete("a/b/c")
    store.rename("e/f/g", "h")
    assert files(root) == (["a", "a/d", "h"] if cleanup else ["a", "a/b", "a/d", "e", "e/f", "h"])
    store.delete(["a/d", "h"])
    assert root.is_dir()


# --- copies


def test_a_copy_is_of_its_own(store: LocalStore, root: Path, tmp_path: Path) -> None:
    store.put("a", b"1" * 100)
    store.copy("a", "b")
    with (root / "a").open("r+b") as file:
        file.write(b"2")
    assert store.get("b").bytes() == b"1" * 100
    other = LocalStore(tmp_path / "other", mkdir=True)
    store.copy("b", "folder/c", to_store=other)
    assert other.get("folder/c").bytes() == b"1" * 100


def test_without_copies_by_the_kernel(store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    (tmp_path / "source").write_bytes(random.Random(1).randbytes(MIB + 1))
    store.upload(tmp_path / "source", "a", chunk_size=100_000)
    store.put("b", tmp_path / "source")
    assert store.get_many(["a", "b"]) == [(tmp_path / "source").read_bytes()] * 2


def test_parts_of_different_sizes(store: LocalStore) -> None:
    data = random.Random(1).randbytes(3 * MIB)
    store.put("a", iter([data[:5], data[5 : 2 * MIB], data[2 * MIB :]]), use_multipart=True, chunk_size=300_001)
    assert store.get("a").bytes() == data


def test_a_file_that_is_cut_while_it_is_read(store: LocalStore, root: Path) -> None:
    store.put("a", bytes(30 * MIB))
    result = store.get("a")
    os.truncate(root / "a", 15 * MIB)
    with pytest.raises(exceptions.ObjectChangedError):
        result.bytes()


@pytest.mark.parametrize("size", [1000, 30 * MIB])
def test_an_object_that_is_written_to_while_it_is_read(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Other programs may write to a file in place: what is read is of one version, or an error."""
    store.put("a", bytes(size))
    result = store.get("a")
    read, changes = os.preadv, iter(range(100))

    def change(*arguments: Any) -> int:
        got = read(*arguments)
        with (root / "a").open("r+b") as file:
            os.pwrite(file.fileno(), b"%d" % next(changes), size - 3)
        return got

    monkeypatch.setattr(os, "preadv", change)
    with pytest.raises(exceptions.ObjectChangedError):
        store.get("a")
    if size > 10 * MIB:
        with pytest.raises(exceptions.ObjectChangedError):
            result.bytes()


def test_ranges_of_a_file_that_is_written_to_between_them(store: LocalStore, root: Path) -> None:
    store.put("a", bytes(MIB))
    path, reads = b"a", local_reads.FileReads()
    for start in (0, 100):
        reads.add(path, start, start + 10)
    folder = os.open(root, os.O_RDONLY)
    try:
        reads.work(folder, 1, 10.0)  # stops after the first
        with (root / "a").open("r+b") as file:
            file.write(b"new")
        reads.work(folder, MIB, 10.0)
    finally:
        os.close(folder)
    assert reads.mixed


@pytest.mark.parametrize("other", [False, True])
def test_a_large_read_is_left_when_its_time_is_over_and_gone_on_with(
    store: LocalStore, root: Path, other: bool
) -> None:
    """So an event loop that does the reading itself is held for no longer."""
    content = os.urandom(3 * LEFT_AFTER + 5)
    store.put("a", content)
    reads = local_reads.FileReads()
    reads.add(b"a", 1, 3 * LEFT_AFTER + 1)
    reads.add(b"a")
    folder = os.open(root, os.O_RDONLY)
    settled = []
    try:
        while reads.settled < 2:
            reads.work(folder, 10 * LEFT_AFTER, 0.0, alone=True)
            settled.append(reads.settled)
            if other:
                store.put("a", b"other" + content[5:])
    finally:
        os.close(folder)
    if other:
        assert (reads.failures(0, 1), reads.bodies()[0]) == ([(0, errno.ESTALE)], None)
    else:
        assert settled == [0, 0, 1, 1, 1, 1, 2]
        assert [bytes(body or b"") for body in reads.bodies()] == [content[1:-4], content]


def test_who_reads_alone_does_a_large_read_in_steps(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(2 * LEFT_AFTER + 5)
    store.put_many([("a", content), ("b", b"b")])
    steps = []
    read = local_reads.Reading._read
    monkeypatch.setattr(local_reads, "AT_A_TIME", 0.0)
    monkeypatch.setattr(local_reads.Reading, "_read", lambda self, most: (steps.append(self.settled), read(self, most)))
    bodies = store.get_many(["b", "a", "b"], max_concurrency=1)
    assert [bytes(body) for body in bodies] == [b"b", content, b"b"]
    assert steps == [0, 1, 1, 1, 2]


def test_a_source_that_is_written_to_while_it_is_copied(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("a", b"1" * MIB)
    store.put("b", b"old")
    copied = os.copy_file_range

    def change(*arguments: Any) -> int:
        done = copied(*arguments)
        with (root / "a").open("r+b") as file:
            file.write(b"new")
        return done

    monkeypatch.setattr(os, "copy_file_range", change)
    with pytest.raises(exceptions.ObjectChangedError):
        store.copy("a", "b")
    assert store.get("b").bytes() == b"old"
    assert files(root) == ["a", "b"]


def test_without_openat2(store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(local_root, "open_beneath", refuse)
    (root / "out").symlink_to("..")
    store.put("a/b/c", b"1")
    assert store.get("a/b/c").bytes() == b"1"
    assert paths(store) == ["a/b/c"]
    with pytest.raises(exceptions.PermissionDeniedError):
        store.get("out/a")
    with pytest.raises(exceptions.NotFoundError):
        store.get("a/b/missing")


# --- listings

SEGMENTS = st.sampled_from(["a", "a.b", "a-b", "a0", "ab", "b", "é", "~", "!", "z z", "0"])
KEYS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)


def fits(keys: set[str]) -> list[str]:
    """Return those of some keys that can be files beside each other."""
    return [key for key in sorted(keys) if not any(other.startswith(key + "/") for other in keys)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.sets(KEYS, max_size=25), prefix=st.one_of(st.none(), KEYS), offset=st.one_of(st.none(), KEYS))
def test_listings_are_those_of_the_memory(
    tmp_path_factory: pytest.TempPathFactory, keys: set[str], prefix: str | None, offset: str | None
) -> None:
    local, memory = LocalStore(tmp_path_factory.mktemp("listing")), MemoryStore()
    for store in (local, memory):
        store.put_many((key, key.encode()) for key in fits(keys))
    assert paths(local) == paths(memory)
    found = [meta["path"] for meta in local.list(prefix, offset=offset).collect()]
    assert found == [meta["path"] for meta in memory.list(prefix, offset=offset).collect()]
    level, wanted = local.list_with_delimiter(prefix), memory.list_with_delimiter(prefix)
    assert level["common_prefixes"] == wanted["common_prefixes"]
    assert [meta["path"] for meta in level["objects"]] == [meta["path"] for meta in wanted["objects"]]


def test_pages_go_on_wherever_they_are_asked_for(root: Path) -> None:
    """A page after a token is the same, whether the store remembers the page before it or not."""
    keys = sorted(f"{number % 7}/{number:04}" if number % 3 else f"{number:04}" for number in range(2500))
    LocalStore(root).put_many((key, b"") for key in keys)
    stream, cold = LocalStore(root).list(chunk_size=1000), []
    for page in stream:
        last = cold[-1] if cold else None
        fresh = [meta["path"] for meta in LocalStore(root).list(offset=last, chunk_size=1000).collect()[: len(page)]]
        assert [meta["path"] for meta in page] == fresh
        cold += fresh
    assert cold == keys


def test_what_vanishes_during_a_listing_is_left_out(store: LocalStore) -> None:
    store.put_many((f"{number:04}", b"") for number in range(1500))
    stream = store.list(chunk_size=1000)
    assert len(next(stream)) == 1000
    store.delete([f"{number:04}" for number in range(1000, 1400)])
    assert [meta["path"] for meta in stream.collect()] == [f"{number:04}" for number in range(1400, 1500)]


def test_a_small_prefix_reads_no_other_folder(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put_many((f"{folder}/{inner}/a", b"") for folder in "abc" for inner in "xyz")
    read = []
    scan = os.scandir
    monkeypatch.setattr(
        os, "scandir", lambda folder: read.append(os.readlink(f"/proc/self/fd/{folder}")) or scan(folder)
    )
    assert paths(store, "b/y") == ["b/y/a"]
    assert [path.removeprefix(str(store.prefix)) for path in read] == ["/b/y"]


def test_other_stores_are_other_stores(root: Path) -> None:
    assert LocalStore(root) != S3Store("bucket", region="eu-west-1")


def test_one_file_is_enough_to_know_of_a_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b/c", "d/e/f"):
        (root / name).mkdir(parents=True)
        for index in range(300):
            (root / name / str(index)).touch()
    (root / "empty" / "too").mkdir(parents=True)
    looked_at: list[Any] = []
    look = os.stat
    monkeypatch.setattr(
        local_listing.os, "stat", lambda *args, **more: (looked_at.append(args), look(*args, **more))[1]
    )
    assert LocalStore(root).list_with_delimiter()["common_prefixes"] == ["a", "b", "d"]
    assert len(looked_at) <= 10


def test_names_behind_the_first_file_are_not_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a/b/c").mkdir(parents=True)
    for index in range(300):
        (root / "a/b/c" / str(index)).touch()
    (root / "a/b/itself").symlink_to("..")
    (root / "none/itself").mkdir(parents=True)
    (root / "none/itself/again").symlink_to("..")
    read: list[str] = []
    name = local_listing.Walk._name
    monkeypatch.setattr(local_listing.Walk, "_name", lambda *args: (read.append(args[1]), name(*args))[1])
    assert LocalStore(root).list_with_delimiter()["common_prefixes"] == ["a"]
    assert len(read) <= 30


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not tell which cores are ours")
@pytest.mark.parametrize("cores", [1, 3])
def test_files_are_read_by_one_thread_where_we_may_use_one_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    begun: list[Thread] = []

    def start(thread: Thread) -> None:
        begun.append(thread)
        begin(thread)

    begin = Thread.start
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    monkeypatch.setattr(Thread, "start", start)
    store = LocalStore(tmp_path)
    names = [str(number) for number in range(600)]
    store.put_many([(name, b"body") for name in names])
    begun.clear()
    assert [bytes(body) for body in store.get_many(names)] == [b"body"] * 600
    assert bool(begun) is (cores > 1)
