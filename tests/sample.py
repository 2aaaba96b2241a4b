"""What `--sample` leaves to a run of everything: products of servers, ways to call and parameters.

Where a test runs on each of many servers with each of many parameters, a server is asked with a third of them, and the
next one with others; and in one of the modes. Each server, each parameter and each mode of such a test still comes. A
test without parameters comes on one server of each service, the next test on another. Of other products the mark
`product` names the parameter that takes the place of the server.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

SHARE = 3
WHY = "left to ci/test --all: a server has some of the tests of its service, parameters and modes, others have the rest"
OF_PRODUCTS = "left to ci/test --all: of two parameters each value comes with some of the other's"


class Case(NamedTuple):
    """A test with parameters."""

    item: pytest.Item
    server: object
    rest: tuple[str, ...]  # all parameters but the server and the mode

    @staticmethod
    def of(item: pytest.Item, factor: str) -> Case:
        """Take a test apart, one of whose parameters says on which server it runs."""
        named = parameters(item)
        rest = tuple(str(named[name]) for name in sorted(named.keys() - {factor, "mode"}))
        return Case(item, named[factor], rest)


def left_to_all(
    items: Iterable[pytest.Item],
    factor: str,
    whole: Collection[object],
    share: int = SHARE,
    services: Mapping[object, str] = MappingProxyType({}),
) -> list[pytest.Item]:
    """Return the tests that a sample leaves out, of those whose server the parameter `factor` names.

    Of the servers in `whole` nothing is left out; another is asked with one of `share` parameters. A test without any
    comes on one of those that are emulators of the same, as `services` says.
    """
    tests = defaultdict(list)
    for item in items:
        if factor in parameters(item) and parameters(item)[factor] not in whole:
            tests[item.nodeid.partition("[")[0]].append(Case.of(item, factor))
    left = []
    for number, cases in enumerate(tests.values()):
        several = len({case.rest for case in cases}) > 1
        running = cases if several else one_of_each(cases, number, services)
        left += [case.item for case in cases if case not in running] + surplus(running, number, share)
    return left


def left_of_products(items: Collection[pytest.Item], services: Mapping[object, str]) -> list[pytest.Item]:
    """Return what a sample leaves out of the tests with the mark `product`."""
    marked = defaultdict(list)
    for item in items:
        for marker in item.iter_markers("product"):
            for factor in marker.args:
                marked[factor].append(item)
    return [item for factor, ours in marked.items() for item in left_to_all(ours, factor, (), services=services)]


def one_of_each(cases: Sequence[Case], shift: int, services: Mapping[object, str]) -> list[Case]:
    """Return the cases of one server of each service, of another from test to test."""
    servers = defaultdict(list)
    for server in dict.fromkeys(case.server for case in cases):
        servers[services.get(server, server)].append(server)
    asked = [each[shift % len(each)] for each in servers.values()]
    return [case for case in cases if case.server in asked]


def parameters(item: pytest.Item) -> dict[str, Any]:
    """Return the parameters of a test by name."""
    spec = getattr(item, "callspec", None)
    return spec.params if spec is not None else {}


def surplus(cases: Sequence[Case], shift: int, share: int) -> list[pytest.Item]:
    """Return those cases of one test that are not in its sample, whose modes alternate from `shift` on."""
    by_rest: dict[object, dict[object, list[pytest.Item]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        by_rest[case.rest][case.server].append(case.item)
        modes = [parameters(item).get("mode") for item in by_rest[case.rest][case.server]]
        assert len(modes) == len({*modes}), f"another test looks like {case.item.nodeid}"
    asked = {server for _, server in chosen(by_rest, share)}
    missed = {server: rest for rest in [*by_rest][::-1] for server in by_rest[rest] if server not in asked}
    kept = [*chosen(by_rest, share), *((rest, server) for server, rest in missed.items())]
    ways = [by_rest[rest][server] for rest, server in kept]
    running = {items[(number + shift) % len(items)] for number, items in enumerate(ways)}
    return [case.item for case in cases if case.item not in running]


def chosen(by_rest: dict[object, dict[object, list[pytest.Item]]], share: int) -> list[tuple[object, object]]:
    """Return with which parameters a server is asked: with one of `share`, and with all if there are no two."""
    return [
        (rest, server)
        for number, (rest, servers) in enumerate(by_rest.items())
        for place, server in enumerate(servers)
        if (place + number) % min(share, len(servers), len(by_rest)) == 0
    ]
