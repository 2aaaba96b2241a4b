"""A listing cut into stretches: whatever the keys and the order of the replies, it is the listing."""

from __future__ import annotations

import random
from bisect import bisect_right
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objstore import exceptions
from objstore._core import Listing
from objstore.interface.values import Page
from objstore.operations.split import HELD, Split

PAGE = 10
MODIFIED = datetime(2026, 1, 1, tzinfo=UTC)


def page_of(keys: list[str], after: str, size: int = PAGE) -> Page:
    """Return what a service answers: the next keys, and whether there are more."""
    start = bisect_right(keys, after)
    rows = [
        {"path": key, "last_modified": MODIFIED, "size": 0, "e_tag": None, "version": None}
        for key in keys[start : start + size]
    ]
    return Page(Listing.of(rows), [], "more" if start + size < len(keys) else "")


class Run:
    """A listing by stretches, with replies in a random order."""

    def __init__(self, keys: list[str], most: int, seed: int, prefix: str = "", after: str = "") -> None:
        self.found: list[str] = []
        self.requests = self.rounds = self.most_held = 0
        split, chance = Split(prefix, after, most), random.Random(seed)
        asked = [(stretch, stretch.after) for stretch in split.to_ask()]
        while not split.over:
            self.rounds += 1
            assert len(asked) <= most
            answered = chance.sample(asked, chance.randint(1, len(asked))) if seed else asked
            asked = [each for each in asked if each not in answered]
            self.requests += len(answered)
            for stretch, start in answered:
                split.came(stretch, page_of(keys, start))
            self.most_held = max(self.most_held, sum(len(stretch.pages) for stretch in split._stretches))
            while (rows := split.take()) is not None:
                self.found += rows.page.keys(0, rows.size)
            asked += [(stretch, stretch.after) for stretch in split.to_ask()]


LETTERS = st.sampled_from("abz019-/é\U0001f600")
KEYS = st.lists(st.text(LETTERS, min_size=1, max_size=8), max_size=150, unique=True).map(sorted)


@settings(max_examples=400, deadline=None)
@given(KEYS, st.integers(1, 12), st.integers(0, 9))
def test_it_is_the_listing(keys: list[str], most: int, seed: int) -> None:
    assert Run(keys, most, seed).found == keys


@settings(max_examples=100, deadline=None)
@given(KEYS, st.integers(2, 12), st.text(LETTERS, max_size=4))
def test_it_begins_after_an_offset(keys: list[str], most: int, after: str) -> None:
    assert Run(keys, most, 0, after=after).found == [key for key in keys if key > after]


SHAPES = {
    "numbers": [f"data/part-{number:06}" for number in range(6000)],
    "dates": [
        f"log/2026/{month:02}/{day:02}/{n:03}" for month in range(1, 13) for day in range(1, 29) for n in range(18)
    ],
    "hashes": sorted(sha256(b"%d" % number).hexdigest() for number in range(6000)),
    "mixed": sorted(f"{random.Random(n).choice('abcdefgh')}/x{n}" for n in range(6000)),
    "one folder of many": sorted([f"a{n}" for n in range(20)] + [f"m/{n:05}" for n in range(6000)] + ["z"]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_many_are_read_in_a_fraction_of_the_time(shape: str) -> None:
    """Rounds stand for time here: every request takes one."""
    keys = SHAPES[shape]
    done = Run(keys, 32, 0)
    assert done.found == keys
    pages = len(keys) / PAGE
    assert done.requests < 2 * pages
    assert done.rounds < pages / 15


def test_a_reader_that_takes_its_time_is_not_run_over() -> None:
    split = Split("", "", 4)
    keys = SHAPES["numbers"]
    for _ in range(100):
        for stretch in split.to_ask():
            split.came(stretch, page_of(keys, stretch.after))
    assert sum(len(stretch.pages) for stretch in split._stretches) <= (HELD + 1) * 4


def test_a_service_that_ignores_where_to_begin_is_noticed() -> None:
    split = Split("", "", 4)
    keys = SHAPES["numbers"]
    (first,) = split.to_ask()
    split.came(first, page_of(keys, ""))
    later = split.to_ask()[-1]
    with pytest.raises(exceptions.NotSupportedError, match="max_concurrency=1"):
        split.came(later, page_of(keys, ""))
