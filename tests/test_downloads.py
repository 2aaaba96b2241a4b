"""What a download is written to: links, permissions, names, what is no file; part files; and the disk's own memory."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from objstore import exceptions
from objstore.disk import part_files
from objstore.operations import downloads
from objstore.store import LocalStore, MemoryStore

MIB = 1 << 20
DATA = bytes(range(256)) * (4 * MIB // 256)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    store.put("a", DATA)
    store.put("small", b"small")
    return store


class StoppedError(Exception):
    """The end of a download, brought about by its progress callback."""


def stop_after(parts: int) -> Callable[[int, int, int], None]:
    def progress(done: int, total: int, size: int) -> None:
        if done >= parts:
            raise StoppedError

    return progress


def break_off(store: Any, target: Path, **options: Any) -> None:
    """Begin to download an object of four parts, and stop after the second."""
    with pytest.raises(StoppedError):
        store.download("a", target, chunk_size=MIB, max_concurrency=1, progress=stop_after(2), **options)


def first_told(store: Any, target: Path, **options: Any) -> int:
    """Download to the end; return how many parts were there when the first one came."""
    told: list[int] = []
    store.download("a", target, chunk_size=MIB, max_concurrency=1, progress=lambda *now: told.append(now[0]), **options)
    assert target.read_bytes() == store.get("a").bytes()
    return told[0]


# --- what it is written to


@pytest.mark.parametrize("links", [["file"], ["link", "file"], ["one", "two", "sub/file"]])
@pytest.mark.parametrize("exists", [True, False])
def test_links_are_followed(store: MemoryStore, tmp_path: Path, links: list[str], exists: bool) -> None:
    (tmp_path / "sub").mkdir()
    for link, leads_to in pairwise(links):
        (tmp_path / link).symlink_to(leads_to)
    if exists:
        (tmp_path / links[-1]).write_bytes(b"old")
    store.download("a", tmp_path / links[0])
    assert (tmp_path / links[-1]).read_bytes() == DATA
    assert [(tmp_path / link).is_symlink() for link in links] == [True] * (len(links) - 1) + [False]
    assert len([*tmp_path.rglob("*")]) == len(links) + 1


def test_a_circle_of_links(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links"):
        store.download("a", tmp_path / "one")


@pytest.mark.parametrize("old", [b"", b"short", DATA + b"longer"])
def test_all_names_of_a_file_name_what_was_downloaded(store: MemoryStore, tmp_path: Path, old: bytes) -> None:
    (tmp_path / "file").write_bytes(old)
    (tmp_path / "other").hardlink_to(tmp_path / "file")
    store.download("a", tmp_path / "file", fsync=True)
    assert (tmp_path / "other").read_bytes() == DATA
    assert (tmp_path / "other").samefile(tmp_path / "file")
    assert sorted(os.listdir(tmp_path)) == ["file", "other"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o444, 0o666])
def test_permissions_are_kept(store: MemoryStore, tmp_path: Path, mode: int) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(mode)
    break_off(store, tmp_path / "file")
    [part] = [path for path in tmp_path.iterdir() if path.name != "file"]
    assert stat.S_IMODE(part.stat().st_mode) & 0o077 == 0  # what it will be allowed, nobody is before
    store.download("a", tmp_path / "file", chunk_size=MIB)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_a_new_file_has_the_permissions_of_new_files(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "like").touch()
    store.download("a", tmp_path / "file")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "like").stat().st_mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_is_kept(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.chown(tmp_path / "file", 1234, 2345)
    store.download("a", tmp_path / "file")
    found = (tmp_path / "file").stat()
    assert (found.st_uid, found.st_gid) == (1234, 2345)


def make_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this user may make no devices")


@pytest.mark.parametrize("make", [os.mkfifo, make_device])
@pytest.mark.parametrize("by_link", [False, True])
def test_what_is_no_regular_file_is_refused(
    store: MemoryStore, tmp_path: Path, make: Callable[[Path], None], by_link: bool
) -> None:
    make(tmp_path / "special")
    (tmp_path / "link").symlink_to("special")
    with pytest.raises(ValueError, match="regular file"):
        store.download("a", tmp_path / ("link" if by_link else "special"))
    assert not (tmp_path / "special").is_file()
    assert sorted(os.listdir(tmp_path)) == ["link", "special"]


@pytest.mark.parametrize("name", ["new/", "new/.", "new//", "folder/", "folder", "folder/.", ".", ""])
def test_a_folder_is_refused(store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IsADirectoryError):
        store.download("a", name)
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize("name", ["x" * 240, "x" * 255, "é" * 127, "日" * 85])
def test_long_names(store: MemoryStore, tmp_path: Path, name: str) -> None:
    break_off(store, tmp_path / name)
    assert first_told(store, tmp_path / name) == 3
    assert os.listdir(tmp_path) == [name]


# --- part files


def parts(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if part_files.NAME.fullmatch(os.fsencode(name))]


def test_one_of_another_version_takes_the_place_of_the_old_one(store: MemoryStore, tmp_path: Path) -> None:
    target = tmp_path / "file"
    break_off(store, target)
    [part] = parts(tmp_path)
    store.put("a", DATA[::-1])
    break_off(store, target)
    assert os.listdir(tmp_path) == [part]
    store.put("a", DATA[: 2 * MIB])
    assert first_told(store, target) == 1
    assert os.listdir(tmp_path) == ["file"]


def test_another_store_begins_anew(tmp_path: Path) -> None:
    """Two servers may give different bytes the same path, size, time and ETag."""
    one, other = (LocalStore(tmp_path / name, mkdir=True) for name in ("one", "other"))
    one.put("a", DATA)
    os.link(tmp_path / "one" / "a", tmp_path / "other" / "a")
    break_off(one, tmp_path / "file")
    assert first_told(other, tmp_path / "file") == 1


def test_without_a_strong_e_tag_nothing_goes_on(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "strong", lambda _: None)
    break_off(store, tmp_path / "file")
    assert first_told(store, tmp_path / "file") == 1


def test_they_are_hidden_in_a_local_store(store: MemoryStore, tmp_path: Path) -> None:
    local = LocalStore(tmp_path)
    local.put("kept", b"1")
    break_off(store, tmp_path / "file")
    [part] = parts(tmp_path)
    assert [meta["path"] for meta in local.list().collect()] == ["kept"]
    with pytest.raises(exceptions.InvalidPathError, match="unfinished"):
        local.get(part)
    local.put("file", b"2")  # the target is there: what was left behind is not needed any more
    assert sorted(os.listdir(tmp_path)) == ["file", "kept"]


def test_one_that_is_being_written_is_left_alone(store: MemoryStore, tmp_path: Path) -> None:
    target = tmp_path / "file"

    def progress(done: int, total: int, size: int) -> None:
        if done == 1:
            store.download("small", target)
            assert target.read_bytes() == b"small"
            LocalStore(tmp_path).put("file", b"other")
            assert len(parts(tmp_path)) == 1

    store.download("a", target, chunk_size=MIB, max_concurrency=1, progress=progress)
    assert target.read_bytes() == DATA
    assert os.listdir(tmp_path) == ["file"]


KILLED = """
import os, sys
from objstore.store import MemoryStore

