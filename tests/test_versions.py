"""One read is of one version of an object, and of all of it, whatever a server tells of it, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from objstore.exceptions import (
    CorruptResponseError,
    InvalidRangeError,
    NotSupportedError,
    ObjectChangedError,
    PreconditionError,
)
from objstore.fsspec import FsspecStore
from objstore.interface.values import EPOCH, Seen
from objstore.interface.versions import can_pin, is_same, strong
from objstore.operations import ahead, pinned, results
from objstore.providers import requests
from objstore.store import HTTPStore, MemoryStore, S3Store
from tests.shelf import Shelf, serving

pytestmark = pytest.mark.product("way")

Either = HTTPStore | S3Store

PART = 64 << 10
LARGE = 5 * PART + 1000


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have objects read in many parts that are not large."""
    for module in (results, pinned):
        monkeypatch.setattr(module, "PART", PART)
    monkeypatch.setattr(ahead, "FIRST", PART)


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with serving(Shelf()) as served:
        yield served


@pytest.fixture(params=["http", "s3"])
def store(request: pytest.FixtureRequest, shelf: Shelf) -> Either:
    opened: Either = getattr(shelf, request.param)()
    return opened


# --- every way to read an object


def downloaded(store: Either, folder: Path) -> bytes:
    store.download("a", folder / "file", chunk_size=PART, max_concurrency=3)
    return (folder / "file").read_bytes()


def copied(store: Either, folder: Path) -> bytes:
    other = MemoryStore()
    store.copy("a", "b", to_store=other)
    return bytes(other.get("b").bytes())


def read_in_pieces(store: Either, folder: Path) -> bytes:
    pieces = []
    with store.open("a", "rb", buffer_size=PART) as file:
        while piece := file.read(20_000):
            pieces.append(piece)
    return b"".join(pieces)


def read_as_lines(store: Either, folder: Path) -> bytes:
    return b"".join(bytes(line) for line in store.open_reader("a"))


def read_async(store: Either, folder: Path) -> bytes:
    async def read() -> bytes:
        return bytes(await (await store.open_reader_async("a")).read())

    return asyncio.run(read())


def file_system(store: Either) -> tuple[Any, str]:
    if isinstance(store, HTTPStore):
        return FsspecStore("http", client_options={"allow_http": True}), f"{store.url}/a"
    config = {"endpoint": store.config["endpoint"], "region": "us-east-1"}
    keys = {"access_key_id": "key", "secret_access_key": "secret"}
    return FsspecStore(
        "s3", client_options={"allow_http": True}, skip_instance_cache=True, **config, **keys
    ), "bucket/a"


def fsspec_file(store: Either, folder: Path) -> bytes:
    fs, path = file_system(store)
    with fs.open(path, "rb", block_size=PART) as file:
        return b"".join(iter(lambda: file.read(50_000), b""))


def fsspec_stream(store: Either, folder: Path) -> bytes:
    fs, path = file_system(store)

    async def read() -> bytes:
        file = await fs.open_async(path, "rb")
        pieces = []
        while piece := await file.read(100_000):
            pieces.append(piece)
        return b"".join(pieces)

    return asyncio.run(read())


WAYS: dict[str, Callable[[Either, Path], bytes]] = {
    "get": lambda store, _: bytes(store.get("a").bytes()),
    "stream": lambda store, _: b"".join(store.get("a").stream()),
    "download": downloaded,
    "copy": copied,
    "open": lambda store, _: store.open("a", "rb").read(),
    "open in pieces": read_in_pieces,
    "open_reader": lambda store, _: bytes(store.open_reader("a").read()),
    "lines": read_as_lines,
    "open_reader_async": read_async,
    "fsspec": fsspec_file,
    "fsspec, async": fsspec_stream,
}

ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


# --- sizes


@ways
@pytest.mark.parametrize(
    "told",
    [
        {"head_length": None},
        {"head_length": 5},
        {"head_length": 0},
        {"head_length": 9999},
        {"head_length": 1000, "head_fields": {"Content-Range": "bytes 0-999/5000"}},
        {"head_length": None, "chunked": True, "ranges": False},
        {"head_length": 5, "chunked": True, "ranges": False},
        {"head_length": None, "chunked": True},
        {"head_length": 5, "ranges": False},
    ],
    ids=str,
)
def test_all_of_an_object_whatever_head_says(
    shelf: Shelf, store: Either, told: dict[str, Any], way: Callable[[Either, Path], bytes], tmp_path: Path
) -> None:
    vars(shelf).update(told)
    assert way(store, tmp_path) == shelf.version(1)


