"""Reading one object: get and its options, ranges, streams, and objects larger than one request brings."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from objstore import Bytes, exceptions
from objstore.operations.results import PART
from tests.conformance.conftest import SMALL, Bucket, Face, Mode

SIZE = len(SMALL)
AT_THE_END = pytest.mark.needs("ranges that begin at the end")


async def test_get_brings_bytes_and_metadata(library: Face, mode: Mode) -> None:
    before = datetime.now(UTC) - timedelta(hours=1)
    result = await library.get("small")
    assert await mode(result).bytes() == SMALL
    meta = result.meta
    assert list(meta) == ["path", "last_modified", "size", "e_tag", "version"]
    assert (meta["path"], meta["size"], result.range) == ("small", SIZE, (0, SIZE))
    assert before < meta["last_modified"] < datetime.now(UTC) + timedelta(seconds=1)
    assert meta["e_tag"].startswith('"')


async def test_head_is_the_metadata_of_get(library: Face) -> None:
    assert await library.head("small") == (await library.get("small")).meta


async def test_the_head_option_brings_no_body(library: Face, mode: Mode) -> None:
    result = await library.get("small", options={"head": True})
    assert result.meta == await library.head("small")
    assert result.range == (0, SIZE)


async def test_bytes_share_their_memory(library: Face, mode: Mode) -> None:
    body = await mode(await library.get("small")).bytes()
    assert isinstance(body, Bytes)
    view = memoryview(body)
    assert view.readonly
    assert view.obj is body
    array = np.frombuffer(body, np.uint8)
    assert array.ctypes.data == np.frombuffer(view, np.uint8).ctypes.data
    assert bytes(array) == SMALL


async def test_buffer_is_bytes(library: Face, mode: Mode) -> None:
    assert await mode(await library.get("small")).buffer() == SMALL


async def test_an_empty_object(library: Face, mode: Mode) -> None:
    result = await library.get("empty")
    assert (result.meta["size"], result.range) == (0, (0, 0))
    assert await mode(result).bytes() == b""
    assert await mode.all((await library.get("empty")).stream()) == []


@pytest.mark.parametrize(
    ("given_range", "wanted"),
    [
        ((3, 10), (3, 10)),
        ([3, 10], (3, 10)),
        ((0, 1), (0, 1)),
        ((SIZE - 1, SIZE), (SIZE - 1, SIZE)),
        ((SIZE - 5, SIZE + 100), (SIZE - 5, SIZE)),
        ((0, 10 * PART), (0, SIZE)),
        ({"offset": 0}, (0, SIZE)),
        ({"offset": 1000}, (1000, SIZE)),
        ({"suffix": 10}, (SIZE - 10, SIZE)),
        ({"suffix": SIZE + 10}, (0, SIZE)),
        (None, (0, SIZE)),
    ],
)
async def test_range_option(library: Face, mode: Mode, given_range: Any, wanted: tuple[int, int]) -> None:
    result = await library.get("small", options={"range": given_range})
    assert result.range == wanted
    assert result.meta["size"] == SIZE
    assert await mode(result).bytes() == SMALL[slice(*wanted)]


@pytest.mark.parametrize(
    "given_range",
    [
        pytest.param((SIZE, SIZE + 1), marks=AT_THE_END),
        (SIZE + 5, SIZE + 9),
        pytest.param({"offset": SIZE}, marks=AT_THE_END),
        {"offset": SIZE + 1},
    ],
)
async def test_a_range_past_the_end_is_an_error(library: Face, given_range: Any) -> None:
    with pytest.raises(exceptions.InvalidRangeError, match="small"):
        await library.get("small", options={"range": given_range})


@AT_THE_END
async def test_a_range_of_an_empty_object_is_an_error(library: Face) -> None:
    with pytest.raises(exceptions.InvalidRangeError):
        await library.get("empty", options={"range": (0, 1)})


@pytest.mark.needs("the end of an empty object")
async def test_the_end_of_an_empty_object_is_empty(library: Face, mode: Mode) -> None:
    result = await library.get("empty", options={"range": {"suffix": 5}})
    assert (result.range, await mode(result).bytes()) == ((0, 0), b"")


@pytest.mark.parametrize("name", ["if_match", "if_none_match", "if_modified_since", "if_unmodified_since", "version"])
async def test_an_option_of_none_is_no_option(library: Face, mode: Mode, name: str) -> None:
    assert await mode(await library.get("small", options={name: None})).bytes() == SMALL


HOUR = timedelta(hours=1)


@pytest.mark.needs("conditions of reads")
@pytest.mark.parametrize("head", [False, True])
async def test_conditions_that_hold(library: Face, head: bool) -> None:
    meta = await library.head("small")
    for condition in (
        {"if_match": meta["e_tag"]},
        {"if_none_match": '"another"'},
        {"if_modified_since": meta["last_modified"] - HOUR},
        {"if_unmodified_since": meta["last_modified"] + HOUR},
    ):
        assert (await library.get("small", options={**condition, "head": head})).meta == meta


@pytest.mark.needs("conditions of reads")
@pytest.mark.parametrize("head", [False, True])
async def test_conditions_that_do_not_hold(library: Face, head: bool) -> None:
    meta = await library.head("small")
    later = meta["last_modified"] + timedelta(seconds=1)  # some servers know parts of a second, HTTP does not
    time.sleep(max((later - datetime.now(UTC)).total_seconds(), 0))
    for condition, error in (
        ({"if_match": '"another"'}, exceptions.PreconditionError),
        ({"if_none_match": meta["e_tag"]}, exceptions.NotModifiedError),
        ({"if_modified_since": later}, exceptions.NotModifiedError),
        ({"if_unmodified_since": meta["last_modified"] - HOUR}, exceptions.PreconditionError),
    ):
        with pytest.raises(error):
            await library.get("small", options={**condition, "head": head})


@pytest.mark.needs("versions")
async def test_an_old_version(bucket: Bucket, mode: Mode) -> None:
    versioning = {"Status": "Enabled"}
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration=versioning)
    store = mode(bucket.open())
    old = await store.put("object", b"old")
    new = await store.put("object", b"new")
    parts = await store.put("in parts", b"parts", use_multipart=True)
    assert parts["version"] == (await store.head("in parts"))["version"]
    assert len({old["version"], new["version"], parts["version"], None}) == 4
    result = await store.get("object", options={"version": old["version"]})
    assert result.meta["version"] == old["version"]
    assert await mode(result).bytes() == b"old"
    assert (await store.head("object"))["version"] == new["version"]


@pytest.mark.needs("versions")
async def test_a_version_that_was_replaced_while_it_is_read(bucket: Bucket, mode: Mode, large: bytes) -> None:
    versioning = {"Status": "Enabled"}
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration=versioning)
    store = mode(bucket.open())
    await store.put("object", large)
    result = await store.get("object")
    await store.put("object", large[::-1])
    assert await mode(result).bytes() == large


# --- reading a result


async def test_a_body_is_read_once(library: Face, mode: Mode) -> None:
    result = await library.get("small")
    await mode(result).bytes()
    with pytest.raises(ValueError, match="read already"):
        await mode(result).bytes()
    with pytest.raises(ValueError, match="read already"):
        result.stream()
    assert (result.meta["size"], result.range) == (SIZE, (0, SIZE))


async def test_a_streamed_body_is_read_once(library: Face, mode: Mode) -> None:
    result = await library.get("small")
    assert b"".join(await mode.all(result)) == SMALL
    with pytest.raises(ValueError, match="read already"):
        await mode(result).bytes()


async def test_a_result_of_one_mode_is_read_in_the_other(library: Face, mode: Mode) -> None:
    if mode.is_async:
        assert library.target.get("small").bytes() == SMALL
        assert (await library.get("small")).bytes() == SMALL
        stream = (await library.get("large")).stream()
        assert (len(next(stream)), len(await anext(stream)), len(next(stream))) == (PART, PART, PART)
    else:
        result = library.target.get("small")
        Mode("async").run(check_bytes(result, SMALL))


async def check_bytes(result: Any, wanted: bytes) -> None:
    assert await result.bytes_async() == wanted


@pytest.mark.parametrize("least", [0, 1, PART - 1, PART + 1, 30 << 20])
async def test_stream_gives_chunks_of_a_least_size(library: Face, mode: Mode, large: bytes, least: int) -> None:
    chunks = await mode.all((await library.get("large")).stream(least))
    assert all(isinstance(chunk, bytes) for chunk in chunks)
    assert all(len(chunk) >= least for chunk in chunks[:-1])
    assert b"".join(chunks) == large


async def test_stream_refuses_a_negative_size(library: Face) -> None:
    result = await library.get("small")
    with pytest.raises(ValueError, match="-1"):
        result.stream(-1)


async def test_a_stream_that_ended_stays_ended(library: Face, mode: Mode) -> None:
    stream = (await library.get("small")).stream()
    assert [bytes(chunk) for chunk in await mode.all(stream)] == [SMALL]
    assert await mode.all(stream) == []


async def test_a_stream_left_early(library: Face, mode: Mode, large: bytes) -> None:
    stream = (await library.get("large")).stream()
    assert await mode.next(stream) == large[:PART]
    stream.close()
    with pytest.raises(ValueError, match="closed"):
        await mode.next(stream)
    assert await mode(await library.get("small")).bytes() == SMALL


# --- large objects


async def test_a_large_object(library: Face, mode: Mode, large: bytes) -> None:
    result = await library.get("large")
    assert (result.meta["size"], result.range) == (len(large), (0, len(large)))
    assert await mode(result).bytes() == large


@pytest.mark.parametrize(
    ("given_range", "wanted"),
    [
        ((5, PART + 6), slice(5, PART + 6)),
        ((1, 2 * PART + 12_344), slice(1, 2 * PART + 12_344)),
        ((PART - 1, 100 * PART), slice(PART - 1, None)),
        ({"offset": 7}, slice(7, None)),
        ({"suffix": 2 * PART}, slice(-2 * PART, None)),
    ],
)
async def test_a_large_range(library: Face, mode: Mode, large: bytes, given_range: Any, wanted: slice) -> None:
    whole = await library.get("large", options={"range": given_range})
    assert await mode(whole).bytes() == large[wanted]
    streamed = await library.get("large", options={"range": given_range})
    assert b"".join(await mode.all(streamed)) == large[wanted]


@pytest.mark.parametrize(
    "shorter_by",
    [pytest.param(0, marks=pytest.mark.needs("conditions of reads", "ETags within a second")), 100, PART + 20_000],
)
async def test_an_object_replaced_while_it_is_read(store: Face, mode: Mode, large: bytes, shorter_by: int) -> None:
    await store.put("object", large)
    whole, streamed = await store.get("object"), await store.get("object")
    await store.put("object", large[shorter_by:][::-1])
    with pytest.raises(exceptions.ObjectChangedError, match="object"):
        await mode(whole).bytes()
    stream = streamed.stream()
    assert await mode.next(stream) == large[:PART]
    with pytest.raises(exceptions.ObjectChangedError, match="object"):
        await mode.all(stream)


@pytest.mark.needs("conditions on what is gone")
async def test_an_object_deleted_while_it_is_read(store: Face, mode: Mode, large: bytes) -> None:
    await store.put("object", large)
    result = await store.get("object")
    await store.delete("object")
    with pytest.raises(exceptions.NotFoundError):
        await mode(result).bytes()


# --- get_range and get_ranges


@pytest.mark.parametrize(("start", "end"), [(0, 1), (5, 9), (0, SIZE), (SIZE - 3, SIZE), (SIZE - 3, SIZE + 50)])
async def test_get_range(library: Face, start: int, end: int) -> None:
    assert await library.get_range("small", start=start, end=end) == SMALL[start:end]
    assert await library.get_range("small", start=start, length=end - start) == SMALL[start:end]


async def test_get_range_of_a_large_object(library: Face, large: bytes) -> None:
    assert await library.get_range("large", start=3, end=2 * PART + 5) == large[3 : 2 * PART + 5]


async def test_get_range_takes_numpy_integers(library: Face) -> None:
    assert await library.get_range("small", start=np.int64(5), length=np.uint16(4)) == SMALL[5:9]
    starts, lengths = np.array([1, 500]), np.array([2, 3])
    assert await library.get_ranges("small", starts=starts, lengths=lengths) == [SMALL[1:3], SMALL[500:503]]


@pytest.mark.parametrize("start", [pytest.param(SIZE, marks=AT_THE_END), SIZE + 1, 1 << 40])
async def test_get_range_past_the_end(library: Face, start: int) -> None:
    with pytest.raises(exceptions.InvalidRangeError, match="small"):
        await library.get_range("small", start=start, length=1)
    with pytest.raises(exceptions.InvalidRangeError, match="small"):
        await library.get_ranges("small", starts=[0, start], lengths=[1, 1])


async def test_get_ranges_in_the_order_asked_for(library: Face, large: bytes) -> None:
    starts = [PART, 0, 5, PART - 3, 100, 100]
    ends = [PART + 9, 5, 6, PART + 3, 200, 150]
    parts = await library.get_ranges("large", starts=starts, ends=ends)
    assert parts == [large[start:end] for start, end in zip(starts, ends, strict=True)]
    assert all(isinstance(part, Bytes) for part in parts)


async def test_get_ranges_are_cut_at_the_end(library: Face) -> None:
    starts, lengths = [0, SIZE - 2, SIZE - 10], [SIZE + 9, 100, 5]
    parts = await library.get_ranges("small", starts=starts, lengths=lengths)
    assert parts == [SMALL, SMALL[-2:], SMALL[-10:-5]]


async def test_get_ranges_of_nothing(library: Face) -> None:
    assert await library.get_ranges("small", starts=[], ends=[]) == []
    with pytest.raises(exceptions.InvalidRangeError, match="Invalid range"):
        await library.get_ranges("small", starts=[3, 0], ends=[3, 1])


@pytest.mark.needs("conditions of reads")
async def test_get_ranges_of_one_version(library: Face) -> None:
    e_tag = (await library.head("small"))["e_tag"]
    assert await library.get_ranges("small", starts=[0, 9], lengths=[1, 2], if_match=e_tag) == [SMALL[:1], SMALL[9:11]]
    with pytest.raises(exceptions.PreconditionError):
        await library.get_ranges("small", starts=[0, 9], lengths=[1, 2], if_match='"another"')


async def test_many_sparse_ranges(library: Face, large: bytes) -> None:
    starts = random.Random(2).sample(range(len(large) - 10), 100)
    parts = await library.get_ranges("large", starts=starts, lengths=[10] * 100, coalesce=0)
    assert parts == [large[start : start + 10] for start in starts]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ranges=st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 2 * SIZE)), max_size=20),
    gap=st.integers(0, 2 * SIZE),
)
def test_ranges_are_slices(library: Face, mode: Mode, ranges: list[tuple[int, int]], gap: int) -> None:
    async def check() -> None:
        starts, lengths = [start for start, _ in ranges], [length for _, length in ranges]
        parts = await library.get_ranges("small", starts=starts, lengths=lengths, coalesce=gap)
        assert parts == [SMALL[start : start + length] for start, length in ranges]

    mode.run(check())


# --- get_ranges into memory of the caller


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ranges=st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 2 * SIZE)), min_size=1, max_size=20),
    gap=st.integers(0, 2 * SIZE),
    room=st.integers(0, 3),
)
def test_ranges_into_buffers(library: Face, mode: Mode, ranges: list[tuple[int, int]], gap: int, room: int) -> None:
    """Each range is in its buffer, or its place of one, and nothing beside it is touched."""
    starts, lengths = [start for start, _ in ranges], [length for _, length in ranges]
    wanted = [SMALL[start : start + length] for start, length in ranges]
    several, one = [bytearray(b"~" * (length + room)) for length in lengths], bytearray(b"~" * (sum(lengths) + room))

    async def check() -> None:
        for out in (several, one):
            parts = await library.get_ranges("small", starts=starts, lengths=lengths, coalesce=gap, out=out)
            assert parts == wanted

    mode.run(check())
    assert several == [part.ljust(length + room, b"~") for part, length in zip(wanted, lengths, strict=True)]
    assert one == b"".join(part.ljust(length, b"~") for part, length in zip(wanted, lengths, strict=True)) + b"~" * room


@pytest.mark.parametrize("gap", [0, SIZE])
async def test_ranges_into_rows(library: Face, gap: int) -> None:
    table = np.zeros((3, 50), np.uint8)
    parts = await library.get_ranges("small", starts=[10, 0, 5], lengths=[9, 5, 4], coalesce=gap, out=table[:, 20:40])
    assert [bytes(row) for row in table] == [
        (bytes(20) + SMALL[start:end]).ljust(50, b"\0") for start, end in ((10, 19), (0, 5), (5, 9))
    ]
    table[:] = 1
    assert parts == [b"\1" * 9, b"\1" * 5, b"\1" * 4]  # they are views


async def test_ranges_that_go_on_from_each_other_into_one_buffer(library: Face, large: bytes) -> None:
    starts = range(0, len(large), 4096)
    out = bytearray(4096 * len(starts))
    parts = await library.get_ranges("large", starts=starts, lengths=[4096] * len(starts), out=out)
    assert parts == [large[start : start + 4096] for start in starts]
    assert out[: len(large)] == large


@pytest.mark.parametrize(
    ("out", "words"),
    [
        (bytearray(9), "out has 9 bytes, the requests ask for 10"),
        ([bytearray(5)], "there are 1 buffers in out for 2 requests"),
        ([bytearray(5), bytearray(4)], "do not fit in a buffer of 4"),
        (bytes(10), "out: a writable buffer"),
    ],
)
async def test_an_out_that_ranges_do_not_fit_in(library: Face, out: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        await library.get_ranges("small", starts=[0, 9], lengths=[5, 5], out=out)
