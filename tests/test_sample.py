"""A sample of tests leaves out products alone: whatever there is, still comes."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from tests.sample import left_to_all


class Item(NamedTuple):
    """Of a test what the sample looks at."""

    nodeid: str
    callspec: Any = None
    words: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()

    def get_closest_marker(self, name: str) -> str | None:
        return name if name in self.marks else None

    def __hash__(self) -> int:
        return hash(self.nodeid)


SERVERS = ("memory", "one", "two", "three", "four", "five")
MODES = ("sync", "async")


def made(test: str, servers: tuple[str, ...], *parameters: str) -> list[Any]:
    """Return what pytest makes of a test."""
    items = []
    for server, mode, parameter in product(servers, MODES, parameters or ("",)):
        words = tuple(filter(None, (server, mode, parameter)))
        spec = SimpleNamespace(id="-".join(words), params={"server": server, "mode": mode})
        items.append(Item(f"{test}[{spec.id}]", spec, words))
    return items


def kept(items: list[Any]) -> list[tuple[str, ...]]:
    left = left_to_all(items, "server", ("memory",))
    return [item.words for item in items if item not in left]


@pytest.mark.parametrize("count", [2, 3, 4, 24])
def test_each_server_mode_and_parameter_comes(count: int) -> None:
    parameters = [f"parameter {number}" for number in range(count)]
    sample = kept(made("test", SERVERS, *parameters))
    for values, place in ((SERVERS[1:], 0), (MODES, 1), (parameters, 2)):
        assert {words[place] for words in sample if words[0] != "memory"} == {*values}
    assert len([words for words in sample if words[0] == "memory"]) == 2 * count
    assert len(sample) <= 2 * count + 5 * -(-count // min(count, 3))


def test_without_parameters_each_server_is_asked_in_one_mode() -> None:
    items = [item for test in ("a", "b") for item in made(test, SERVERS)]
    sample = kept(items)
    assert [words[0] for words in sample] == ["memory", "memory", *SERVERS[1:]] * 2
    assert {words[1] for words in sample if words[0] == "one"} == {*MODES}


def test_a_server_that_few_parameters_are_for_has_one_of_them() -> None:
    items = made("test", ("one", "two", "three"), *"abc") + made("test", ("four",), "a")
    sample = kept(items)
    assert {words[0] for words in sample} == {"one", "two", "three", "four"}
    assert {words[2] for words in sample} == {*"abc"}


def test_what_is_costly_comes_on_one_server_of_each_service() -> None:
    items = [item._replace(marks=("costly",)) for test in "abc" for item in made(test, ("one", "two", "three", "four"))]
    services = {"one": "S3", "two": "S3", "three": "S3"}
    left = left_to_all(items, "server", (), services=services)
    sample = [(item.nodeid[0], item.words[0]) for item in items if item not in left]
    assert sorted(sample) == sorted([("a", "one"), ("b", "two"), ("c", "three"), *((test, "four") for test in "abc")])


def test_what_has_no_servers_is_not_touched() -> None:
    item = Item("test")
    items: list[Any] = [item, *made("test", ("one",), "a")[:1]]
    assert left_to_all(items, "server", ()) == []