@pytest.mark.parametrize(
    "told",
    [
        {"head_length": None},
        {"head_length": None, "chunked": True, "ranges": False},
        {"head_length": 1000, "head_fields": {"Content-Range": "bytes 0-999/5000"}},
    ],
    ids=str,
)
def test_a_size_that_head_does_not_tell_is_found_out(shelf: Shelf, store: Either, told: dict[str, Any]) -> None:
    vars(shelf).update(told)
    assert store.head("a")["size"] == shelf.size
    assert [meta["size"] for meta in store.head_many(["a", "b"])] == [shelf.size] * 2


def test_a_range_counted_from_the_end_needs_the_size_of_what_is_read(shelf: Shelf, store: Either) -> None:
    shelf.head_length = 20
    fs, path = file_system(store)
    assert fs.cat_file(path, -7, -2) == shelf.version(1)[-7:-2]


WRONGLY_TOLD = pytest.mark.parametrize(
    "told",
    [
        {"head_length": 5},
        {"head_length": 0},
        {"head_length": 9999},
        {"head_length": None},
        {"head_length": 5, "ranges": False},
        {"head_length": 5, "chunked": True},
        {"head_length": 5, "ranges": False, "chunked": True},
        {"head_length": 5, "validators": ()},
    ],
    ids=str,
)


@WRONGLY_TOLD
@pytest.mark.parametrize("size", [0, 6, 5000])
def test_ranges_counted_from_the_end_whatever_head_says(
    shelf: Shelf, store: Either, told: dict[str, Any], size: int
) -> None:
    vars(shelf).update({**told, "size": size})
    fs, path = file_system(store)
    bounds = [(-7, None), (-7, -2), (0, -1), (-4000, -3000), (2, -2), (-1, 3)]
    starts, ends = zip(*bounds, strict=True)
    body = shelf.version(1)
    wanted = [body[start:end] for start, end in bounds]
    assert fs.cat_ranges([path] * len(bounds), [*starts], [*ends], on_error="raise") == wanted
    assert [fs.cat_file(path, start, end) for start, end in bounds] == wanted


@WRONGLY_TOLD
def test_the_end_of_a_file_whatever_head_says(shelf: Shelf, store: Either, told: dict[str, Any]) -> None:
    vars(shelf).update(told)
    fs, path = file_system(store)
    for file in (store.open("a", "rb"), store.open_reader("a"), fs.open(path, "rb")):
        file.seek(-10, 2)
        assert bytes(file.read()) == shelf.version(1)[-10:]


@pytest.mark.parametrize("told", [{}, {"ranges": False}, {"chunked": True}, {"validators": ()}], ids=str)
@pytest.mark.parametrize("size", [1, 5, 4999, 5001, 9999])
def test_a_wrong_size_that_the_caller_gives_is_an_error(
    shelf: Shelf, store: Either, told: dict[str, Any], size: int
) -> None:
    vars(shelf).update(told)
    fs, path = file_system(store)
    for offset, whence in ((0, 0), (-1, 2)):
        for file in (
            store.open("a", "rb", size=size),
            store.open_reader("a", size=size),
            fs.open(path, "rb", size=size),
        ):
            file.seek(offset, whence)
            with pytest.raises(ObjectChangedError):
                file.read()


def test_the_size_that_the_caller_gives_is_good_for_all_places(shelf: Shelf, store: Either) -> None:
    fs, path = file_system(store)
    for file in (store.open("a", size=5000), store.open_reader("a", size=5000), fs.open(path, size=5000)):
        file.seek(-10, 2)
        assert bytes(file.read()) == shelf.version(1)[-10:]


# --- versions

VALIDATORS = {
    "strong": ("strong",),
    "weak": ("weak",),
    "weak and time": ("weak", "time"),
    "time": ("time",),
    "fresh": ("fresh",),
    "weak and fresh": ("weak", "fresh"),
    "none": (),
}
UNSURE = [(), ("fresh",), ("weak",), ("weak", "fresh")]
"""What does not tell a version from those that were written in the same second, or from those that mean the same."""


