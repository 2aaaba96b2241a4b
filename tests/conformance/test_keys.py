"""Paths: what may be one, what may not, and that every key comes back as it went in."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from objstore import engine_info, exceptions
from objstore.store import HTTPStore
from tests.conformance.conftest import Face, Mode

SPECIAL = [
    "a b",
    "a+b",
    "a~b",
    "é",
    "e\u0301",
    "#",
    "a?x=1",
    "100%",
    "%41",
    "a%2Fb",
    "a&b;c",
    "a=b",
    "日本語/キー",
    "😀",
    "quo\"te's",
    "<tag>&amp;",
    "semi;colon,comma",
    "star*",
    "[x]{y}(z)",
    "a:b@c",
    "!$^`|",
    ".hidden",
    "...",
    "a..b",
    "trailing.",
    "x/..y/z..",
    "UPPER/Upper",
    "\u00a0nbsp",
    "\ue000\uffee",
    "k" * 255,
]
IN_FOLDERS = [f"special {number}/{key}" for number, key in enumerate(SPECIAL)]


async def test_special_keys_come_back(store: Face, mode: Mode) -> None:
    await store.put_many((key, key.encode()) for key in IN_FOLDERS)
    assert await store.get_many(IN_FOLDERS) == [key.encode() for key in IN_FOLDERS]
    listed = [meta["path"] for meta in await mode(store.list()).collect()]
    assert sorted(listed) == sorted(IN_FOLDERS)
    metas = await store.head_many(IN_FOLDERS)
    assert [meta["path"] for meta in metas] == IN_FOLDERS


def needing(key: str, longest: int | None = None) -> Any:
    """Return a key with the marks of what a server must be able to do to keep, copy and rename it."""
    needs = {
        "names of more than 255 bytes": (longest or len(key) + len(" renamed")) > 255,
        "every Destination": "?" in key or ";" in key,
    }
    return pytest.param(key, marks=[pytest.mark.needs(feature) for feature, needed in needs.items() if needed])


@pytest.mark.parametrize("key", [needing(key) for key in SPECIAL])
async def test_every_operation_on_a_special_key(store: Face, mode: Mode, key: str) -> None:
    await store.put(key, b"1")
    assert await mode(await store.get(key)).bytes() == b"1"
    assert (await store.head(key))["path"] == key
    assert await store.get_range(key, start=0, end=1) == b"1"
    await store.copy(key, f"copy/{key}")
    assert [meta["path"] for meta in await mode(store.list("copy")).collect()] == [f"copy/{key}"]
    await store.rename(f"copy/{key}", f"{key} renamed")
    assert await mode(await store.get(f"{key} renamed")).bytes() == b"1"
    await store.delete([key, f"{key} renamed"])
    assert await mode(store.list()).collect() == []
    await store.put(key, b"2", use_multipart=True)
    await store.delete(key)
    assert await mode(store.list()).collect() == []


@pytest.mark.needs("offsets")
@pytest.mark.parametrize("key", [key for key in SPECIAL if key != "..."])
async def test_a_special_prefix(store: Face, mode: Mode, key: str) -> None:
    prefix = key.replace("/", "-")
    await store.put(f"{prefix}/below/object", b"1")
    assert [meta["path"] for meta in await mode(store.list(prefix)).collect()] == [f"{prefix}/below/object"]
    assert await store.list_with_delimiter(prefix) == {"common_prefixes": [f"{prefix}/below"], "objects": []}
    assert (await store.list_with_delimiter())["common_prefixes"] == [prefix]
    assert await mode(store.list(prefix, offset=f"{prefix}/below/object")).collect() == []


BACKSLASH = pytest.param("back\\slash", marks=pytest.mark.needs("backslashes"))


@pytest.mark.parametrize("key", [" leading", "trailing ", "a/ b /c", BACKSLASH, " "])
async def test_spaces_and_backslashes(store: Face, mode: Mode, key: str) -> None:
    await store.put(key, b"1")
    assert await mode(await store.get(key)).bytes() == b"1"
    assert [meta["path"] for meta in await mode(store.list()).collect()] == [key]
    await store.put("another", b"2")
    await store.delete([key, "another"])
    assert await mode(store.list()).collect() == []


@pytest.mark.needs("long keys")
@pytest.mark.parametrize("key", ["a/" * 511 + "bc", needing("k" * 1024, 1024), needing("é" * 512, 1024)])
async def test_the_longest_keys(store: Face, mode: Mode, key: str) -> None:
    await store.put(key, b"1")
    assert await mode(await store.get(key)).bytes() == b"1"
    assert [meta["path"] for meta in await mode(store.list()).collect()] == [key]


@pytest.mark.parametrize("path", ["/a/b", "a/b/", "/a/b/"])
async def test_a_slash_at_an_end_does_not_count(store: Face, mode: Mode, path: str) -> None:
    await store.put(path, b"1")
    assert (await store.head("a/b"))["path"] == "a/b"
    assert await mode(await store.get(path)).bytes() == b"1"
    assert await store.get_range(path, start=0, end=1) == b"1"
    assert await store.get_ranges(path, starts=[0], ends=[1]) == [b"1"]
    await store.put("c", b"2")
    await store.copy("c", path)
    assert await mode(await store.get(path)).bytes() == b"2"
    await store.delete(["a/b", "c"])
    assert await mode(store.list()).collect() == []


@pytest.mark.parametrize("path", ["/a/b", "a/b/", "/a/b/"])
async def test_a_slash_at_an_end_is_refused_where_much_would_change(store: Face, mode: Mode, path: str) -> None:
    await store.put("a/b", b"1")
    for call in (
        lambda: store.delete(path),
        lambda: store.delete(["a/b", path]),
        lambda: store.copy(path, "c"),
        lambda: store.rename(path, "c"),
        lambda: store.rename("a/b", path),
        lambda: store.get_many(["a/b", (path, 0, 1)]),
        lambda: store.get_many([path], on_error="return"),
        lambda: mode.all(store.iter_many([path])),
        lambda: store.head_many([path]),
        lambda: store.put_many([(path, b"2")]),
        lambda: store.sign("DELETE", path, timedelta(seconds=9)),
        lambda: store.sign("GET", [path], timedelta(seconds=9)),
        lambda: store.delete_prefix(path if path[0] == "/" else "a//"),
    ):
        with pytest.raises(exceptions.InvalidPathError, match="raw_keys"):
            await call()
    assert await mode(await store.get("a/b")).bytes() == b"1"
    assert [meta["path"] for meta in await mode(store.list()).collect()] == ["a/b"]


UNFIT = ["", "/", "//", ".", "..", "../a", "a/..", "a/./b", "a//b", "//a", "a\nb", "a\0", "\x7f", "a\x1fb"]
TOO_LONG = ["k" * 1025, "é" * 513]


@pytest.mark.parametrize("path", [*UNFIT, *TOO_LONG])
async def test_what_cannot_be_a_path_is_not_sent(store: Face, tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    sent = engine_info()["requests"]
    reads = [
        lambda: store.get(path),
        lambda: store.get_range(path, start=0, end=1),
        lambda: store.get_ranges(path, starts=[0], ends=[1]),
        lambda: store.head(path),
        lambda: store.download(path, tmp_path / "new"),
    ]
    is_url = path == "" and isinstance(store.target, HTTPStore)  # which can be read itself
    for call in (
        *([] if is_url else reads),
        lambda: store.put(path, b"1"),
        lambda: store.delete(path),
        lambda: store.delete(["a", path]),
        lambda: store.copy(path, "a"),
        lambda: store.copy("a", path),
        lambda: store.rename(path, "a"),
        lambda: store.rename("a", path),
        lambda: store.get_many(["a", (path, 0, 1)]),
        lambda: store.head_many(["a", path]),
        lambda: store.put_many([("a", b"1"), (path, b"1")]),
        lambda: store.upload(tmp_path / "file", path),
    ):
        with pytest.raises(exceptions.InvalidPathError, match="cannot be a path") as refused:
            await call()
        assert isinstance(refused.value, ValueError)
        assert refused.value.path is not None
    assert engine_info()["requests"] == sent
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("path", [None, 5, b"a", PurePosixPath("a")])
async def test_a_path_is_a_str(store: Face, path: Any) -> None:
    sent = engine_info()["requests"]
    for call in (
        lambda: store.get(path),
        lambda: store.put(path, b"1"),
        lambda: store.head(path),
        lambda: store.copy("a", path),
        lambda: store.delete([path]),
        lambda: store.get_many([(path, 0, 1)]),
        lambda: store.head_many([path]),
    ):
        with pytest.raises(TypeError, match="str"):
            await call()
    assert engine_info()["requests"] == sent
