"""Objects that are parts of another one: written aside under names of their own, composed, and deleted.

The names lie in the folder of the object to be, so that who may write there alone may write them too, and no folder is
made for them, which a hierarchical namespace would keep; listings leave them out. All end in `.objstore-part`, for a
rule of the bucket's that deletes what a crash has left behind.

https://cloud.google.com/storage/docs/composite-objects
"""

from __future__ import annotations

import json
import re
import secrets
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from objstore._core import Buffer, Listing, combined_checksum
from objstore.exceptions import BaseError, NotFoundError
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.interface.succession import Succession
from objstore.interface.values import ListQuery, Page, WriteOptions
from objstore.providers.cloud.gcs_resource import (
    generation_match,
    generation_of,
    items_of,
    put_result_of,
    read_document,
)
from objstore.providers.cloud.gcs_sums import NOTHING, corrupted, text_of
from objstore.providers.cloud.listed import checked
from objstore.providers.cloud.upload import ABORT_SECONDS
from objstore.providers.conditional_headers import look_after, write_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from objstore.plans.effects import Plan
    from objstore.providers.cloud.gcs_objects import Objects
    from objstore.types import PutResult

AT_ONCE = 32
"""How many objects one request composes."""

LONGEST_FOLDER = 900
"""Below a longer one, in bytes, the names of parts would be too long: they have 1024 (names of objects)."""

IN_FLIGHT = 32
"""How many requests that compose or delete are under way."""

GOES_ON = "goes-on"
"""The part that says that an upload by many hands has not ended."""

_HIDDEN = re.compile(r"(?:^|/)\.objstore-[0-9a-f]{32}-[0-9a-z-]+\.objstore-part$")


def hidden(name: str) -> bool:
    """Tell whether an object is a part of another one."""
    return _HIDDEN.search(name) is not None


class Part(NamedTuple):
    """An object that is a part: its name, and which generation of it, with size and checksum, where this is known."""

    name: str
    generation: str
    size: int
    crc: bytes | None