@ways
@pytest.mark.parametrize("replaced_after", [1, 2])
@pytest.mark.parametrize("validators", VALIDATORS.values(), ids=VALIDATORS)
def test_two_versions_are_never_mixed(
    shelf: Shelf,
    store: Either,
    validators: tuple[str, ...],
    replaced_after: int,
    way: Callable[[Either, Path], bytes],
    tmp_path: Path,
) -> None:
    """The server takes no notice of If-Match, so that only the replies show it."""
    shelf.size, shelf.validators, shelf.replaced_after = LARGE, validators, replaced_after
    try:
        found = way(store, tmp_path)
    except ObjectChangedError:
        assert validators
        return
    assert found in (shelf.version(1), shelf.version(2))


@pytest.mark.parametrize("validators", VALIDATORS.values(), ids=VALIDATORS)
def test_ranges_of_two_versions_are_never_mixed(shelf: Shelf, store: Either, validators: tuple[str, ...]) -> None:
    shelf.validators, shelf.replaced_after = validators, 2
    starts = range(0, 5000, 1000)
    try:
        found = store.get_ranges("a", starts=starts, lengths=[100] * 5, coalesce=0)
    except ObjectChangedError:
        assert validators
        return
    assert found in [[shelf.version(number)[start : start + 100] for start in starts] for number in (1, 2)]


@pytest.mark.parametrize("wholes", [1, 2, 5])
def test_a_whole_object_that_names_no_size_is_of_any(shelf: Shelf, store: Either, wholes: int) -> None:
    """A cache may answer the first ranges so, and the others as it should."""
    shelf.wholes = wholes
    found = store.get_ranges("a", starts=range(0, 5000, 1000), lengths=[100] * 5, coalesce=0)
    assert found == [shelf.version(1)[start : start + 100] for start in range(0, 5000, 1000)]


def test_other_sizes_are_of_other_versions_after_one_that_names_none(shelf: Shelf) -> None:
    shelf.validators, shelf.etag, shelf.wholes, shelf.replaced_after, shelf.new_size = (), '"same"', 1, 3, 6000
    with pytest.raises(ObjectChangedError):
        shelf.s3().get_ranges("a", starts=range(0, 5000, 1000), lengths=[100] * 5, coalesce=0)


def test_the_error_names_the_path_where_a_store_has_a_prefix(shelf: Shelf) -> None:
    shelf.replaced_after = 2
    store = S3Store("bucket", prefix="some/prefix", endpoint=shelf.origin, skip_signature=True, allow_http=True)
    with pytest.raises(ObjectChangedError, match="'a' was replaced") as error:
        store.get_ranges("a", starts=range(0, 5000, 1000), lengths=[100] * 5, coalesce=0)
    assert error.value.path == "a"


def test_a_read_that_is_refused_with_its_condition_and_without_counts_both(shelf: Shelf, store: Either) -> None:
    shelf.refuses = 501
    with pytest.raises(InvalidRangeError) as error:
        store.get("a", options={"if_match": '"v1"', "range": (9000, 9010)})
    assert error.value.attempts == shelf.gets == 2


@ways
def test_a_size_that_changes_is_another_version(
    shelf: Shelf, store: Either, way: Callable[[Either, Path], bytes], tmp_path: Path
) -> None:
    """Though the ETag, which a proxy may have kept, is the same."""
    shelf.size, shelf.new_size, shelf.etag, shelf.replaced_after = LARGE, LARGE + 20, '"same"', 2
    try:
        found = way(store, tmp_path)
    except ObjectChangedError:
        return
    assert found in (shelf.version(1), shelf.version(2))


@ways
@pytest.mark.parametrize("validators", UNSURE, ids=str)
def test_without_a_strong_validator_one_request_reads_it_all(
    shelf: Shelf, store: Either, validators: tuple[str, ...], way: Callable[[Either, Path], bytes], tmp_path: Path
) -> None:
    shelf.size, shelf.validators = LARGE, validators
    assert way(store, tmp_path) == shelf.version(1)
    assert len(shelf.heads) == 2


