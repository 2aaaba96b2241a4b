"""Deleting one object and many, copying, renaming."""

from __future__ import annotations

from typing import Any

import pytest

from objstore import exceptions
from objstore.store import HTTPStore, MemoryStore
from tests.conformance.conftest import SMALL, Face, Mode


async def paths(store: Face) -> list[str]:
    return [meta["path"] for meta in await store.mode(store.list()).collect()]


async def put(store: Face, *names: str) -> None:
    for name in names:
        await store.put(name, name.encode())


# --- delete


async def test_delete_one(store: Face) -> None:
    await put(store, "a", "b")
    assert await store.delete("a") is None
    assert await paths(store) == ["b"]
    with pytest.raises(exceptions.NotFoundError):
        await store.get("a")


@pytest.mark.parametrize("sequence", [list, tuple])
async def test_delete_several(store: Face, sequence: Any) -> None:
    await put(store, "a", "b", "c/d")
    await store.delete(sequence(["a", "c/d"]))
    assert await paths(store) == ["b"]


async def test_delete_nothing(store: Face) -> None:
    await put(store, "a")
    await store.delete([])
    assert await paths(store) == ["a"]


@pytest.mark.needs("deletes of what is missing")
async def test_delete_what_does_not_exist(store: Face) -> None:
    await put(store, "a")
    await store.delete("missing")
    await store.delete(["missing", "a", "another"])
    assert await paths(store) == []


@pytest.mark.needs("keys below keys", "deletes of what is missing")
async def test_delete_does_not_delete_below(store: Face) -> None:
    await put(store, "a/b", "a/c")
    await store.delete("a")
    assert await paths(store) == ["a/b", "a/c"]


@pytest.mark.needs("deletes of what is missing")
async def test_delete_more_than_a_thousand(store: Face) -> None:
    names = [f"k/{number:04}" for number in range(1003)]
    await put(store, "kept", names[0], names[500], names[999], names[1000], names[1002])
    await store.delete(names)
    assert await paths(store) == ["kept"]


async def test_delete_takes_paths(store: Face) -> None:
    await put(store, "a", "b", "c", "d")
    for wrong in (5, None, b"a"):
        with pytest.raises(TypeError):
            await store.delete(wrong)
    assert await paths(store) == ["a", "b", "c", "d"]
    await store.delete(iter(["a"]))
    await store.delete({"b"})
    await store.delete({"c": 1}.keys())
    assert await paths(store) == ["d"]


async def test_one_bad_path_among_many_deletes_nothing(store: Face) -> None:
    await put(store, "a", "b")
    with pytest.raises(exceptions.InvalidPathError):
        await store.delete(["a", "../b"])
    assert await paths(store) == ["a", "b"]


@pytest.mark.needs("conditions of deletes", "ETags within a second")
async def test_what_is_another_version_is_not_deleted(store: Face, mode: Mode) -> None:
    first = (await store.put("a/b", b"1"))["e_tag"] or (await store.head("a/b"))["e_tag"]
    await store.put("a/b", b"2")
    with pytest.raises(exceptions.PreconditionError, match="a/b") as refused:
        await store.delete("a/b", if_match=first)
    assert (refused.value.path, refused.value.maybe_applied) == ("a/b", False)
    assert await mode(await store.get("a/b")).bytes() == b"2"
    second = (await store.head("a/b"))["e_tag"]
    assert await store.delete("a/b", if_match=second) is None
    assert await paths(store) == []


@pytest.mark.needs("conditions of deletes", "conditions of deletes of what is missing")
async def test_a_version_of_what_is_missing_is_not_deleted(store: Face) -> None:
    e_tag = (await store.put("a", b"1"))["e_tag"] or (await store.head("a"))["e_tag"]
    await store.delete("a")
    with pytest.raises((exceptions.NotFoundError, exceptions.PreconditionError), match="a"):
        await store.delete("a", if_match=e_tag)


async def test_what_names_the_version_to_delete_is_one_text(store: Face) -> None:
    await put(store, "a", "b")
    for wrong in (5, b"x", ["x"]):
        with pytest.raises(TypeError, match="if_match"):
            await store.delete("a", if_match=wrong)
    for several in (["a"], ["a", "b"]):
        with pytest.raises(TypeError, match="one path"):
            await store.delete(several, if_match='"x"')
    with pytest.raises(ValueError, match="if_match is empty"):
        await store.delete("a", if_match="")
    with pytest.raises(ValueError, match="do not go together"):
        await store.delete("a", version="1", if_match='"x"')
    assert await paths(store) == ["a", "b"]


