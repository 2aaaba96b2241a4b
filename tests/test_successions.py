"""The pages of a listing: none comes twice, whatever the service says, and a listing ends or is an error."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice, pairwise
from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from objstore._core import Listing
from objstore.exceptions import BaseError, CorruptResponseError, NotSupportedError
from objstore.interface.succession import Succession
from objstore.interface.values import Page
from objstore.store import AzureStore, GCSStore, S3Store
from objstore.types import ObjectMeta
from tests.engine.raw import Raw, answering
from tests.test_listing import META

Store = S3Store | GCSStore | AzureStore
Level = tuple[Sequence[str], Sequence[str], str]
"""The keys of a page, its prefixes, and the token of the next."""


def s3_page(page: Level) -> str:
    keys, prefixes, token = page
    objects = "".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in keys)
    common = "".join(f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>" for name in prefixes)
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    truncated = str(bool(token)).lower()
    return f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{more}{objects}{common}</ListBucketResult>"


def gcs_page(page: Level) -> str:
    keys, prefixes, token = page
    items = [
        {"name": key, "size": "1", "updated": "2026-11-22T12:00:00Z", "generation": "1", "etag": "e"} for key in keys
    ]
    goes_on = {"nextPageToken": token} if token else {}
    return json.dumps({"kind": "storage#objects", "items": items, "prefixes": [*prefixes], **goes_on})


def azure_page(page: Level) -> str:
    keys, prefixes, token = page
    blobs = "".join(
        f"<Blob><Name>{key}</Name><Properties><Content-Length>1</Content-Length></Properties></Blob>" for key in keys
    )
    common = "".join(f"<BlobPrefix><Name>{name}</Name></BlobPrefix>" for name in prefixes)
    return f"<EnumerationResults><Blobs>{blobs}{common}</Blobs><NextMarker>{token}</NextMarker></EnumerationResults>"


def s3(origin: str) -> Store:
    return S3Store("bucket", endpoint=origin, region="here", skip_signature=True, client_options={"allow_http": True})


def gcs(origin: str) -> Store:
    return GCSStore("bucket", base_url=origin, skip_signature=True, client_options={"allow_http": True})


def azure(origin: str) -> Store:
    return AzureStore(
        "bucket", account_name="me", endpoint=origin, skip_signature=True, client_options={"allow_http": True}
    )


SERVICES = {
    "s3": (s3, s3_page, "continuation-token"),
    "gcs": (gcs, gcs_page, "pageToken"),
    "azure": (azure, azure_page, "marker"),
}
each_service = pytest.mark.parametrize("service", SERVICES)


@contextmanager
def listing(service: str, page: Callable[[str, str], Level]) -> Iterator[tuple[Store, Raw]]:
    """Run a service with such a page behind a token, given the query too."""
    make, write, parameter = SERVICES[service]

    def answer(connection: socket.socket) -> None:
        target = raw.heads[-1].split(b" ")[1].decode()
        asked = re.search(f"[?&]{parameter}=([^&]*)", target)
        body = write(page(unquote_plus(asked[1]) if asked else "", target)).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with answering(answer) as raw:
        yield make(raw.origin), raw


def named(number: int) -> str:
    return f"key-{number:04}"


def collected(store: Store) -> list[str]:
    return [meta["path"] for meta in store.list().collect()]


def by_levels(store: Store) -> list[str]:
    return [meta["path"] for level in store.walk() for meta in level.objects]


def one_level(store: Store) -> list[str]:
    return [meta["path"] for meta in store.list_with_delimiter()["objects"]]


def deleting(store: Store) -> list[str]:
    store.delete_prefix("key", by="string")
    return []


each_way = pytest.mark.parametrize("way", [collected, by_levels, one_level, deleting])
Way = Callable[[Store], list[str]]


# --- tokens that go round


@each_way
@each_service
@pytest.mark.parametrize("period", [1, 2, 3, 7])
def test_tokens_that_go_round_are_an_error(service: str, way: Way, period: int) -> None:
    """The pages have nothing in them that could be compared."""
    with listing(service, lambda token, _: ([], [], f"t{(int(token[1:] or 0) + 1) % period + 100}")) as (store, raw):
        with pytest.raises(CorruptResponseError, match="same token"):
            way(store)
        assert len(raw.heads) <= 4 * period + 2


@each_service
def test_tokens_that_go_round_after_a_while_are_an_error(service: str) -> None:
    """Twenty pages lead into a circle of five."""

    def page(token: str, _: str) -> Level:
        at = int(token or 0)
        return [], [], str(at + 1 if at < 24 else 20)

    with listing(service, page) as (store, raw):
        with pytest.raises(CorruptResponseError, match="same token"):
            collected(store)
        assert len(raw.heads) < 100


@each_service
def test_tokens_that_go_round_between_empty_pages_of_a_stretch_are_an_error(service: str) -> None:
    with (
        listing(service, lambda token, _: ([], [], "b" if token == "a" else "a")) as (store, raw),
        pytest.raises(CorruptResponseError, match="same token"),
    ):
        store.list(max_concurrency=4).collect()
    assert len(raw.heads) < 20


def test_side_by_side_an_empty_page_is_gone_on_from_by_its_token() -> None:
    pages = {"": ([], [], "one"), "one": ([], [], "two"), "two": (["a", "b"], [], "")}
    with listing("s3", lambda token, _: pages[token]) as (store, raw):
        found = store.list(max_concurrency=4).collect()
    assert [meta["path"] for meta in found] == ["a", "b"]
    assert len(raw.heads) == 3


# --- pages that come again


@each_way
@each_service
@pytest.mark.parametrize("overlap", [1, 2, 30, 50])
def test_a_page_that_overlaps_with_the_one_before_it_is_an_error(service: str, way: Way, overlap: int) -> None:
    def page(token: str, _: str) -> Level:
        at = int(token or 0)
        return [named(number) for number in range(at, at + 50)], [], str(at + 50 - overlap) if at < 200 else ""

    with (
        listing(service, page) as (store, _),
        pytest.raises((CorruptResponseError, NotSupportedError), match=r"comes again|same token"),
    ):
        way(store)


@each_service
def test_fresh_tokens_do_not_hide_a_listing_that_begins_anew(service: str) -> None:
    def page(token: str, _: str) -> Level:
        at = int(token or 0)
        return [named(number) for number in range(at % 3 * 2, at % 3 * 2 + 2)], [], str(at + 1)

    with listing(service, page) as (store, raw):
        with pytest.raises(CorruptResponseError, match="'key-0000' comes again"):
            collected(store)
        assert len(raw.heads) == 4


@each_service
@pytest.mark.parametrize("keys", [["key-a", "key-a"], ["key-a", "key-b", "key-a"], ["key-b", "key-a", "key-b"]])
def test_a_key_twice_in_a_page_is_an_error(service: str, keys: list[str]) -> None:
    with (
        listing(service, lambda token, _: (keys, [], "")) as (store, _),
        pytest.raises(CorruptResponseError, match="comes again"),
    ):
        collected(store)


@each_service
def test_a_prefix_twice_is_an_error(service: str) -> None:
    """A walk would give all that is below it twice."""
    pages = {"": ([], ["a/", "b/"], "next"), "next": ([], ["b/", "c/"], "")}
    with (
        listing(service, lambda token, target: pages[token]) as (store, _),
        pytest.raises(CorruptResponseError, match="'b/' comes again"),
    ):
        store.list_with_delimiter()


# --- services without an order


def page_of(keys: Sequence[str]) -> Page:
    metas: list[ObjectMeta] = [{**META, "path": key} for key in keys]
    return Page(Listing.of(metas), [], "")


def taken(*pages: Sequence[str]) -> list[int]:
    succession = Succession("")
    return [len(succession.take(page_of(keys)).objects) for keys in pages]


@pytest.mark.parametrize(
    "pages",
    [
        ("ba", "dc", "fe"),
        ("d", "c", "b", "a"),
        ("mn", "ab"),
        (["a/x", "a/y", "a-b"], ["a-c/d", "a-c-e"]),
        ([f"a/{number:03}" for number in range(100)], ["a-b"], ["b/a", "b-a"]),
        (["B", "a"], ["C", "b"]),
        ([named(number * 37 % 101) for number in range(50)], [named(number * 37 % 101) for number in range(50, 101)]),
    ],
)
def test_a_listing_in_another_order_or_none_is_read(pages: Sequence[Sequence[str]]) -> None:
    assert taken(*pages) == [*map(len, pages)]


@pytest.mark.parametrize("period", [1, 2, 3, 10])
def test_a_listing_without_an_order_that_goes_round_is_found_out(period: int) -> None:
    pages = [[f"{hash((at, name)) % 1000}-{at}-{name}" for name in "zyxcba"] for at in range(period)]
    with pytest.raises(CorruptResponseError, match="comes again"):
        taken(*islice(cycle(pages), 4 * period + 2))


# --- where a listing begins


@each_service
@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_service_that_ignores_the_offset_is_not_believed(service: str, concurrency: int) -> None:
    """Azure's listings are cut here, for not every service there knows offsets."""
    keys = [named(number) for number in range(10)]
    with listing(service, lambda token, _: (keys, [], "")) as (store, _):
        asked = store.list(offset="key-0004", max_concurrency=concurrency)
        if service == "azure":
            assert [meta["path"] for meta in asked.collect()] == keys[5:]
        else:
            with pytest.raises(NotSupportedError, match=r"begin behind 'key-0004'.*'key-000[0-4]' in it"):
                asked.collect()