@pytest.mark.parametrize("validators", UNSURE, ids=str)
def test_ranges_without_a_strong_validator_are_read_by_one_request(
    shelf: Shelf, store: Either, validators: tuple[str, ...]
) -> None:
    shelf.validators = validators
    starts = range(0, 5000, 1000)
    found = store.get_ranges("a", starts=starts, lengths=[100] * 5, coalesce=0)
    assert found == [shelf.version(1)[start : start + 100] for start in starts]
    assert shelf.heads[-1][1]["range"] == "bytes=0-4099"


@ways
@pytest.mark.parametrize("e_tag", [None, 'W/"same"'])
def test_what_is_overwritten_within_a_second_is_never_mixed(
    shelf: Shelf, store: Either, e_tag: str | None, way: Callable[[Either, Path], bytes], tmp_path: Path
) -> None:
    """Each request may find another version, of the same size and time."""
    chance, noted, written = Random(1), shelf.take, [1]

    def take(method: str, headers: dict[str, str]) -> int:
        noted(method, headers)
        written.append(written[-1] + chance.randrange(2))
        return written[-1]

    shelf.size, shelf.validators, shelf.etag, shelf.take = LARGE, ("fresh",), e_tag, take  # type: ignore[method-assign]
    for _ in range(5):
        assert way(store, tmp_path) in [shelf.version(number) for number in {*written}]


@pytest.mark.parametrize("validators", [*UNSURE, ("time",), ("weak", "time"), ("strong", "fresh")], ids=str)
def test_a_body_is_left_behind_its_beginning_only_if_the_rest_can_be_told_to_be_of_it(
    shelf: Shelf, store: Either, validators: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "LARGE", 2 << 20)
    fields = shelf.fields
    shelf.fields = lambda version: {**fields(version), "Accept-Ranges": "bytes"}  # type: ignore[method-assign]
    shelf.size, shelf.validators = 3 << 20, validators
    assert store.get_many(["a"]) == [shelf.version(1)]
    assert (len(shelf.heads) == 1) is (validators in UNSURE)


@pytest.mark.parametrize("validators", UNSURE, ids=str)
def test_a_service_copies_no_parts_of_what_nothing_pins(shelf: Shelf, validators: tuple[str, ...]) -> None:
    shelf.head_length, shelf.validators = 6 << 30, validators
    with pytest.raises(NotSupportedError, match="'a' cannot be copied in parts: the service names no strong ETag"):
        shelf.s3().copy("a", "b")
    assert [method for method, _ in shelf.heads] == ["HEAD"]


@pytest.mark.parametrize("validators", [("weak",), ("time",), ()], ids=str)
def test_a_download_that_broke_off_goes_on_only_by_a_strong_etag(
    shelf: Shelf, store: Either, validators: tuple[str, ...], tmp_path: Path
) -> None:
    shelf.size, shelf.validators = LARGE, validators

    class StopError(Exception):
        pass

    def stop(*_: int) -> None:
        raise StopError

    with pytest.raises(StopError):
        store.download("a", tmp_path / "file", chunk_size=PART, progress=stop)
    assert [*tmp_path.iterdir()] == []
    first, shelf.version = shelf.version(1), partial(Shelf.version, shelf)  # type: ignore[method-assign]
    assert downloaded(store, tmp_path) == first


