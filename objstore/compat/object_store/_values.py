"""What object-store-python's operations take and give back: paths, metadata, listings and client options.

Its one invariant: values are compared, hashed and pickled by what is in them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, Union
from urllib.parse import quote

from objstore.settings.paths import check_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.types import Buffer, RetryConfig
    from objstore.types import ObjectMeta as Meta

DELIMITER = "/"

_UNQUOTED = " !$&'()+,-.:;=@_"
"""What a segment may have in it as it is, besides letters and digits."""


class Path:
    """The path of an object, or a prefix.

    Args:
        raw: The path; slashes at either end do not count.

    Raises:
        InvalidPathError: It has an empty segment, ``.``, ``..`` or a control character.
    """

    __slots__ = ("_path",)

    def __init__(self, raw: str) -> None:
        if not isinstance(raw, str):
            raise TypeError(f"a Path is made of a str, {raw!r} is a {type(raw).__name__}")
        self._path = check_path(raw) if raw.strip(DELIMITER) else ""

    def child(self, part: str) -> Path:
        """Return the path of something right below; what cannot be in a segment is percent-encoded.

        Args:
            part: The last segment of the new path, not encoded.
        """
        encoded = part.replace(".", "%2E") if part in (".", "..") else quote(part, _UNQUOTED).replace("~", "%7E")
        return Path(f"{self._path}{DELIMITER}{encoded}")

    def __str__(self) -> str:
        """Return the path."""
        return self._path

    def __repr__(self) -> str:
        """Return the call that makes it."""
        return f"Path({self._path!r})"

    def __eq__(self, other: object) -> bool:
        """Tell whether two paths are the same."""
        return self._path == other._path if isinstance(other, Path) else NotImplemented

    def __hash__(self) -> int:
        """Hash the path."""
        return hash(self._path)


PathLike: TypeAlias = Union[str, list[str], Path]  # noqa: UP007
BytesLike: TypeAlias = Union[bytes, io.BytesIO]  # noqa: UP007


def _as_path(raw: PathLike) -> Path:
    """Return the path that a str, a list of segments or a path means.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(raw, Path):
        return raw
    if isinstance(raw, list):
        return Path(DELIMITER.join(raw))
    if isinstance(raw, str):
        return Path(raw)
    raise ValueError(f"{raw!r} is no path: give a str, a list of str or a Path, not a {type(raw).__name__}")


def _as_bytes(raw: BytesLike | Buffer) -> bytes:
    """Return the bytes of a buffer, or what is left of a BytesIO.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(raw, bytes):
        return raw
    if isinstance(raw, io.BytesIO):
        return raw.read()
    try:
        return bytes(memoryview(raw))
    except TypeError:
        raise ValueError(f"a {type(raw).__name__} cannot be stored: give bytes or a BytesIO") from None


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """What a store says about an object.

    Args:
        location: Its path.
        size: Its size in bytes.
        last_modified: When it was written, in whole seconds since 1970.
    """

    location: Path
    size: int
    last_modified: int

    @classmethod
    def of(cls, meta: Meta) -> ObjectMeta:
        """Make it of what the store gives."""
        return cls(Path(meta["path"]), meta["size"], int(meta["last_modified"].timestamp()))


@dataclass(frozen=True, slots=True)
class ListResult:
    """One level of a listing: the prefixes below it, and the objects in it."""

    common_prefixes: list[Path]
    objects: list[ObjectMeta]


@dataclass(slots=True)
class ClientOptions:
    """Settings of the HTTP client and of tries again; times are in seconds.

    Args:
        user_agent: The User-Agent header.
        content_type_map: Content types by the endings of paths, without their dots.
        default_content_type: The content type of all other objects.
        proxy_url: The proxy for all requests.
        allow_http: Whether plain http:// is allowed.
        allow_insecure: Whether any certificate is accepted; for tests only.
        timeout: The longest time for a whole request.
        connect_timeout: The longest time to reach a server.
        pool_idle_timeout: How long an idle connection is kept.
        pool_max_idle_per_host: 0: keep no connection.
        http2_keep_alive_interval: Refused, as libcurl sends no HTTP/2 pings.
        http2_keep_alive_timeout: Refused, as libcurl sends no HTTP/2 pings.
        http2_keep_alive_while_idle: Refused, as libcurl sends no HTTP/2 pings.
        http1_only: Whether to speak HTTP/1.1 only.
        http2_only: Whether to speak HTTP/2 only.
        retry_init_backoff: The upper bound of the first wait before a request is tried again.
        retry_max_backoff: The upper bound of any such wait.
        retry_backoff_base: How much the bound grows from one wait to the next.
        retry_max_retries: The most tries after the first.
        retry_timeout: No new try this long after the first one started.
    """

    user_agent: str | None = None
    content_type_map: Mapping[str, str] = field(default_factory=dict)
    default_content_type: str | None = None
    proxy_url: str | None = None
    allow_http: bool = False
    allow_insecure: bool = False
    timeout: float | None = None
    connect_timeout: float | None = None
    pool_idle_timeout: float | None = None
    pool_max_idle_per_host: int | None = None
    http2_keep_alive_interval: float | None = None
    http2_keep_alive_timeout: float | None = None
    http2_keep_alive_while_idle: bool = False
    http1_only: bool = False
    http2_only: bool = False
    retry_init_backoff: float | None = None
    retry_max_backoff: float | None = None
    retry_backoff_base: float | None = None
    retry_max_retries: int | None = None
    retry_timeout: float | None = None

    def client(self) -> dict[str, Any]:
        """Return the settings of the HTTP client, under our names; what was left at its default is left out."""
        given = {_RENAMED.get(name, name): getattr(self, name) for name in _CLIENT}
        return {name: value for name, value in given.items() if value is not None and value is not False}

    def retry(self) -> RetryConfig:
        """Return how often and how long to try again."""
        waits = {
            "init_backoff": self.retry_init_backoff,
            "max_backoff": self.retry_max_backoff,
            "base": self.retry_backoff_base,
        }
        limits = {
            "backoff": {name: value for name, value in waits.items() if value is not None},
            "max_retries": self.retry_max_retries,
            "retry_timeout": self.retry_timeout,
        }
        return {name: value for name, value in limits.items() if value is not None}  # type: ignore[return-value]

    def content_type(self, location: Path) -> str | None:
        """Return the content type of a path by its ending."""
        _, dot, ending = str(location).rpartition(DELIMITER)[2].rpartition(".")
        return self.content_type_map.get(ending) if dot else None


_CLIENT = tuple(
    name for name in ClientOptions.__slots__ if not name.startswith("retry_") and name != "content_type_map"
)
_RENAMED = {"allow_insecure": "allow_invalid_certificates"}
