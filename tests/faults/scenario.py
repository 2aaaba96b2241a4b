"""What a scenario file says, and which of its replies a request gets. The format is in README.md beside this file."""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

OPERATIONS = (
    *(
        "get",
        "head",
        "head-part",
        "attributes",
        "put",
        "list",
        "create",
        "part",
        "part-copy",
        "list-parts",
        "complete",
        "abort",
    ),
    *("delete", "delete-many", "copy"),
)
FAULTS = ("reset", "fin", "stall")


def asked_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return [start, end) of a Range header, cut to `size`; None where there is no header. Empty when unsatisfiable."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header or "")
    if not found:
        return None
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1 if last else size)


@dataclass(frozen=True, slots=True)
class Reply:
    """How one reply departs from the true one. The default does not."""

    on: str | None = None
    times: float = 1
    share: float = 1.0
    holds: int | None = None
    unless: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: str | None = None
    raw: str | None = None
    endless: str | None = None
    keep: bool = False
    size: int | None = None
    version: int | None = None
    ignore_range: bool = False
    widen: int = 0
    shorten: int = 0
    shift: int = 0
    flip: int | None = None
    spoil: bool = False
    checksum: bool = False
    of_wholes: bool = False
    parts: Sequence[int] = ()
    algorithm: str = "crc32"
    delay: float = 0.0
    rate: float = 0.0
    fault: str | None = None
    at: int | None = None

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> Reply:
        """Return the reply that a JSON object describes; raise ValueError for a name that does not exist."""
        reply = cls(**{**row, "times": math.inf if row.get("times") == "always" else row.get("times", 1)})
        if reply.on not in (None, *OPERATIONS):
            raise ValueError(f"on={reply.on!r} is none of {OPERATIONS}")
        if reply.fault not in (None, *FAULTS):
            raise ValueError(f"fault={reply.fault!r} is none of {FAULTS}")
        return reply

    @property
    def replaces(self) -> bool:
        """Whether this reply stands in place of the operation, which is then not carried out."""
        return self.status is not None or self.body is not None

    def spares(self, headers: Mapping[str, str]) -> bool:
        """Whether a request has what the reply is not for, or has not what it is for."""
        if self.holds is not None:
            start, end = asked_range(headers.get("range"), sys.maxsize) or (0, sys.maxsize)
            if not start <= self.holds < end:
                return True
        return any(text in headers.get(name, "") for name, text in self.unless.items())


@cache
def load(folder: Path) -> dict[str, list[Reply]]:
    """Return the scenarios of `folder` by name: NAME.json is scenario NAME. They are read once."""
    replies = {path.stem: json.loads(path.read_text())["replies"] for path in folder.glob("*.json")}
    return {name: [Reply.parse(row) for row in rows] for name, rows in replies.items()}


class Script:
    """The scenarios, and how often each of their replies was used for each key. Not thread-safe: the server locks."""

    def __init__(self, scenarios: Mapping[str, list[Reply]]) -> None:
        self.scenarios = scenarios
        self.used: Counter[tuple[str, int]] = Counter()
        self.seen: Counter[str] = Counter()

    def next_reply(self, operation: str, target: str, headers: Mapping[str, str]) -> Reply:
        """Return the first reply for such a request that is not used up for `target`, which is SCENARIO/REST-OF-KEY."""
        self.seen[target] += 1
        for number, reply in enumerate(self.scenarios.get(target.split("/", 1)[0], [])):
            if reply.on not in (None, operation) or reply.spares(headers):
                continue
            if self.used[target, number] < reply.times and chance(target, self.seen[target], number) < reply.share:
                self.used[target, number] += 1
                return reply
        return Reply()


def chance(*what: object) -> float:
    """Return a number in [0, 1) that is always the same for the same request."""
    return Random(repr(what)).random()