def test_parquet_of_a_server_that_tells_no_version(shelf: Shelf, store: Either, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    from objstore.arrow import ArrowFileSystemHandler
    from objstore.parquet import open_parquet

    tables = [pyarrow.table({"n": range(start, start + 60_000), "m": range(60_000)}) for start in (0, 9)]
    files = []
    for index, table in enumerate(tables):
        pq.write_table(table, tmp_path / str(index), row_group_size=10_000, compression="none", use_dictionary=False)
        files.append((tmp_path / str(index)).read_bytes())
    assert len(files[0]) == len(files[1])
    shelf.version = lambda number: files[number - 1]  # type: ignore[method-assign]
    for validators in VALIDATORS.values():
        for replaced_after in (1, 2, 3, 4):
            shelf.validators, shelf.replaced_after, shelf.gets = validators, replaced_after, 0
            for read in (
                lambda: open_parquet(store, "a").read(),
                lambda: pq.read_table("a", filesystem=pyarrow.fs.PyFileSystem(ArrowFileSystemHandler(store))),
            ):
                try:
                    assert read() in tables
                except (ObjectChangedError, OSError):
                    assert validators


def seen(e_tag: str | None = None, time: float | None = None, size: int = 5, settled: bool = False) -> Seen:
    moment = EPOCH if time is None else EPOCH + timedelta(seconds=time)
    return Seen({"path": "a", "last_modified": moment, "size": size, "e_tag": e_tag, "version": None}, settled)


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        (seen('"a"'), seen('"a"'), True),
        (seen('"a"'), seen('"b"'), False),
        (seen('"a"', 1), seen('"a"', 2), False),
        (seen('"a"', 1), seen('"a"'), True),
        (seen('"a"', 1), seen('"a"', 1.25), True),
        (seen('"a"', size=6), seen('"a"'), False),
        (seen('"a"', size=-1), seen('"a"'), True),
        (seen('W/"a"'), seen('W/"a"'), True),
        (seen('W/"a"', 1), seen('W/"a"', 2), False),
        (seen('W/"a"', 1), seen('W/"a"'), True),
        (seen('W/"a"', 1), seen('W/"a"', 1, settled=True), False),
        (seen('W/"a"', 1, settled=True), seen('W/"a"', 1, settled=True), True),
        (seen('"a"'), seen('W/"a"'), False),
        (seen(None, 1), seen(None, 1), True),
        (seen(None, 1, settled=True), seen(None, 1), True),
        (seen(None, 1), seen(None, 1, settled=True), False),
        (seen(None, 1, settled=True), seen(None, 1, settled=True), True),
        (seen(None, 1), seen(None, 2), False),
        (seen(None, 1), seen('"a"', 1), False),
        (seen(None, 1, settled=True), seen('"a"', 1), False),
        (seen(None, 1, settled=True), seen('"a"', 1, settled=True), True),
        (seen(None), seen('"a"', 1), False),
        (seen('"a"'), seen(None, 1), False),
        (seen(None, 1), seen(None), False),
        (seen(), seen(), True),
        (seen(size=6), seen(), False),
    ],
)
def test_what_tells_versions_apart(found: Seen, expected: Seen, same: bool) -> None:
    assert is_same(found, expected) is same


@pytest.mark.parametrize(
    ("what", "is_sure"),
    [
        (seen(), False),
        (seen(settled=True), False),
        (seen('W/"a"', 1), False),
        (seen(None, 1), False),
        (seen(None, 1, settled=True), True),
        (seen('"a"'), True),
    ],
)
def test_what_pins_a_version(what: Seen, is_sure: bool) -> None:
    assert can_pin(what) is is_sure


@ways
@pytest.mark.parametrize("replaced_after", [1, 2])
def test_an_etag_that_stays_while_the_time_changes_is_not_believed(
    shelf: Shelf, store: Either, replaced_after: int, way: Callable[[Either, Path], bytes], tmp_path: Path
) -> None:
    """As for a body that is resumed: some servers have one ETag for all that there ever was."""
    shelf.size, shelf.replaced_after, shelf.etag, shelf.validators = LARGE, replaced_after, '"same"', ("time",)
    try:
        assert way(store, tmp_path) in (shelf.version(1), shelf.version(2))
    except (ObjectChangedError, OSError):
        assert shelf.gets > replaced_after


# --- a server that refuses If-Match


@ways
@pytest.mark.parametrize("status", [400, 501])
def test_reads_go_on_without_a_condition_that_is_refused(
    shelf: Shelf, store: Either, status: int, way: Callable[[Either, Path], bytes], tmp_path: Path
) -> None:
    shelf.size, shelf.refuses = LARGE, status
    assert way(store, tmp_path) == shelf.version(1)
    conditional = [sent for _, sent in shelf.heads if "if-match" in sent]
    assert way(store, tmp_path) == shelf.version(1)
    if "fsspec" not in str(way):
        assert [sent for _, sent in shelf.heads if "if-match" in sent][: len(conditional)] == conditional


def test_a_condition_that_was_refused_is_not_sent_again(shelf: Shelf, store: Either) -> None:
    shelf.size, shelf.refuses = LARGE, 501
    assert store.get("a").bytes() == shelf.version(1)
    shelf.heads.clear()
    assert store.get("a").bytes() == shelf.version(1)
    assert [sent for _, sent in shelf.heads if "if-match" in sent] == []


