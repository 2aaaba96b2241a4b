"""Which protocols there are, how their paths are named, and which store is behind each.

A path of fsspec is the bucket and the key, with a slash between; where there are no buckets it is the key behind the
root. Keys are taken as they are, so that objects named like folders (``a/``) can be seen and deleted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from objstore._fsspec import web_paths
from objstore._fsspec.options import AZURE_NAMES, FILE_NAMES, GCS_NAMES, HTTP_NAMES, LOCAL_NAMES, S3_NAMES, Given, Rule
from objstore.exceptions import ConfigurationError
from objstore.providers.cloud.azure import AZURE
from objstore.providers.cloud.gcs import GCS
from objstore.providers.cloud.s3 import S3
from objstore.settings.options import parse, split_off
from objstore.store import AzureStore, GCSStore, HTTPStore, LocalStore, MemoryStore, S3Store, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from objstore.providers.cloud.kind import BucketKind

ANY_BUCKET = "any-bucket"
"""The bucket of a store that is asked for the buckets of its account: a store has one, whichever it is."""

OWN = "obj"
"""What a protocol's own name in fsspec begins with: ``objs3`` is S3, whoever has ``s3``."""


@dataclass(frozen=True, slots=True)
class Service:
    """Describe what is behind a protocol.

    Args:
        protocols: Its names, the usual one first.
        open: Makes the store of a bucket, by the usual protocol, the bucket, and what was given.
        check: Raises if something was given that these stores do not have; is called with the protocol.
        has_buckets: Whether a path begins with the name of a bucket (or container, or host).
        root: What all paths begin with.
        has_folders: Whether folders are there by themselves, as those of local files are.
        has_urls: Whether paths are URLs, with queries and percent-escapes.
        names: The options that go by other names with the usual implementation of fsspec, and what they mean here.
    """

    protocols: tuple[str, ...]
    open: Callable[[str, str, Given], Store]
    check: Callable[[str, Given], object]
    has_buckets: bool = True
    root: str = ""
    has_folders: bool = False
    has_urls: bool = False
    names: Mapping[str, Rule] = field(default_factory=dict)


def _bucket(store: Callable[..., Store], kind: BucketKind) -> Callable[[str, str, Given], Store]:
    """Return what makes a store of a bucket."""
    return lambda _, bucket, given: store(bucket, raw_keys=True, **_without_bucket(kind, bucket, given).arguments())


def _without_bucket(kind: BucketKind, bucket: str, given: Given) -> Given:
    """Return what was given without the bucket, which a path names: both must mean the same.

    Raises:
        ConfigurationError: They do not.
    """
    config, named = split_off(kind.table, kind.bucket, given.config or {})
    settings, also = split_off(kind.table, kind.bucket, given.settings)
    for other in (*named, *also):
        if bucket not in (ANY_BUCKET, other) and other != bucket.partition("@")[0]:
            raise ConfigurationError(
                f"The path is in {bucket!r}, but {kind.bucket} = {other!r} was given", hint=f"Leave {kind.bucket} out."
            )
    return replace(given, config=config or None, settings=settings)


def _of(kind: BucketKind) -> Callable[[str, Given], object]:
    """Return what checks the settings of a cloud service, as far as they are known before there is a bucket."""
    return lambda _, given: parse(
        kind.table, config=given.config, keywords=given.settings, client_options=given.client_options
    )


def _only(*taken: str) -> Callable[[str, Given], object]:
    """Return what checks that there are no settings but these."""
    return lambda protocol, given: given.refuse(protocol, *taken)


def _memory(protocol: str, bucket: str, given: Given) -> Store:
    return MemoryStore(raw_keys=True)


def _azure(protocol: str, container: str, given: Given) -> Store:
    """Open a container, which may be named with its account: ``container@account.dfs.core.windows.net``."""
    given = _without_bucket(AZURE, container, given)
    return AzureStore.from_url(f"{protocol}://{container}", raw_keys=True, **given.arguments())


def _http(protocol: str, host: str, given: Given) -> Store:
    options: Any = {"client_options": given.client_options or None, "retry_config": given.retry_config or None}
    store = _OneUrl if web_paths.is_whole(host) else HTTPStore
    return store(f"{protocol}://{host}", **given.settings, **options)


class _OneUrl(HTTPStore):
    """What is at one URL, under the key ''."""

    def key(self, path: str) -> str:
        """Return the key as it is."""
        return path

    exact_key = key

    def keys(self, paths: Sequence[str]) -> Sequence[str]:
        """Return the keys as they are."""
        return paths


def _local(protocol: str, bucket: str, given: Given) -> Store:
    return LocalStore(**given.settings)


_WEB = _only("username", "password", "bearer_token")

SERVICES = (
    Service(("s3", "s3a"), _bucket(S3Store, S3), _of(S3), names=S3_NAMES),
    Service(("gs", "gcs"), _bucket(GCSStore, GCS), _of(GCS), names=GCS_NAMES),
    Service(("abfs", "abfss", "adl", "az", "azure"), _azure, _of(AZURE), names=AZURE_NAMES),
    Service(("http",), _http, _WEB, has_urls=True, names=HTTP_NAMES),
    Service(("https",), _http, _WEB, has_urls=True, names=HTTP_NAMES),
    Service(
        ("file",),
        _local,
        _only("automatic_cleanup", "mkdir", "fsync"),
        has_buckets=False,
        root="/",
        has_folders=True,
        names=LOCAL_NAMES,
    ),
    Service(("memory",), _memory, _only(), has_buckets=False, names=FILE_NAMES),
)

BY_PROTOCOL: Mapping[str, tuple[str, Service]] = {
    own + protocol: (protocol, service) for service in SERVICES for protocol in service.protocols for own in ("", OWN)
}
"""For each name in fsspec: the protocol, as URLs have it, and the service."""


def find(name: str) -> tuple[str, Service]:
    """Return the protocol, and the service, of a name in fsspec.

    Raises:
        ValueError: There is none of that name.
    """
    if name not in BY_PROTOCOL:
        raise ValueError(f"protocol = {name!r}: give one of {', '.join(sorted(BY_PROTOCOL))}")
    return BY_PROTOCOL[name]


def schemes(name: str) -> frozenset[str]:
    """Return how URLs of this protocol may begin, without the colon; none for an abstract class."""
    service = BY_PROTOCOL[name][1] if name in BY_PROTOCOL else None
    return frozenset(other for other, (_, its) in BY_PROTOCOL.items() if its is service)
