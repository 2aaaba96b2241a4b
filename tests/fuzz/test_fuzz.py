"""A short run over replies that are always the same; `ci/fuzz` makes a long one."""

from __future__ import annotations

import pytest

from tests.fuzz import listings
from tests.fuzz.hunt import hunt


@pytest.mark.parametrize("first", range(0, 2400, 600))
def test_replies_are_read_as_the_judges_read_them(first: int) -> None:
    assert [str(found) for found in hunt(range(first, first + 600))] == []


def test_listings_are_read_as_expat_reads_them() -> None:
    assert list(listings.hunt(range(5000))) == []