class PartObjects:
    """The parts of one object to be.

    Args:
        objects: The bucket.
        key: The key of the object.
        id: What tells its parts from those of other uploads; made here, if not given.
    """

    def __init__(self, objects: Objects, key: str, id: str = "") -> None:
        self.id = id or secrets.token_hex(16)
        above, slash, _ = key.rpartition("/")
        beside = f"{above}{slash}" if len(above.encode()) < LONGEST_FOLDER else ""
        self.prefix = f"{beside}.objstore-{self.id}-"
        self._objects = objects
        self._key = key

    def part(self, number: int | str) -> str:
        """Return the name of a part."""
        return f"{self.prefix}{f'{number:05}' if isinstance(number, int) else number}.objstore-part"

    # --- composing

    def compose(self, parts: Sequence[Part], options: WriteOptions) -> Plan[PutResult]:
        """Make the object of its parts, if what must hold of it does, and compare its checksum."""
        level = 0
        while len(parts) > AT_ONCE:
            level += 1
            parts = yield from self._compose_groups(parts, level)
        objects = self._objects
        target = self._target(self._key, generation_match(options))
        body = _body(parts, objects.described(options))
        safe = options.mode == "overwrite"
        try:
            made = yield from objects.ask(
                "POST", target, self._key, headers=objects.key_headers, body=body, safe=safe, detail=" from its parts"
            )
        except NotFoundError:
            raise
        except BaseError as error:
            raise (yield from look_after(write_error(error, options), options, objects.now_at(self._key))) from None
        self._check(parts, made)
        return put_result_of(made)

    def _compose_groups(self, parts: Sequence[Part], level: int) -> Plan[list[Part]]:
        """Make fewer parts of many."""
        groups = [parts[at : at + AT_ONCE] for at in range(0, len(parts), AT_ONCE)]
        names = [self.part(f"{level}x{index:05}") for index in range(len(groups))]
        exchange = self._exchange("POST", {"Content-Type": "application/json", **self._objects.key_headers})
        for name, group in zip(names, groups, strict=True):
            exchange.add(self._target(name, []), body=Buffer(_body(group, {})))
        yield from exchange.finish()
        for error in exchange.errors.values():
            raise error
        made = [read_document(bytes(exchange.reply(index).body), "a description") for index in range(len(groups))]
        return [
            Part(name, generation_of(document), sum(part.size for part in group), self._check(group, document))
            for name, group, document in zip(names, groups, made, strict=True)
        ]

    def _check(self, parts: Sequence[Part], made: dict[str, Any]) -> bytes | None:
        """Return the checksum of what parts were made to, if it is theirs; None where nobody knows that."""
        crc = NOTHING
        for part in parts:
            if part.crc is None:
                return None
            crc = combined_checksum("crc32c", crc, part.crc, part.size)
        if made.get("crc32c") not in (None, text_of(crc)):
            raise corrupted(self._objects.service.path(self._key), crc, made["crc32c"])
        return crc

    def _target(self, name: str, query: Sequence[tuple[str, str]]) -> bytes:
        said = [("fields", "crc32c,etag,generation"), *self._objects.kms_query, *query]
        return self._objects.object_target(name, said, "/compose")

    # --- what there is of it

    def items(
        self, fields: str, *, versions: bool = False, within: float | None = None
    ) -> Plan[list[Mapping[str, Any]]]:
        """Return what the service tells of the objects here; each page within so many seconds, if that is said."""
        found: list[Mapping[str, Any]] = []
        query = [("prefix", self.prefix), ("fields", f"items({fields}),kind,nextPageToken")]
        query += [("versions", "true")] if versions else []
        token, succession = "", Succession(self.prefix)
        while True:
            said = [*query, ("pageToken", token)] if token else query
            page = yield from self._objects.ask("GET", self._objects.object_target("", said), self._key, within=within)
            items = items_of(page)
            token = str(page.get("nextPageToken") or "")
            checked(Page(Listing.of(()), [str(item["name"]) for item in items], token), ListQuery(self.prefix))
            succession.take(Page(Listing.of(()), [], token))  # a name comes once for each of its generations
            found += items
            if not token:
                return found

    def clean(self) -> Plan[None]:
        """Delete all parts; first the object that says that the upload goes on, and then also those that came late."""
        found = yield from self._found()
        if marks := [item for item in found if item["name"] == self.part(GOES_ON)]:
            yield from self._delete(marks)
            found = yield from self._found()
        yield from self._delete(found)

    def _found(self) -> Plan[list[Mapping[str, Any]]]:
        """Return all generations of parts: what is deleted by its name alone, a versioned bucket would keep."""
        return self.items("generation,name", versions=True, within=ABORT_SECONDS)

    def _delete(self, items: Sequence[Mapping[str, Any]]) -> Plan[None]:
        exchange = self._exchange("DELETE", {})
        for item in items:
            exchange.add(self._objects.object_target(item["name"], [("generation", str(item["generation"]))]))
        yield from exchange.finish_within(ABORT_SECONDS + len(items) / 10)
        for error in exchange.errors.values():
            if not isinstance(error, NotFoundError):
                raise error

    def clean_behind(self) -> Plan[None]:
        """Delete all parts of an object that has been made: where that fails, warn."""
        try:
            yield from self.clean()
        except BaseError as error:
            warnings.warn(
                f"{self._key!r} is made, but of its parts ({self.prefix!r} ...) some are left: delete them. {error}",
                stacklevel=2,
            )

    def _exchange(self, method: str, headers: dict[str, str]) -> Exchange:
        service = self._objects.service
        return Exchange(
            service,
            Shape(method, headers),
            lambda _: self._key,
            detail=lambda _: " (parts of it)",
            patient=True,
            keep_head=True,
            most_in_flight=IN_FLIGHT,
        )


def _body(parts: Sequence[Part], described: dict[str, Any]) -> bytes:
    sources = [{"name": part.name, "generation": part.generation} for part in parts]
    return json.dumps({"destination": described, "sourceObjects": sources}).encode()
