"""Files that are asked about one after the other, in the order of their names: of those to come, a listing tells.

dask asks how large each of 500 files is before it reads any of them, and each question waits for a reply. Once some of
one folder have been asked about, a page of its listing is asked for in the place of the next one.

Its one invariant: what was listed is told once, to who goes on in that order, while its `Moment` is fresh; where it
tells the same of the last one as was told of that alone (S3's listings have no versions); and there is no more than one
listing for each `ROW` answers about one file, and half as many each time that one was of no use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from objstore.exceptions import BaseError
from objstore.operations.moment import Moment

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from objstore.plans.effects import Plan

    Following: TypeAlias = Callable[[str], Plan[list[dict[str, Any]]]]

ROW = 8
"""How many files are asked about one by one before others are listed, which S3 has paid like 12 of them."""


class InRow:
    """Files that are asked about one after the other."""

    def __init__(self) -> None:
        self._listed: dict[str, dict[str, Any]] = {}
        self._asked = Moment()  # when they were listed
        self._before: dict[str, Any] = {"name": ""}
        self._last: dict[str, Any] = {"name": ""}
        self._count = 0  # of answers in a row, up to the last one,
        self._row = ROW  # and of how many others are listed

    def forget(self) -> None:
        """Keep nothing of what was listed."""
        self._listed = {}

    def note(self, found: dict[str, Any]) -> None:
        """Note what the service has told of one file."""
        self._count = self._count + 1 if self._goes_on(found["name"]) else 1
        self._before, self._last = self._last, found

    def _goes_on(self, name: str) -> bool:
        last: str = self._last["name"]
        return name > last and name.rpartition("/")[0] == last.rpartition("/")[0]

    def look(self, name: str, following: Following) -> Plan[dict[str, Any] | None]:
        """Return what a listing tells of a file: it is asked for now, if the file is the next of many in a row.

        Args:
            name: Its path.
            following: Lists the files behind a path, as far as one request tells of them.
        """
        if self._count >= self._row and self._goes_on(name):
            yield from self._list(following)
        told = self._listed.pop(name, None)
        return told if self._asked.is_fresh else None

    def _list(self, following: Following) -> Plan[None]:
        """List the last file and what follows on it."""
        before, last, asked, kept = self._before, self._last, Moment(), self._listed
        self._count, row, self._row = 0, self._row, 2 * self._row
        try:
            entries = yield from following(before["name"])
        except BaseError:  # who may not list is told of each
            return
        listed = {entry["name"]: _as_asked(entry, last) for entry in entries if "last_modified" in last}
        if listed.get(last["name"]) == last and self._listed is kept:  # nobody had it forgotten meanwhile
            self._row, self._listed, self._asked = row, listed, asked


def _as_asked(listed: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Return what a listing tells of a file as the service tells it of one: some have fractions of seconds in listings
    alone."""
    time: datetime = listed["last_modified"]
    if asked["last_modified"].microsecond:
        return listed
    return {**listed, "last_modified": time.replace(microsecond=0), "mtime": time.timestamp() // 1}