@ways
def test_without_the_condition_versions_are_compared(
    shelf: Shelf, store: Either, way: Callable[[Either, Path], bytes], tmp_path: Path
) -> None:
    shelf.size, shelf.refuses, shelf.replaced_after = LARGE, 501, 3
    try:
        found = way(store, tmp_path)
    except ObjectChangedError:
        return
    assert found in (shelf.version(1), shelf.version(2))


def test_a_body_that_broke_off_begins_anew_where_the_condition_is_refused(shelf: Shelf, store: Either) -> None:
    shelf.size, shelf.refuses, shelf.cuts = LARGE, 501, 1
    assert store.get_many(["a"]) == [shelf.version(1)]
    assert [("range" in sent, "if-match" in sent) for _, sent in shelf.heads] == [
        (False, False),
        (True, True),
        (False, False),
    ]


@ways
@pytest.mark.parametrize("validators", VALIDATORS.values(), ids=VALIDATORS)
def test_bodies_that_break_off_are_read_again(
    shelf: Shelf, store: Either, validators: tuple[str, ...], way: Callable[[Either, Path], bytes], tmp_path: Path
) -> None:
    shelf.size, shelf.validators, shelf.cuts = LARGE, validators, 2
    assert way(store, tmp_path) == shelf.version(1)


def test_a_condition_of_the_callers_that_is_refused_is_looked_at_here(shelf: Shelf, store: Either) -> None:
    shelf.refuses = 501
    assert store.get("a", options={"if_match": '"v1"'}).bytes() == shelf.version(1)
    assert store.get("a", options={"if_match": '"v0", "v1"'}).bytes() == shelf.version(1)
    with pytest.raises(PreconditionError):
        store.get("a", options={"if_match": '"other"'})
    starts = [0, 2000]
    wanted = [shelf.version(1)[start : start + 9] for start in starts]
    assert store.get_ranges("a", starts=starts, lengths=[9, 9], coalesce=0, if_match='"v1"') == wanted
    with pytest.raises((PreconditionError, ObjectChangedError)):
        store.get_ranges("a", starts=starts, lengths=[9, 9], coalesce=0, if_match='"other"')


def test_another_refusal_is_not_taken_for_one_of_the_condition(shelf: Shelf) -> None:
    store = shelf.s3()
    shelf.size, shelf.refuses = LARGE, 403
    with pytest.raises(PermissionError):
        store.get("a").bytes()
    shelf.refuses = 0
    shelf.heads.clear()
    assert store.get("a").bytes() == shelf.version(1)
    assert {sent["if-match"] for _, sent in shelf.heads if "if-match" in sent} == {'"v1"'}


# --- ETags that cannot be sent


@pytest.mark.parametrize(
    "e_tag",
    ['"a\tb"', '"a b"', '"a\x80b"', '"\xe9"', "bare", '"a"b"', '"open', '"'],
)
def test_an_etag_that_is_none_is_never_sent_back(shelf: Shelf, store: Either, e_tag: str, tmp_path: Path) -> None:
    shelf.size, shelf.etag = LARGE, e_tag
    assert strong(e_tag) is None
    for way in WAYS.values():
        assert way(store, tmp_path) == shelf.version(1)
    assert [sent for _, sent in shelf.heads if "if-match" in sent] == []


@pytest.mark.parametrize("e_tag", ['"a\x01b"', '"a\x7fb"', 'W/"a\x01"'])
def test_a_reply_with_a_control_character_in_its_etag_is_none(shelf: Shelf, store: Either, e_tag: str) -> None:
    shelf.etag = e_tag
    with pytest.raises(CorruptResponseError, match="control character"):
        store.get("a")
    assert [sent for _, sent in shelf.heads if "if-match" in sent] == []


def test_a_callers_etag_with_a_control_character_is_refused(shelf: Shelf, store: Either) -> None:
    for e_tag in ('"a\x01b"', '"a\r\nX: y"', '"a\x7f"'):
        with pytest.raises(ValueError, match=r"control character|line break"):
            store.get("a", options={"if_match": e_tag})
    assert shelf.heads == []
