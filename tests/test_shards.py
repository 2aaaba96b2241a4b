"""Shards of a listing: disjoint, together all of it, and of about the same size where somebody has looked."""

from __future__ import annotations

import pickle
import random
from bisect import bisect_right
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objstore.exceptions import NotSupportedError
from objstore.operations.shards import _even, _Sample
from objstore.results import Shard
from objstore.store import LocalStore, MemoryStore, S3Store
from tests.servers import S3Server
from tests.site import Answer, serving
from tests.test_listing import contents, page
from tests.test_split import SHAPES, page_of

COUNTS = [1, 2, 3, 7, 16, 40]
LETTERS = st.sampled_from("0189abcfgzAF-/é\U0001f600")
NAMES = st.text(LETTERS, min_size=1, max_size=6)


def filled(keys: list[str], **options: Any) -> MemoryStore:
    store = MemoryStore().with_raw_keys()
    store.put_many((key, b"") for key in keys)
    return store


def listed(store: Any, prefix: str | None = None, **options: Any) -> list[str]:
    return [meta["path"] for chunk in store.list(prefix, **options) for meta in chunk]


@settings(max_examples=150, deadline=None)
@given(st.lists(NAMES, max_size=60, unique=True), st.integers(1, 40), st.sampled_from(["", "0", "a", "a/"]))
def test_by_rule_they_are_all(keys: list[str], count: int, prefix: str) -> None:
    store = filled(keys)
    found = [listed(store, prefix, shard=(index, count)) for index in range(count)]
    assert [*chain.from_iterable(found)] == sorted(key for key in keys if key.startswith(prefix))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(NAMES, max_size=60, unique=True),
    st.lists(NAMES, max_size=20, unique=True),
    st.integers(1, 40),
    st.sampled_from(["", "0", "a", "a/"]),
)
def test_by_looking_they_are_all_even_of_what_comes_later(
    keys: list[str], later: list[str], count: int, prefix: str
) -> None:
    store = filled(keys)
    shards = store.shards(prefix, count)
    assert len(shards) == count
    store.put_many((key, b"") for key in later)
    found = [listed(store, prefix, shard=shard) for shard in pickle.loads(pickle.dumps(shards))]
    assert [*chain.from_iterable(found)] == sorted(key for key in {*keys, *later} if key.startswith(prefix))


def test_the_rule_is_fixed() -> None:
    """Processes of different releases may share a listing: the cuts are part of the promise."""
    store = filled(["d/3f", "d/4", "d/40", "d/80", "d/81", "d/bf", "d/c", "d/c0"])
    assert [listed(store, "d/", shard=(index, 4)) for index in range(4)] == [
        ["d/3f", "d/4"],
        ["d/40"],
        ["d/80", "d/81", "d/bf", "d/c"],
        ["d/c0"],
    ]


def test_an_offset_holds_in_a_shard() -> None:
    store = filled([f"{n:02x}" for n in range(256)])
    found = [listed(store, shard=(index, 4), offset="5f") for index in range(4)]
    assert [*chain.from_iterable(found)] == [f"{n:02x}" for n in range(0x60, 256)]


def test_the_prefix_of_the_store_is_no_part_of_a_path() -> None:
    store = filled([f"x/{n:03}" for n in range(300)])
    below = MemoryStore()
    below.put_many((f"d/{n:03}", b"") for n in range(300))
    for each, prefix in ((store, "x/"), (below, "d")):
        shards = each.shards(prefix, 3)
        assert [len(listed(each, prefix, shard=shard)) for shard in shards] == [100, 100, 100]


@pytest.mark.parametrize("count", COUNTS)
def test_a_small_listing_is_shared_out_evenly(count: int) -> None:
    store = filled([f"log/{n:04}" for n in range(480)])
    sizes = [len(listed(store, "log/", shard=shard)) for shard in store.shards("log/", count)]
    assert sum(sizes) == 480
    assert max(sizes) <= 480 / count + 8


