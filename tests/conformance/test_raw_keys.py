"""Keys as the service has them, which no path can name: taken as they are by a store that was told to."""

from __future__ import annotations

import pytest

from objstore import exceptions
from tests.conformance.conftest import Face

pytestmark = pytest.mark.needs("raw keys")

KEYS = [
    "/",
    "//",
    "/a",
    "a",
    "a/",
    "a//b",
    "a b+c%20%2F",
    "\t",
    "~#?&=",
    "é\U0001f600",
    "﷽",
]
DOTS = ["a/./b", "a/../b", ".", ".."]
ALL = [pytest.param(KEYS, id="keys"), pytest.param(DOTS, marks=pytest.mark.needs("segments of dots"), id="dots")]


@pytest.mark.parametrize("keys", ALL)
async def test_every_key_is_itself(raw_store: Face, keys: list[str]) -> None:
    for number, key in enumerate(keys):
        await raw_store.put(key, b"%d" % number)
    for number, key in enumerate(keys):
        result = await raw_store.get(key)
        assert (result.meta["path"], bytes(result.bytes())) == (key, b"%d" % number)
        assert (await raw_store.head(key))["path"] == key
    found = await raw_store.mode(raw_store.list()).collect()
    assert [meta["path"] for meta in found] == sorted(keys)


@pytest.mark.parametrize("keys", ALL)
async def test_a_prefix_is_any_beginning(raw_store: Face, keys: list[str]) -> None:
    for key in (*keys, "a/"):
        await raw_store.put(key, b"")
    found = await raw_store.mode(raw_store.list("a/")).collect()
    assert [meta["path"] for meta in found] == sorted({"a/", *(key for key in keys if key.startswith("a/"))})
    level = await raw_store.list_with_delimiter("a/")
    assert level["common_prefixes"] == (["a//"] if keys is KEYS else ["a/../", "a/./"])
    assert [meta["path"] for meta in level["objects"]] == ["a/"]


@pytest.mark.parametrize("key", ["/d", pytest.param("..", marks=pytest.mark.needs("segments of dots"))])
async def test_they_are_copied_renamed_and_deleted(raw_store: Face, key: str) -> None:
    await raw_store.put("a//b", b"body")
    await raw_store.copy("a//b", "/c/")
    await raw_store.rename("a//b", key)
    await raw_store.copy(key, "z")
    found = await raw_store.mode(raw_store.list()).collect()
    assert [meta["path"] for meta in found] == sorted([key, "/c/", "z"])
    await raw_store.delete([key, "/c/", "z"])
    assert await raw_store.mode(raw_store.list()).collect() == []


@pytest.mark.parametrize("key", ["", "\ud800", "x" * 1025])
async def test_keys_that_no_service_has(raw_store: Face, key: str) -> None:
    with pytest.raises(exceptions.InvalidPathError):
        await raw_store.put(key, b"")


@pytest.mark.parametrize(
    "bulk", [True, pytest.param(False, marks=pytest.mark.needs("listings of what no document can hold"))]
)
async def test_keys_that_no_document_can_hold_are_deleted(raw_store: Face, bulk: bool) -> None:
    keys = ["p/a\x01b", "p/\x1f\x7f", "p/\ufffe", "p/plain", "p/\x0b"]
    for key in (*keys, "kept"):
        await raw_store.put(key, b"1")
    if bulk:
        await raw_store.delete(keys)
    else:
        assert await raw_store.delete_prefix("p/") == len(keys)
    assert [meta["path"] for meta in await raw_store.mode(raw_store.list()).collect()] == ["kept"]
