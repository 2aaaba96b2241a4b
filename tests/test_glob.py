"""Patterns of paths: what matches, and what is looked at to find it."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objstore.operations.glob import Pattern, Segment

PATHS = [
    "a",
    "ab",
    "b",
    "a/b",
    "a/bc",
    "a/b/c",
    "a/b/c.txt",
    "a/x/c.txt",
    "a/x/y/c.txt",
    "b/c.txt",
    "[x]",
    "a*b",
    "a\nb",
]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("*", ["a", "ab", "b", "[x]", "a*b", "a\nb"]),
        ("?", ["a", "b"]),
        ("a*", ["a", "ab", "a*b", "a\nb"]),
        ("a/*", ["a/b", "a/bc"]),
        ("a/b", ["a/b"]),
        ("/a/b", ["a/b"]),
        ("a/*/c.txt", ["a/b/c.txt", "a/x/c.txt"]),
        ("*/*.txt", ["b/c.txt"]),
        ("**/c.txt", ["a/b/c.txt", "a/x/c.txt", "a/x/y/c.txt", "b/c.txt"]),
        ("a/**/c.txt", ["a/b/c.txt", "a/x/c.txt", "a/x/y/c.txt"]),
        ("a/**", ["a/b", "a/bc", "a/b/c", "a/b/c.txt", "a/x/c.txt", "a/x/y/c.txt"]),
        ("**", PATHS),
        ("**/?/*.txt", ["a/b/c.txt", "a/x/c.txt", "a/x/y/c.txt", "b/c.txt"]),
        ("[ab]", ["a", "b"]),
        ("[!a]", ["b"]),
        ("[a-b]b", ["ab"]),
        ("[[]x[]]", ["[x]"]),
        ("a[*]b", ["a*b"]),
        ("a[!*]b", ["a\nb"]),
        ("[b-a]", []),
        ("[!b-a]", ["a", "b"]),
        ("[b-aa]", ["a"]),
        ("[z-aa-b]", ["a", "b"]),
        ("[!]", []),
        ("nothing/*", []),
    ],
)
def test_what_matches(pattern: str, wanted: list[str]) -> None:
    assert [path for path in PATHS if Pattern.of(pattern).matches(path)] == wanted


@pytest.mark.parametrize(
    ("pattern", "folder", "beginning", "deep"),
    [
        ("a/b*/c", "a/", "a/b", False),
        ("a/b/c", "a/b/", "a/b/c", False),
        ("*", "", "", False),
        ("a/**/b", "a/", "a/", True),
        ("log-*/**", "", "log-", True),
        ("a[x]", "", "a", False),
    ],
)
def test_where_matches_lie(pattern: str, folder: str, beginning: str, deep: bool) -> None:
    read = Pattern.of(pattern)
    assert (read.folder, read.beginning, read.is_deep) == (folder, beginning, deep)


@pytest.mark.parametrize("pattern", ["", "/", "a**", "a/**b/c", "**c"])
def test_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"pattern is empty|'\*\*' within"):
        Pattern.of(pattern)


def test_a_pattern_is_a_text() -> None:
    with pytest.raises(TypeError, match="give a str"):
        Pattern.of(b"*")  # type: ignore[arg-type]


LETTERS = st.text(st.sampled_from("abc-^!]\\&|~.\n"), max_size=4)
SETS = st.text(st.sampled_from("abc-^!\\&|~."), max_size=6).map("[{}]".format)
WILD = st.lists(
    st.one_of(LETTERS, SETS, st.sampled_from(["*", "?", "[ab]", "[!a]", "[a-]", "[]a]", "[!]]", "["])), max_size=4
)

MISREAD = re.compile(r"\*\*|\[(?:.-.)+!")
"""Two stars are more than a segment; and where the ranges that a set begins with are empty, "[b-a!]", fnmatch takes the
mark behind them for the sign that it is the others that are meant."""


@settings(max_examples=500)
@given(WILD.map("".join).filter(lambda text: not MISREAD.search(text)), LETTERS)
def test_a_segment_matches_as_in_the_shell(pattern: str, name: str) -> None:
    assert Segment(pattern).matches(name) == fnmatchcase(name, pattern)
