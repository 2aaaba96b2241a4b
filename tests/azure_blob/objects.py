"""What the fake keeps: containers of blobs with their versions, snapshots, blocks and directories."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import count

from objstore._core import checksum

Headers = Mapping[str, str]

KEPT = {
    "x-ms-blob-cache-control": "Cache-Control",
    "x-ms-blob-content-disposition": "Content-Disposition",
    "x-ms-blob-content-encoding": "Content-Encoding",
    "x-ms-blob-content-language": "Content-Language",
    "x-ms-blob-content-type": "Content-Type",
}
MOST_AT_ONCE = 5000 << 20
MOST_IN_A_BLOCK = 4000 << 20
MOST_BLOCKS = 50_000


class RefusedError(Exception):
    """A request is refused.

    Args:
        status: The status.
        code: The service's code.
    """

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass
class Blob:
    """A blob, or one of its snapshots; None as data: a directory."""

    data: bytes | None
    headers: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    tags: str = ""
    tier: str = ""
    key: str = ""
    e_tag: str = ""
    version: str = ""
    modified: str = ""
    blocks: list[str] = field(default_factory=list)
    snapshots: dict[str, Blob] = field(default_factory=dict)


class Container:
    """A container.

    Args:
        hierarchical: Whether it is of an account with directories.
        versioned: Whether it is of one that keeps versions.
    """

    def __init__(self, *, hierarchical: bool = False, versioned: bool = False) -> None:
        self.hierarchical = hierarchical
        self.versioned = versioned
        self.blobs: dict[str, Blob] = {}
        self.versions: dict[tuple[str, str], Blob] = {}
        self.blocks: dict[str, dict[str, bytes]] = {}
        self.held: dict[str, RefusedError] = {}
        self.lock = threading.RLock()
        self._numbers = count(1)

    def moment(self) -> str:
        """Return a new time, as versions and snapshots are named."""
        return f"2026-11-27T08:00:00.{next(self._numbers):07}Z"

    def find(self, key: str, query: Headers) -> Blob:
        """Return the blob, version or snapshot that a request names."""
        blob = self.blobs.get(key)
        if "versionid" in query:
            blob = self.versions.get((key, query["versionid"]))
        elif "snapshot" in query:
            blob = None if blob is None else blob.snapshots.get(query["snapshot"])
        if blob is None:
            raise RefusedError(404, "BlobNotFound")
        return blob

    def check_write(self, key: str, headers: Headers) -> None:
        """Check the conditions of a write, and what else may keep it from being done."""
        if key in self.held:
            raise self.held[key]
        there = self.blobs.get(key)
        if headers.get("if-none-match") == "*" and there is not None:
            raise RefusedError(409, "BlobAlreadyExists")
        if "if-match" in headers and (there is None or headers["if-match"] not in ("*", there.e_tag)):
            raise RefusedError(412, "ConditionNotMet")
        if self.hierarchical:
            if there is not None and there.data is None:
                raise RefusedError(409, "ResourceTypeMismatch")
            if any(self.blobs[above].data is not None for above in parents(key) if above in self.blobs):
                raise RefusedError(409, "ResourceTypeMismatch")

    def write(self, key: str, blob: Blob, headers: Headers) -> Blob:
        """Put a blob in place of what is there."""
        self.check_write(key, headers)
        blob.e_tag = f'"0x{next(self._numbers):X}"'
        blob.version = self.moment() if self.versioned else ""
        blob.modified = formatdate(usegmt=True)
        blob.snapshots = self.blobs[key].snapshots if key in self.blobs else {}
        for above in parents(key) if self.hierarchical else ():
            self.make_directory(above)
        self.blobs[key] = blob
        self.blocks.pop(key, None)
        if self.versioned:
            self.versions[key, blob.version] = blob
        return blob

    def make_directory(self, key: str) -> None:
        """Make a directory, if it is not there."""
        for each in (*parents(key), key):
            if each not in self.blobs:
                tag = f'"0x{next(self._numbers):X}"'
                self.blobs[each] = Blob(None, e_tag=tag, modified=formatdate(usegmt=True))

    def keys_ever(self, prefix: str) -> list[str]:
        """Return the names of blobs that are there, or of which there are versions."""
        names = {*self.blobs, *(name for name, _ in self.versions)}
        return sorted((name for name in names if name.startswith(prefix)), key=lambda name: name.encode())

    def below(self, key: str) -> list[str]:
        """Return what is in a directory, at any depth."""
        return [name for name in self.blobs if name.startswith(f"{key}/")]

    def delete(self, key: str, headers: Headers, query: Headers) -> None:
        """Delete a blob, an empty directory, or the version or snapshot that a request names."""
        if key in self.held:
            raise self.held[key]
        if "snapshot" in query:
            self.find(key, query)
            del self.blobs[key].snapshots[query["snapshot"]]
            return
        if "versionid" in query:
            if self.find(key, query) is self.blobs.get(key):
                raise RefusedError(403, "OperationNotAllowedOnRootBlob")
            del self.versions[key, query["versionid"]]
            return
        blob = self.find(key, {})
        if blob.data is None and self.below(key):
            raise RefusedError(409, "DirectoryIsNotEmpty")
        if headers.get("if-match", blob.e_tag) not in (blob.e_tag, "*"):
            raise RefusedError(412, "ConditionNotMet")
        if blob.snapshots and headers.get("x-ms-delete-snapshots") != "include":
            raise RefusedError(409, "SnapshotsPresent")
        del self.blobs[key]

    def put_block(self, key: str, id: str, data: bytes) -> None:
        """Keep a block: ids of one blob are of one length, and of 64 bytes at the most."""
        known = self.blocks.setdefault(key, {})
        if len(base64.b64decode(id, validate=True)) > 64 or any(len(other) != len(id) for other in known):
            raise RefusedError(400, "InvalidBlobOrBlock")
        if not data:
            raise RefusedError(400, "InvalidHeaderValue")
        known[id] = data

    def assemble(self, key: str, ids: list[str]) -> bytes:
        """Return the bytes of blocks."""
        if len(ids) > MOST_BLOCKS:
            raise RefusedError(400, "BlockListTooLong")
        known = self.blocks.get(key, {})
        there = self.blobs.get(key)
        if there is not None and ids and ids == there.blocks and not known:
            return there.data or b""
        if any(id not in known for id in ids):
            raise RefusedError(400, "InvalidBlockList")
        return b"".join(known[id] for id in ids)


def parents(key: str) -> list[str]:
    """Return the directories that a key is in, the outermost first."""
    segments = key.split("/")[:-1]
    return ["/".join(segments[: depth + 1]) for depth in range(len(segments))]


def crc64(data: bytes) -> str:
    """Return the checksum as the service writes it, its lowest byte first."""
    return base64.b64encode(checksum("crc64nvme", data)[::-1]).decode()


def md5(data: bytes) -> str:
    """Return the digest as headers have it."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def check_body(data: bytes, headers: Headers) -> None:
    """Compare what came with the checksums that came with it."""
    if "content-md5" in headers and "x-ms-content-crc64" in headers:
        raise RefusedError(400, "InvalidInput")
    if headers.get("content-md5", md5(data)) != md5(data):
        raise RefusedError(400, "Md5Mismatch")
    if headers.get("x-ms-content-crc64", crc64(data)) != crc64(data):
        raise RefusedError(400, "Crc64Mismatch")


def blob_of(data: bytes, headers: Headers) -> Blob:
    """Return a blob with what the headers of a write say of it."""
    metadata = {name[10:]: value for name, value in headers.items() if name.startswith("x-ms-meta-")}
    if any(not name.isidentifier() for name in metadata):
        raise RefusedError(400, "InvalidMetadata")
    return Blob(
        data,
        {kept: headers[name] for name, kept in KEPT.items() if name in headers},
        metadata,
        headers.get("x-ms-tags", ""),
        headers.get("x-ms-access-tier", ""),
        headers.get("x-ms-encryption-key", ""),
    )
