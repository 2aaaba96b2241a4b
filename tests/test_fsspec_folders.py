"""Local folders, beside fsspec's own LocalFileSystem: the same programs, the same outcomes."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fsspec")

import fsspec

from objstore.fsspec import FsspecStore


def outcome(call: Callable[[], Any]) -> Any:
    """Return what a call returns, or the kind of its error."""
    try:
        return call()
    except (OSError, ValueError) as error:
        return next(
            kind for kind in (FileExistsError, FileNotFoundError, OSError, ValueError) if isinstance(error, kind)
        )


STEPS: dict[str, Callable[[Any, str], Any]] = {
    "mkdir": lambda fs, top: fs.mkdir(f"{top}/a"),
    "mkdir again": lambda fs, top: fs.mkdir(f"{top}/a"),
    "mkdir without parents": lambda fs, top: fs.mkdir(f"{top}/x/y", create_parents=False),
    "mkdir with parents": lambda fs, top: fs.mkdir(f"{top}/b/c"),
    "makedirs": lambda fs, top: fs.makedirs(f"{top}/d/e"),
    "makedirs again": lambda fs, top: fs.makedirs(f"{top}/d/e"),
    "makedirs where it may exist": lambda fs, top: fs.makedirs(f"{top}/d/e", exist_ok=True),
    "isdir": lambda fs, top: [fs.isdir(f"{top}/{name}") for name in ("a", "b", "b/c", "d/e", "x", "")],
    "exists": lambda fs, top: [fs.exists(f"{top}/{name}") for name in ("a", "b/c", "x")],
    "ls": lambda fs, top: [sorted(fs.ls(f"{top}{name}", detail=False)) for name in ("", "/a", "/b")],
    "ls of nothing": lambda fs, top: fs.ls(f"{top}/x"),
    "find": lambda fs, top: fs.find(top, withdirs=True),
    "walk": lambda fs, top: sorted([place, sorted(dirs), sorted(files)] for place, dirs, files in fs.walk(top)),
    "write": lambda fs, top: fs.pipe(f"{top}/a/file", b"1"),
    "rmdir of what is not empty": lambda fs, top: fs.rmdir(f"{top}/a"),
    "rmdir": lambda fs, top: fs.rmdir(f"{top}/d/e"),
    "rmdir of nothing": lambda fs, top: fs.rmdir(f"{top}/x"),
    "mkdir on a file": lambda fs, top: fs.mkdir(f"{top}/a/file"),
    "rm of a folder": lambda fs, top: fs.rm(f"{top}/a"),
    "rm of nothing": lambda fs, top: fs.rm(f"{top}/x"),
    "rm of a tree": lambda fs, top: fs.rm(f"{top}/a", recursive=True),
    "rm of an empty tree": lambda fs, top: fs.rm(f"{top}/b", recursive=True),
    "rm of no tree": lambda fs, top: fs.rm(f"{top}/x", recursive=True),
    "what is left": lambda fs, top: fs.find(top, withdirs=True),
}


def test_local_folders_are_as_those_of_fsspec(tmp_path: Path) -> None:
    ours, theirs = FsspecStore("file", skip_instance_cache=True), fsspec.filesystem("file")
    seen = []
    for fs, name in ((theirs, "theirs"), (ours, "ours")):
        top = str(tmp_path / name)
        os.mkdir(top)
        steps = {step: outcome(partial(act, fs, top)) for step, act in STEPS.items()}
        seen.append(repr(steps).replace(top, "TOP"))
    assert seen[1] == seen[0]


def tree(fs: Any, top: str) -> Any:
    """Make a folder with one file and an empty folder in it, and return what there is."""
    fs.makedirs(f"{top}/a/b")
    fs.makedirs(f"{top}/a/empty")
    fs.pipe(f"{top}/a/b/x", b"1")
    return fs.find(top, withdirs=True)


def linked(fs: Any, top: str) -> None:
    """Make a folder, and a link to it in another one."""
    tree(fs, top)
    os.mkdir(f"{top}/c")
    os.symlink(f"{top}/a", f"{top}/c/link")


PROGRAMS: dict[str, Callable[[Any, str], Any]] = {
    "copy a tree": lambda fs, top: fs.copy(f"{top}/a", f"{top}/z", recursive=True),
    "copy into a folder": lambda fs, top: fs.copy(f"{top}/a", f"{top}/c", recursive=True),
    "put a tree": lambda fs, top: fs.put(f"{top}/a", f"{top}/z", recursive=True),
    "get a tree": lambda fs, top: fs.get(f"{top}/a", f"{top}/z", recursive=True),
    "move a tree": lambda fs, top: fs.mv(f"{top}/a", f"{top}/z", recursive=True),
    "move without a word of what is in it": lambda fs, top: fs.mv(f"{top}/a", f"{top}/z"),
    "move into a folder": lambda fs, top: fs.mv(f"{top}/a", f"{top}/c"),
    "move a file": lambda fs, top: fs.mv(f"{top}/a/b/x", f"{top}/y"),
    "move a file into a folder": lambda fs, top: fs.mv(f"{top}/a/b/x", f"{top}/c"),
    "move what is not there": lambda fs, top: fs.mv(f"{top}/none", f"{top}/z"),
    "move a folder with a link": lambda fs, top: fs.mv(f"{top}/c", f"{top}/z", recursive=True),
    "remove a link to a folder": lambda fs, top: fs.rm(f"{top}/c/link"),
    "remove a link with all": lambda fs, top: fs.rm(f"{top}/c/link", recursive=True),
    "remove a folder with a link": lambda fs, top: fs.rm(f"{top}/c", recursive=True),
    "a path from where we are": lambda fs, top: [
        fs.pipe("here", b"2"),
        fs.cat("./a/b/x"),
        fs.isdir("."),
        fs.exists(f"{top}/here"),
        fs.ls("a", detail=False),
        fs.glob("a/*"),
    ],
    "one above where we are": lambda fs, top: fs.cat(f"../{os.path.basename(top)}/a/b/x"),
    "at home": lambda fs, top: [fs.isdir("~"), fs.exists("~/none")],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_trees_are_moved_and_copied_as_by_fsspec(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for fs, name in (
        (fsspec.filesystem("file"), "theirs"),
        (FsspecStore("file", skip_instance_cache=True), "ours"),
    ):
        top = str(tmp_path / name)
        os.mkdir(top)
        monkeypatch.chdir(top)
        linked(fs, top)
        said = outcome(partial(PROGRAMS[program], fs, top))
        found = sorted(os.path.join(place, each) for place, dirs, files in os.walk(top) for each in dirs + files)
        seen.append(repr([said, found]).replace(top, "TOP"))
    assert seen[1] == seen[0]


def test_a_folder_of_objects_is_moved_only_with_all_in_it() -> None:
    fs = FsspecStore("memory", skip_instance_cache=True)
    fs.pipe("a/x", b"1")
    with pytest.raises(ValueError, match="'a' is a folder: give recursive=True"):
        fs.mv("a", "b")
    fs.mv("a", "b", recursive=True)
    assert fs.find("") == ["b/x"]


@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_touch(protocol: str, tmp_path: Path) -> None:
    fs, top = FsspecStore(protocol, skip_instance_cache=True), str(tmp_path) if protocol == "file" else "top"
    fs.pipe(f"{top}/file", b"1")
    fs.touch(f"{top}/empty/")
    fs.touch(f"{top}/new", truncate=False)
    assert (fs.isdir(f"{top}/empty"), fs.isfile(f"{top}/empty"), fs.size(f"{top}/new")) == (True, False, 0)
    if protocol == "file":
        before = fs.modified(f"{top}/file")
        fs.touch(f"{top}/file", truncate=False)
        assert fs.modified(f"{top}/file") > before
    else:
        with pytest.raises(NotImplementedError, match=r"'top/file' exists\. An object's time"):
            fs.touch(f"{top}/file", truncate=False)
    assert fs.cat(f"{top}/file") == b"1"
    fs.touch(f"{top}/file")
    assert fs.cat(f"{top}/file") == b""
    fs.rm(f"{top}/empty", recursive=True)
    assert not fs.exists(f"{top}/empty")


def test_a_folder_is_not_in_itself() -> None:
    """As it would be where a segment of keys is empty, and whoever walks it would never end."""
    fs = FsspecStore("memory", skip_instance_cache=True)
    fs.pipe({"a//b": b"1", "a/c": b"2"})
    assert fs.ls("a", detail=False) == ["a/c"]
    assert fs.find("a") == ["a//b", "a/c"]
    fs.rm("a/c")
    assert fs.ls("a", detail=False) == []


def test_hints_for_caches_are_taken() -> None:
    fs = FsspecStore("memory", skip_instance_cache=True)
    fs.pipe("a", b"1")
    assert fs.open("a", default_cache="none", fill_cache=False).read() == b"1"


def test_text_is_told_to_be_encoded() -> None:
    fs = FsspecStore("memory", skip_instance_cache=True)
    for call in (fs.pipe, fs.pipe_file, lambda path, value: fs.pipe({path: value})):
        with pytest.raises(TypeError, match=r"\.encode\(\)"):
            call("a", "text")
    assert fs.find("") == []
