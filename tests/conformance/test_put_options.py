"""What a write takes along: attributes, tags, and the mode, which says what it may replace."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from objstore import engine_info, exceptions
from tests.conformance.conftest import SMALL, Bucket, Face, Mode

RESERVED = {
    "Content-Disposition": 'attachment; filename="a b.txt"',
    "Content-Encoding": "zstd",
    "Content-Language": "de",
    "Content-Type": "text/x-test; charset=utf-8",
    "Cache-Control": "max-age=3",
}


async def test_a_default_content_type(bucket: Bucket, mode: Mode) -> None:
    store = mode(bucket.open(client_options={"allow_http": True, "default_content_type": "text/x-default"}))
    await store.put("a", SMALL)
    await store.put("b", SMALL, attributes={"content-type": "text/x-other"})
    assert (await store.get("a")).attributes["Content-Type"] == "text/x-default"
    assert (await store.get("b")).attributes["Content-Type"] == "text/x-other"


@pytest.mark.needs("attributes")
@pytest.mark.parametrize("use_multipart", [None, True])
async def test_attributes(store: Face, use_multipart: bool | None) -> None:
    given = {**RESERVED, "mine": "1", "another_one": "x  y"}
    await store.put("object", SMALL, attributes=given, use_multipart=use_multipart)
    found = (await store.get("object")).attributes
    assert {name: found.get(name) for name in given} == given
    assert (await store.get("object", options={"head": True})).attributes == found


@pytest.mark.needs("attributes", "dashes in the names of metadata")
async def test_attributes_with_dashes(store: Face) -> None:
    await store.put("object", SMALL, attributes={"another-one": "1"})
    assert (await store.get("object")).attributes["another-one"] == "1"


@pytest.mark.needs("attributes")
async def test_attributes_in_any_spelling(store: Face) -> None:
    given = {name.lower(): value for name, value in RESERVED.items()}
    await store.put("object", SMALL, attributes=given)
    found = (await store.get("object")).attributes
    assert {name: found.get(name) for name in RESERVED} == RESERVED
    given = {name.replace("-", ""): value for name, value in RESERVED.items()}
    await store.put("object", SMALL, attributes=given)
    assert (await store.get("object")).attributes == found


@pytest.mark.needs("attributes")
async def test_an_encoded_body_is_left_as_it_is(store: Face, mode: Mode) -> None:
    packed = gzip.compress(SMALL)
    await store.put("object", packed, attributes={"Content-Encoding": "gzip"})
    result = await store.get("object")
    assert result.attributes["Content-Encoding"] == "gzip"
    assert await mode(result).bytes() == packed
    assert await store.get_range("object", start=0, end=5) == packed[:5]


@pytest.mark.needs("attributes")
async def test_attributes_are_replaced_with_the_object(store: Face) -> None:
    await store.put("object", b"old", attributes={"mine": "1"})
    await store.put("object", b"new")
    assert "mine" not in (await store.get("object")).attributes


@pytest.mark.parametrize(
    "attributes",
    [{"mine": "a\r\nX-Evil: 1"}, {"mine": "a\nb"}, {"mi\rne": "1"}, {"Content-Type": "a\0b"}, {"": "x"}],
)
async def test_attributes_with_line_breaks_are_refused(store: Face, attributes: dict[str, str]) -> None:
    sent = engine_info()["requests"]
    with pytest.raises(ValueError, match="attribute"):
        await store.put("object", SMALL, attributes=attributes)
    with pytest.raises(ValueError, match="attribute"):
        await store.upload(__file__, "object", attributes=attributes)
    with pytest.raises(ValueError, match="attribute"):
        await store.put_many([("object", SMALL)], attributes=attributes)
    assert engine_info()["requests"] == sent


@pytest.mark.needs("attributes", "headers")
@pytest.mark.parametrize("attributes", [{"mine": "日本"}, {"mine": "é"}, {"näme": "1"}, {"a:b": "1"}, {"a b": "1"}])
async def test_attributes_that_are_no_headers_are_refused(store: Face, attributes: dict[str, str]) -> None:
    sent = engine_info()["requests"]
    with pytest.raises(ValueError, match=r"mine|name"):
        await store.put("object", SMALL, attributes=attributes)
    assert engine_info()["requests"] == sent


@pytest.mark.parametrize("attributes", [{"mine": 5}, {5: "mine"}, {"mine": None}, {"mine": b"bytes"}])
async def test_attributes_are_text(store: Face, attributes: Any) -> None:
    with pytest.raises(TypeError, match="mine"):
        await store.put("object", SMALL, attributes=attributes)


@pytest.mark.needs("tags")
@pytest.mark.parametrize(
    "use_multipart", [None, pytest.param(True, marks=pytest.mark.needs("tags of an upload in parts"))]
)
@pytest.mark.parametrize(
    "tags",
    [
        {"plain": "1", "with space": "a+b / c=d", "empty": ""},
        pytest.param({"é": "ü"}, marks=pytest.mark.needs("tags of any letters")),
    ],
    ids=["ascii", "letters"],
)
async def test_tags(bucket: Bucket, mode: Mode, use_multipart: bool | None, tags: dict[str, str]) -> None:
    await mode(bucket.open()).put("object", SMALL, tags=tags, use_multipart=use_multipart)
    found = bucket.client.get_object_tagging(Bucket=bucket.name, Key="object")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in found} == tags


@pytest.mark.needs("writes with tags")
async def test_tags_are_left_out_where_there_are_none(store: Face, mode: Mode) -> None:
    await store.put("object", SMALL, tags={"a": "b"})
    assert await mode(await store.get("object")).bytes() == SMALL


@pytest.mark.needs("tags")
async def test_tags_can_be_disabled(bucket: Bucket, mode: Mode) -> None:
    await mode(bucket.open(disable_tagging=True)).put("object", SMALL, tags={"a": "b"})
    assert bucket.client.get_object_tagging(Bucket=bucket.name, Key="object")["TagSet"] == []


async def test_put_replaces(store: Face, mode: Mode) -> None:
    for write_mode in (None, "overwrite", "Overwrite"):
        await store.put("object", b"old")
        await store.put("object", b"new", mode=write_mode)
        assert await mode(await store.get("object")).bytes() == b"new"


@pytest.mark.needs("conditions")
@pytest.mark.parametrize("use_multipart", [None, True])
async def test_create(store: Face, mode: Mode, use_multipart: bool | None) -> None:
    await store.put("object", b"old", mode="create", use_multipart=use_multipart)
    with pytest.raises(exceptions.AlreadyExistsError, match="object") as refused:
        await store.put("object", b"new", mode="Create", use_multipart=use_multipart)
    assert isinstance(refused.value, FileExistsError)
    assert await mode(await store.get("object")).bytes() == b"old"


@pytest.mark.needs("conditions", "ETags within a second")
@pytest.mark.parametrize(
    "use_multipart", [None, pytest.param(True, marks=pytest.mark.needs("If-Match of an upload in parts"))]
)
async def test_update(store: Face, mode: Mode, use_multipart: bool | None) -> None:
    first = await store.put("object", b"1")
    second = await store.put("object", b"2", mode=first, use_multipart=use_multipart)
    with pytest.raises(exceptions.PreconditionError, match="object"):
        await store.put("object", b"3", mode={"e_tag": first["e_tag"]}, use_multipart=use_multipart)
    await store.put("object", b"4", mode={"e_tag": second["e_tag"]}, use_multipart=use_multipart)
    assert await mode(await store.get("object")).bytes() == b"4"


@pytest.mark.needs("conditions")
async def test_update_of_what_does_not_exist(store: Face) -> None:
    e_tag = (await store.put("other", b"1"))["e_tag"]
    with pytest.raises(exceptions.PreconditionError, match="missing"):
        await store.put("missing", b"1", mode={"e_tag": e_tag})


async def test_update_needs_an_e_tag(store: Face) -> None:
    for write_mode in ({}, {"e_tag": None, "version": None}):
        with pytest.raises(exceptions.NotSupportedError, match="ETag"):
            await store.put("object", b"1", mode=write_mode)


@pytest.mark.needs("conditions")
async def test_a_refused_upload_leaves_no_parts(bucket: Bucket, mode: Mode) -> None:
    store = mode(bucket.open())
    await store.put("object", b"old")
    with pytest.raises(exceptions.AlreadyExistsError):
        await store.put("object", b"new", mode="create", use_multipart=True)
    assert bucket.unfinished() == []