def test_files_are_shared_out(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    keys = sorted(f"{n % 7}/{n:03}" for n in range(200))
    store.put_many((key, b"") for key in keys)
    assert [*chain.from_iterable(listed(store, shard=(index, 5)) for index in range(5))] == keys
    assert [*chain.from_iterable(listed(store, shard=shard) for shard in store.shards(None, 5))] == keys


# --- by looking here and there


def looked_at(keys: list[str], count: int) -> tuple[list[int], int]:
    """Return how many keys each shard has, cut by a sample of pages of ten, and how many pages that took."""
    sample, requests = _Sample("", min(max(count, 8), 64)), 0
    while asked := sample.to_ask():
        for stretch in asked:
            requests += 1
            sample.came(stretch, page_of(keys, stretch.after))
    bounds = [0, *(bisect_right(keys, cut) for cut in _even(sample.points(), count)), len(keys)]
    return [end - start for start, end in pairwise(bounds)], requests


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [4, 16])
def test_a_look_at_some_pages_finds_equal_shares(shape: str, count: int) -> None:
    keys = SHAPES[shape]
    sizes, requests = looked_at(keys, count)
    assert sum(sizes) == len(keys)
    assert max(sizes) < 2 * len(keys) / count
    assert requests < len(keys) / 10  # pages of ten: it does not read all of the listing


# --- a service


@pytest.fixture(scope="module")
def bucket(rclone: S3Server) -> S3Store:
    store = S3Store(
        rclone.make_bucket("shards"),
        endpoint=rclone.endpoint,
        region=rclone.region,
        access_key_id=rclone.access_key_id,
        secret_access_key=rclone.secret_access_key,
        client_options={"allow_http": True},
    )
    store.put_many((f"d/{random.Random(n).choice('abcdefgh')}/x{n}", b"") for n in range(6000))
    return store


@pytest.mark.parametrize("most", [1, 8])
def test_a_bucket_is_shared_out(bucket: S3Store, most: int) -> None:
    keys = listed(bucket, "d")
    assert len(keys) == 6000
    shards = bucket.shards("d", 4)
    found = [listed(bucket, "d", shard=shard, max_concurrency=most) for shard in shards]
    assert [*chain.from_iterable(found)] == keys
    assert max(map(len, found)) < 2 * 1500
    assert [*chain.from_iterable(listed(bucket, "d", shard=(n, 3), max_concurrency=most) for n in range(3))] == keys


def take_share(work: tuple[S3Store, tuple[int, int]]) -> list[str]:
    """Run in another process: list a share."""
    store, shard = work
    return listed(store, "d", shard=shard)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_take_a_share_each_without_talking(bucket: S3Store, method: str) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
        found = [*pool.map(take_share, [(bucket, (index, 5)) for index in range(5)])]
    assert [*chain.from_iterable(found)] == listed(bucket, "d")


@pytest.mark.parametrize("most", [1, 4])
def test_a_listing_in_no_order_is_refused(most: int) -> None:
    with serving() as site:
        site.answers["/bucket"] = [Answer(body=page(contents("b"), contents("a")).decode())]
        store = S3Store("bucket", endpoint=site.url, skip_signature=True, client_options={"allow_http": True})
        with pytest.raises(NotSupportedError, match="order"):
            listed(store, shard=(0, 1), max_concurrency=most)
        with pytest.raises(NotSupportedError, match="cut into shards"):
            store.shards(None, 2)


# --- what is no shard


@pytest.mark.parametrize("wrong", [(4, 4), (-1, 4), (0, 0), ("0", 4), (0,), "0/4", 3])
def test_what_is_no_shard_is_refused(wrong: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="shard"):
        MemoryStore().list(shard=wrong)


def test_a_shard_of_another_listing_is_refused() -> None:
    shard = filled(["a/1", "b/1"]).shards("a/", 1)[0]
    assert isinstance(shard, Shard)
    with pytest.raises(ValueError, match="no shard of the listing of prefix = 'b/'"):
        filled([]).list("b/", shard=shard)
    with pytest.raises(ValueError, match="count"):
        filled([]).shards("a/", 0)