store = MemoryStore()
store.put("a", bytes(4 << 20))

def progress(done, total, size):
    if len(sys.argv) > 2 and done == 1:  # a second one to the same target at the same time
        store.download("a", sys.argv[1], chunk_size=1 << 20, max_concurrency=1, progress=kill)
    if len(sys.argv) == 2 and done == 2:
        kill()

def kill(*_):
    os.kill(os.getpid(), 9)

store.download("a", sys.argv[1], chunk_size=1 << 20, max_concurrency=1, progress=progress)
"""


@pytest.mark.parametrize("more", [[], ["two"]])
def test_what_a_kill_leaves_behind_is_removed_by_the_next_call(
    store: MemoryStore, tmp_path: Path, more: list[str]
) -> None:
    target = tmp_path / "file"
    ended = subprocess.run([sys.executable, "-c", KILLED, target, *more], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(parts(tmp_path)) == 1 + len(more)
    store.download("small", target)
    assert os.listdir(tmp_path) == ["file"]


def test_the_documented_way_to_remove_them(store: MemoryStore, tmp_path: Path) -> None:
    """The command of the README removes those that nobody writes any more."""
    (tmp_path / "below").mkdir()
    break_off(store, tmp_path / "below" / "left")

    def clean(*_: int) -> None:
        command = f"find {tmp_path} -name '.objstore-*.part' -exec flock --nonblock {{}} rm {{}} \\;"
        subprocess.run(["bash", "-c", command], check=True)
        assert parts(tmp_path / "below") == []
        assert len(parts(tmp_path)) == 1

    store.download("small", tmp_path / "file", progress=clean)
    assert (tmp_path / "file").read_bytes() == b"small"


@pytest.mark.parametrize("planted", ["link", "hard link", "another's"])
def test_a_part_file_that_somebody_else_prepared_is_not_used(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    """Their names can be guessed, and in /tmp everybody may make files."""
    part = tmp_path / os.fsdecode(part_files.name_of(b"file", 0))
    (tmp_path / "spy").touch()
    if planted == "link":
        part.symlink_to("spy")
    elif planted == "hard link":
        part.hardlink_to(tmp_path / "spy")
    else:
        part.touch()
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with part.open() if planted == "another's" else (tmp_path / "spy").open() as spy:
        store.download("small", tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == b"small"
        assert spy.read() == ""


def test_a_file_system_without_locks(store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can tell there whether a part file is being written: none is gone on with, none is left behind."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(part_files.fcntl, "flock", refuse)
    break_off(store, tmp_path / "file")
    assert os.listdir(tmp_path) == []
    assert first_told(store, tmp_path / "file") == 1


# --- the disk


def test_marks_come_after_the_parts(store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fsync, a part is on the disk before its mark is written, and the whole before it is in place."""
    done: list[str] = []

    def recorded(name: str) -> None:
        function = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            is_mark = name == "pwrite" and bytes(args[1]) == b"\1"
            done.append("mark" if is_mark else name)
            return function(*args, **kwargs)

        monkeypatch.setattr(os, name, call)

    for name in ("pwrite", "fsync", "rename"):
        recorded(name)
    store.download("a", tmp_path / "file", chunk_size=MIB, max_concurrency=1, fsync=True)
    begun, part = ["fsync", "pwrite"], ["pwrite", "fsync", "mark"]
    assert done == begun + 4 * part + ["fsync", "rename", "fsync"]
    done.clear()
    store.download("a", tmp_path / "file", chunk_size=MIB, max_concurrency=1)
    assert "fsync" not in done


@pytest.mark.parametrize(("fsync", "first"), [(False, 1), (True, 3)])
def test_marks_that_may_have_come_before_their_parts_are_not_believed(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: bool, first: int
) -> None:
    """Where the system went down, only what was forced out to the disk is surely there."""
    break_off(store, tmp_path / "file", fsync=fsync)
    monkeypatch.setattr(downloads, "_boot", lambda: "another")
    assert first_told(store, tmp_path / "file", fsync=fsync) == first
