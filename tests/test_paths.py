"""Paths checked all together are what they are one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objstore.exceptions import InvalidPathError
from objstore.settings.paths import Keys

SEGMENTS = st.sampled_from(["a", "b c", ".", "..", "...", "", "|", "é", "\n", "\x7f", "x" * 1020, "~"])
PATHS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)


def outcome(make: Any) -> Any:
    try:
        return make()
    except InvalidPathError as error:
        return str(error)


@pytest.mark.parametrize("keys", [Keys(), Keys("some/prefix"), Keys("raw//", raw=True)])
def test_many_paths_are_what_each_is(keys: Keys) -> None:
    @settings(deadline=None)
    @given(st.lists(PATHS, max_size=5))
    def check(paths: list[str]) -> None:
        assert outcome(lambda: keys.many(paths)) == outcome(lambda: [keys.exact(path) for path in paths])

    check()


def test_what_is_no_path_among_many_is_named() -> None:
    with pytest.raises(TypeError, match="the path 5 is of the type int"):
        Keys().many(["a", 5, "b"])  # type: ignore[list-item]