async def test_delete_prefix_goes_on_where_another_call_was_first(store: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(store, "a/1", "a/2", "a/3", "b")
    provider, first = store.target.provider, []
    delete = provider.delete

    def after_another(keys: Any, **options: Any) -> Any:
        if not first:
            first.append(keys[1])
            yield from delete([keys[1]], most_in_flight=1)
        return (yield from delete(keys, **options))

    monkeypatch.setattr(provider, "delete", after_another)
    deleted = await store.delete_prefix("a")
    assert deleted in (2, 3)  # not every service tells that one was not there
    assert await paths(store) == ["b"]


# --- copy


@pytest.mark.needs("attributes")
async def test_copy(store: Face, mode: Mode) -> None:
    attributes = {"Content-Type": "text/x-test", "mine": "1"}
    await store.put("a", SMALL, attributes=attributes)
    assert await store.copy("a", "c/d e") is None
    result = await store.get("c/d e")
    assert {name: result.attributes.get(name) for name in attributes} == attributes
    assert await mode(result).bytes() == SMALL
    assert await mode(await store.get("a")).bytes() == SMALL


async def test_copy_overwrites(store: Face, mode: Mode) -> None:
    await put(store, "a", "b")
    await store.copy("a", "b")
    assert await mode(await store.get("b")).bytes() == b"a"


async def test_copy_of_what_does_not_exist(store: Face) -> None:
    with pytest.raises(exceptions.NotFoundError, match="missing"):
        await store.copy("missing", "b")
    assert await paths(store) == []


@pytest.mark.needs("copies that replace nothing")
@pytest.mark.parametrize("operation", ["copy", "rename"])
async def test_what_does_not_exist_is_not_copied_to_where_nothing_is(store: Face, operation: str) -> None:
    with pytest.raises(exceptions.NotFoundError, match="missing") as error:
        await getattr(store, operation)("missing", "b", overwrite=False)
    assert error.value.path == "missing"
    assert await paths(store) == []


@pytest.mark.needs("copies that replace nothing")
@pytest.mark.parametrize("operation", ["copy", "rename"])
async def test_what_exists_is_not_overwritten(store: Face, mode: Mode, operation: str) -> None:
    await put(store, "a", "b")
    with pytest.raises(exceptions.AlreadyExistsError, match="b") as refused:
        await getattr(store, operation)("a", "b", overwrite=False)
    assert isinstance(refused.value, FileExistsError)
    assert await mode(await store.get("a")).bytes() == b"a"
    assert await mode(await store.get("b")).bytes() == b"b"
    await getattr(store, operation)("a", "c", overwrite=False)
    assert await mode(await store.get("c")).bytes() == b"a"


@pytest.mark.needs("copies that replace nothing", "attributes")
async def test_a_copy_that_replaces_nothing_is_a_whole_copy(store: Face, mode: Mode) -> None:
    attributes = {"Content-Type": "text/x-test", "mine": "1"}
    for name, data in (("empty", b""), ("some", SMALL)):
        await store.put(name, data, attributes=attributes)
        await store.copy(name, f"{name} copied", overwrite=False)
        result = await store.get(f"{name} copied")
        assert {each: result.attributes.get(each) for each in attributes} == attributes
        assert await mode(result).bytes() == data


@pytest.mark.needs("conditions of reads", "ETags within a second")
async def test_what_is_another_version_is_not_copied(store: Face, mode: Mode) -> None:
    first = (await store.put("a", b"1"))["e_tag"] or (await store.head("a"))["e_tag"]
    await store.put("a", b"2")
    second = (await store.head("a"))["e_tag"]
    for target in ("b", "a"):
        with pytest.raises(exceptions.PreconditionError, match="a") as refused:
            await store.copy("a", target, if_match=first)
        assert not refused.value.maybe_applied
    assert await paths(store) == ["a"]
    await store.copy("a", "b", if_match=second)
    assert await mode(await store.get("b")).bytes() == b"2"
    other = MemoryStore()
    with pytest.raises(exceptions.PreconditionError, match="a"):
        await store.copy("a", "c", if_match=first, to_store=other)
    await store.copy("a", "c", if_match=second, to_store=other)
    assert [meta["path"] for meta in other.list().collect()] == ["c"]
    with pytest.raises((exceptions.NotFoundError, exceptions.PreconditionError), match="missing"):
        await store.copy("missing", "b", if_match=second)


@pytest.mark.needs("copies that replace nothing", "conditions of reads", "ETags within a second")
async def test_a_copy_of_one_version_replaces_nothing(store: Face, mode: Mode) -> None:
    await put(store, "a", "b")
    e_tag = (await store.head("a"))["e_tag"]
    with pytest.raises(exceptions.AlreadyExistsError, match="b"):
        await store.copy("a", "b", if_match=e_tag, overwrite=False)
    await store.copy("a", "c", if_match=e_tag, overwrite=False)
    assert await mode(await store.get("c")).bytes() == b"a"


@pytest.mark.needs("copies that replace one version", "conditions of reads", "ETags within a second")
@pytest.mark.parametrize("operation", ["copy", "rename"])
async def test_what_is_another_version_is_not_replaced(store: Face, mode: Mode, operation: str) -> None:
    if operation == "rename" and isinstance(store.target, HTTPStore):
        pytest.skip("few WebDAV servers compare the version that a MOVE replaces, and so it is refused")
    await put(store, "a", "b")
    first = (await store.head("b"))["e_tag"]
    await store.put("b", b"2")
    with pytest.raises(exceptions.PreconditionError, match="b") as refused:
        await getattr(store, operation)("a", "b", overwrite={"e_tag": first})
    assert (refused.value.path, refused.value.maybe_applied) == ("b", False)
    with pytest.raises(exceptions.PreconditionError, match="c"):
        await getattr(store, operation)("a", "c", overwrite={"e_tag": first})
    assert await mode(await store.get("b")).bytes() == b"2"
    assert await paths(store) == ["a", "b"]
    await getattr(store, operation)("a", "b", overwrite={"e_tag": (await store.head("b"))["e_tag"]})
    assert await mode(await store.get("b")).bytes() == b"a"
    assert await paths(store) == (["b"] if operation == "rename" else ["a", "b"])


@pytest.mark.needs("copies that replace one version", "conditions of reads", "ETags within a second")
async def test_a_copy_of_one_version_replaces_one_version(store: Face, mode: Mode) -> None:
    await put(store, "a", "b", "c")
    a, b, c = [(await store.head(name))["e_tag"] for name in "abc"]
    for source, target in ((c, b), (a, c), (c, a)):
        with pytest.raises(exceptions.PreconditionError):
            await store.copy("a", "b", if_match=source, overwrite={"e_tag": target})
    assert await mode(await store.get("b")).bytes() == b"b"
    await store.copy("a", "b", if_match=a, overwrite={"e_tag": b})
    assert await mode(await store.get("b")).bytes() == b"a"


@pytest.mark.needs("conditions", "conditions of writes", "ETags within a second")
async def test_what_comes_from_elsewhere_replaces_one_version(store: Face, mode: Mode) -> None:
    other = MemoryStore()
    other.put("a", b"a")
    await put(store, "b")
    e_tag = (await store.head("b"))["e_tag"]
    copy = mode(other).copy
    await copy("a", "b", overwrite={"e_tag": e_tag}, to_store=store.target)
    assert await mode(await store.get("b")).bytes() == b"a"
    await store.put("b", b"2")
    with pytest.raises(exceptions.PreconditionError, match="b"):
        await copy("a", "b", overwrite={"e_tag": e_tag}, to_store=store.target)
    assert await mode(await store.get("b")).bytes() == b"2"


async def test_what_names_the_version_to_be_replaced_is_checked(store: Face, mode: Mode) -> None:
    await put(store, "a", "b")
    for operation in (store.copy, store.rename):
        for wrong in ("x", 1, None, ["x"], {"e_tag": 5}):
            with pytest.raises(TypeError, match="overwrite"):
                await operation("a", "b", overwrite=wrong)
        for none in ({}, {"e_tag": None}, {"e_tag": ""}, {"etag": "x"}, {"e_tag": "a\nb"}):
            with pytest.raises(ValueError, match="overwrite"):
                await operation("a", "b", overwrite=none)
    with pytest.raises(TypeError, match="overwrite"):
        await store.copy_many([("a", "b")], overwrite={"e_tag": "x"})
    assert await mode(await store.get("b")).bytes() == b"b"


# --- rename


@pytest.mark.needs("attributes")
async def test_rename(store: Face, mode: Mode) -> None:
    await store.put("a", SMALL, attributes={"mine": "1"})
    assert await store.rename("a", "b/c") is None
    assert await paths(store) == ["b/c"]
    result = await store.get("b/c")
    assert result.attributes["mine"] == "1"
    assert await mode(result).bytes() == SMALL


async def test_rename_overwrites(store: Face, mode: Mode) -> None:
    await put(store, "a", "b")
    await store.rename("a", "b")
    assert await paths(store) == ["b"]
    assert await mode(await store.get("b")).bytes() == b"a"


@pytest.mark.parametrize("overwrite", [True, False])
async def test_renamed_to_itself_an_object_stays(store: Face, mode: Mode, overwrite: bool) -> None:
    await put(store, "a")
    await store.rename("a", "a", overwrite=overwrite)
    assert await mode(await store.get("a")).bytes() == b"a"


async def test_rename_of_what_does_not_exist(store: Face) -> None:
    await put(store, "b")
    for target in ("b", "missing"):
        with pytest.raises(exceptions.NotFoundError, match="missing"):
            await store.rename("missing", target)
    assert await paths(store) == ["b"]


@pytest.mark.parametrize("operation", ["copy", "rename"])
async def test_both_paths_are_checked(store: Face, operation: str) -> None:
    await put(store, "a")
    for source, target in (("a", ""), ("", "a"), ("a", "b//c"), ("../a", "b")):
        with pytest.raises(exceptions.InvalidPathError):
            await getattr(store, operation)(source, target)
    assert await paths(store) == ["a"]
