"""The objects of the fake: what is stored, and what the two APIs say of it.

https://cloud.google.com/storage/docs/json_api/v1, https://cloud.google.com/storage/docs/xml-api/overview
"""

from __future__ import annotations

import base64
import hashlib
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import count
from typing import Any

from google_crc32c import Checksum

PAGE = 1000
GRAIN = 256 << 10
SMALLEST_PART = 5 << 20
STANDARD = {
    "cacheControl": "Cache-Control",
    "contentDisposition": "Content-Disposition",
    "contentEncoding": "Content-Encoding",
    "contentLanguage": "Content-Language",
    "contentType": "Content-Type",
    "storageClass": "x-goog-storage-class",
}
XML_CODES = {
    "authError": "AuthenticationRequired",
    "signatureDoesNotMatch": "SignatureDoesNotMatch",
    "conditionNotMet": "PreconditionFailed",
    "invalid": "InvalidArgument",
    "notFound": "NoSuchKey",
    "notModified": "NotModified",
    "rateLimitExceeded": "SlowDown",
    "requestedRangeNotSatisfiable": "InvalidRange",
}
NO_BUCKET = "The specified bucket does not exist."


def crc32c(data: bytes) -> str:
    """Return a checksum as the service writes it."""
    return base64.b64encode(Checksum(data).digest()).decode()


def check_sum(data: bytes, told: str | None) -> None:
    """Raise if data is not what a checksum says."""
    if told is not None and told.removeprefix("crc32c=") != crc32c(data):
        raise RefusedError(400, "invalid", "Provided CRC32C doesn't match calculated CRC32C")


