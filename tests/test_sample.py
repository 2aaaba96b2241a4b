"""A sample of tests leaves out products alone: whatever there is, still comes."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from tests.sample import left_of_products, left_to_all


class Item(NamedTuple):
    """Of a test what the sample looks at."""

    nodeid: str
    callspec: Any = None
    words: tuple[str, ...] = ()
    marks: tuple[Any, ...] = ()

    def iter_markers(self, name: str) -> tuple[Any, ...]:
        return self.marks

    def __hash__(self) -> int:
        return hash(self.nodeid)


SERVERS = ("memory", "one", "two", "three", "four", "five")
MODES = ("sync", "async")


def made(test: str, servers: tuple[str, ...], *parameters: str) -> list[Any]:
    """Return what pytest makes of a test."""
    items = []
    for server, mode, parameter in product(servers, MODES, parameters or ("",)):
        words = tuple(filter(None, (server, mode, parameter)))
        spec = SimpleNamespace(params={"server": server, "mode": mode, "parameter": parameter})
        items.append(Item(f"{test}[{'-'.join(words)}]", spec, words))
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


def test_what_has_no_parameters_comes_on_one_server_of_each_service() -> None:
    items = [item for test in "abc" for item in made(test, ("one", "two", "three", "four"))]
    services = {"one": "S3", "two": "S3", "three": "S3"}
    left = left_to_all(items, "server", (), services=services)
    sample = [(item.nodeid[0], item.words[0]) for item in items if item not in left]
    assert sorted(sample) == sorted([("a", "one"), ("b", "two"), ("c", "three"), *((test, "four") for test in "abc")])


def test_what_has_no_servers_is_not_touched() -> None:
    item = Item("test")
    items: list[Any] = [item, *made("test", ("one",), "a")[:1]]
    assert left_to_all(items, "server", ()) == []


def test_of_a_product_each_value_comes_with_some_of_the_others() -> None:
    marks = (SimpleNamespace(args=("server",)),)
    items = [item._replace(marks=marks) for item in made("test", SERVERS, *"abcdef") if item.words[1] == "sync"]
    left = left_of_products(items, {})
    sample = [item.words for item in items if item not in left]
    assert [{words[place] for words in sample} for place in (0, 2)] == [{*SERVERS}, {*"abcdef"}]
    assert len(sample) == len(items) / 3
    assert left_of_products(made("test", SERVERS, *"abcdef"), {}) == []


def test_parameters_that_look_alike_are_no_product() -> None:
    items = [item._replace(nodeid=f"test[{number}]") for number in range(2) for item in made("test", SERVERS, *"ab")]
    with pytest.raises(AssertionError, match="another test looks like"):
        left_to_all(items, "server", ())