@pytest.mark.parametrize("service", ["s3", "gcs"])
def test_a_prefix_before_the_offset_is_not_believed(service: str) -> None:
    with listing(service, lambda token, _: ([], ["a/", "b/"], "")) as (store, _):
        with pytest.raises(NotSupportedError, match="'a/' in it"):
            next(store.list_level(offset="b/c"))
        assert [level["common_prefixes"] for level in store.list_level(offset="a")] == [["a", "b"]]


@each_service
@pytest.mark.parametrize("other", [(["other"], []), ([], ["other/"])])
def test_what_is_outside_of_the_prefix_is_refused(service: str, other: tuple[list[str], list[str]]) -> None:
    with (
        listing(service, lambda token, _: (*other, "")) as (store, _),
        pytest.raises(BaseError, match=r"has 'other.* in it"),
    ):
        store.list_with_delimiter("folder")


@given(st.lists(st.text("a/.-\xe9", min_size=1, max_size=20)), st.text("a/", max_size=3))
def test_the_orders_of_a_page_are_those_in_which_its_names_ascend(names: list[str], last: str) -> None:
    for page in (names, sorted(names), sorted(names, key=lambda name: name.replace("/", "\0"))):
        all_names = [last, *page] if last else page
        by_bytes = [name.encode() for name in all_names]
        by_paths = [name.replace(b"/", b"\0") for name in by_bytes]
        expected = tuple(all(one < two for one, two in pairwise(keys)) for keys in (by_bytes, by_paths))
        assert Listing.of({**META, "path": name} for name in page).orders(last) == expected