class RefusedError(Exception):
    """A request is answered by an error."""

    def __init__(self, status: int, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.status = status
        self.reason = reason

    def json(self) -> dict[str, Any]:
        """Return the document that the JSON API answers with."""
        errors = [{"domain": "global", "reason": self.reason, "message": str(self)}]
        return {"error": {"code": self.status, "message": str(self), "errors": errors}}

    def xml(self) -> str:
        """Return the document that the XML API answers with."""
        code = "NoSuchBucket" if str(self) == NO_BUCKET else XML_CODES.get(self.reason, self.reason)
        return f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{self}</Message></Error>"


@dataclass
class Stored:
    """One generation of an object. Its sums are reckoned once: every range of a large one tells them."""

    name: str
    data: bytes
    described: dict[str, Any]
    generation: int
    key: str | None = None
    """The SHA-256 of the customer's key that it is encrypted with."""
    updated: datetime = field(default_factory=lambda: datetime.now(UTC))

    def resource(self) -> dict[str, Any]:
        """Return what the JSON API says of it."""
        sums = {"md5Hash": base64.b64encode(self.md5).decode(), "crc32c": self.crc32c}
        etag = base64.b64encode(b"%d/1" % self.generation).decode()
        named = {"name": self.name, "generation": str(self.generation), "metageneration": "1", "etag": etag}
        time = self.updated.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        sums = {} if self.key else sums
        return {**self.described, **named, **sums, "size": str(len(self.data)), "updated": time}

    @cached_property
    def md5(self) -> bytes:
        return hashlib.md5(self.data).digest()

    @cached_property
    def crc32c(self) -> str:
        return crc32c(self.data)

    @property
    def xml_tag(self) -> str:
        """The ETag of the XML API."""
        return f'"{self.md5.hex()}"'

    def headers(self) -> dict[str, str]:
        """Return the headers of the XML API."""
        headers = {STANDARD[name]: value for name, value in self.described.items() if name in STANDARD}
        own = {f"x-goog-meta-{name}": value for name, value in self.described.get("metadata", {}).items()}
        return {
            "Content-Type": "application/octet-stream",
            **headers,
            **own,
            "ETag": self.xml_tag,
            "Last-Modified": self.updated.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "x-goog-generation": str(self.generation),
            "x-goog-metageneration": "1",
            "x-goog-hash": f"crc32c={self.crc32c}",
            "Accept-Ranges": "bytes",
            "x-goog-stored-content-length": str(len(self.data)),
            "x-goog-stored-content-encoding": headers.get("Content-Encoding", "identity"),
        }


class Bucket:
    """The objects of one bucket."""

    def __init__(self) -> None:
        self.generations: dict[str, list[Stored]] = {}
        self.versioned = False
        self.archived: list[Stored] = []
        """What is not live, of objects that were deleted."""
        self.folders: set[str] = set()
        """Those of a hierarchical namespace."""

    def live(self, name: str) -> Stored | None:
        """Return the newest generation of an object, if it was not deleted."""
        return next((each for each in self.generations.get(name, [])[-1:] if each.data is not None), None)

    def find(self, name: str, generation: str | None) -> Stored:
        """Return a generation of an object; the live one, where none is named."""
        found = self.live(name)
        if generation is not None:
            if not generation.isdecimal():
                raise RefusedError(400, "invalid", "Invalid generation")
            found = next((s for s in self.every(name) if s.generation == int(generation)), None)
        if found is None:
            raise RefusedError(404, "notFound", f"No such object: {name}")
        return found

    def check(self, name: str, wanted: str | None) -> None:
        """Raise if ifGenerationMatch does not hold; 0: there is no such object."""
        live = self.live(name)
        if wanted is not None and int(wanted) != (live.generation if live else 0):
            raise RefusedError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")

    def write(self, stored: Stored) -> Stored:
        """Make an object live."""
        self.generations[stored.name] = [*(self.generations.get(stored.name, []) if self.versioned else []), stored]
        return stored

    def delete(self, name: str, generation: str | None = None) -> None:
        """Delete the live generation, which a versioned bucket keeps; or the one that is named, for good."""
        found = self.find(name, generation)
        if generation is None:
            self.archived += self.generations.pop(name) if self.versioned else []
            self.generations.pop(name, None)
            return
        if found in self.archived:
            self.archived.remove(found)
            return
        self.generations[name].remove(found)
        if not self.generations[name]:
            del self.generations[name]

    def every(self, name: str) -> list[Stored]:
        """Return all generations of an object, live or not."""
        return [*(each for each in self.archived if each.name == name), *self.generations.get(name, [])]

    def told(self, name: str) -> list[dict[str, Any]]:
        """Return what a listing of versions tells of an object: when each that is not live was replaced or deleted."""
        live = self.live(name)
        over = {"timeDeleted": "2026-11-27T08:00:00.000Z"}
        return [each.resource() | ({} if each is live else over) for each in self.every(name)]

    def names(self) -> list[str]:
        """Return the names of the live objects, in the order of their UTF-8."""
        return sorted(self.generations, key=str.encode)

    def list(self, query: dict[str, str]) -> dict[str, Any]:
        """Return a page of a listing."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        begin = max(query.get("startOffset", ""), query.get("pageToken", ""), key=str.encode)
        kind = {"kind": "storage#objects"} if "kind" in query.get("fields", "kind").split(",") else {}
        items: list[dict[str, Any]] = []
        prefixes: dict[str, None] = {}
        if delimiter == "/" and query.get("includeFoldersAsPrefixes") == "true":
            prefixes = {
                f: None for f in sorted(self.folders) if f.startswith(prefix) and "/" not in f[len(prefix) : -1]
            }
            prefixes.pop(prefix, None)
        old = [each.name for each in self.archived] if query.get("versions") == "true" else []
        for name in sorted({*self.names(), *old}, key=str.encode):
            if not name.startswith(prefix) or name.encode() < begin.encode():
                continue
            if len(items) == PAGE:
                return {**kind, "items": items, "prefixes": [*prefixes], "nextPageToken": name}
            below = name.find(delimiter, len(prefix)) if delimiter else -1
            if below >= 0:
                prefixes[name[: below + len(delimiter)]] = None
            elif query.get("versions") == "true":
                items += self.told(name)
            else:
                items.append(self.find(name, None).resource())
        return {**kind, "items": items, "prefixes": [*prefixes]}


@dataclass
class Session:
    """A resumable upload under way."""

    bucket: str
    name: str
    described: dict[str, Any]
    if_generation_match: str | None
    key: str | None = None
    data: bytearray = field(default_factory=bytearray)
    made: Stored | None = None


@dataclass
class Multipart:
    """An upload in parts by the XML API."""

    bucket: str
    name: str
    described: dict[str, Any]
    key: str | None = None
    parts: dict[int, bytes] = field(default_factory=dict)


class Service:
    """All buckets, and what is under way."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.buckets: dict[str, Bucket] = {}
        self.sessions: dict[str, Session] = {}
        self.multiparts: dict[str, Multipart] = {}
        self.rewrites: dict[str, int] = {}
        self.rewritten_at_once = 1 << 62
        self.permissions = {f"storage.objects.{name}" for name in ("create", "delete", "get", "list")}
        self._generations = count(int(datetime.now(UTC).timestamp() * 1_000_000))
        self._ids = count(1)

    def bucket(self, name: str) -> Bucket:
        """Return a bucket."""
        if name not in self.buckets:
            raise RefusedError(404, "notFound", NO_BUCKET)
        return self.buckets[name]

    def new_id(self) -> str:
        """Return the name of something that begins."""
        return f"id{next(self._ids)}"

    def write(
        self,
        bucket: str,
        name: str,
        data: bytes,
        described: dict[str, Any],
        match: str | None,
        key: str | None = None,
    ) -> Stored:
        """Make an object."""
        place = self.bucket(bucket)
        check_sum(data, described.get("crc32c"))
        place.check(name, match)
        kept = {key: value for key, value in described.items() if value and key not in ("name", "crc32c", "md5Hash")}
        return place.write(Stored(name, data, kept, next(self._generations), key))
