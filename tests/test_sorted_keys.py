"""Keys in order: the same as sorting all of them each time, whatever was added and removed in between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from objstore.providers.sorted_keys import SortedKeys, first_behind

KEYS = st.text(st.sampled_from("ab/\U0010ffff"), min_size=1, max_size=3)


@given(st.lists(st.one_of(KEYS, st.none())))
def test_the_keys_that_are_there_are_in_order(changes: list[str | None]) -> None:
    """A key that is there is removed, another added; None looks."""
    keys, there = SortedKeys(), set[str]()
    for key in [*changes, None]:
        if key is None:
            assert keys.in_order() == sorted(there)
        elif key in there:
            there.remove(key)
            keys.remove(key)
        else:
            there.add(key)
            keys.add(key)


@given(st.sets(KEYS, min_size=1), st.data())
def test_a_group_is_left_behind(keys: set[str], data: st.DataObject) -> None:
    ordered = sorted(keys)
    start = data.draw(st.integers(0, len(ordered) - 1))
    prefix = ordered[start][: data.draw(st.integers(0, 3))]
    behind = [index for index in range(start, len(ordered)) if not ordered[index].startswith(prefix)]
    assert first_behind(ordered, prefix, start) == (behind[0] if behind else len(ordered))
