"""The stores, and every operation as a function and as a method of each.

An operation is written once, as a plan; `both` makes its two faces. A store is options plus a provider.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal, overload

from objstore import _bulk, _download, _ops
from objstore._forms import DICTS, arrow
from objstore._options import RetryOptions, Settings, parse
from objstore._paths import check_path, check_prefix
from objstore._run import both
from objstore.providers.memory import Memory
from objstore.providers.s3 import TABLE, open_s3
from objstore.results import ArrowListStream, ListStream

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from objstore.providers.provider import Provider
    from objstore.types import ClientConfig, ObjectMeta, RetryConfig, S3Config, S3CredentialProvider, S3Keywords

try:
    VERSION = version("objstore")
except PackageNotFoundError:
    VERSION = "0"

get, get_async = both(_ops.get)
get_range, get_range_async = both(_ops.get_range)
get_ranges, get_ranges_async = both(_ops.get_ranges)
head, head_async = both(_ops.head)
put, put_async = both(_ops.put)
delete, delete_async = both(_ops.delete)
copy, copy_async = both(_ops.copy)
rename, rename_async = both(_ops.rename)
list_with_delimiter, list_with_delimiter_async = both(_ops.list_with_delimiter)
get_many, get_many_async = both(_bulk.get_many)
head_many, head_many_async = both(_bulk.head_many)
put_many, put_many_async = both(_bulk.put_many)
upload, upload_async = both(_bulk.upload)
download, download_async = both(_download.download)
iter_many = iter_many_async = _bulk.iter_many


@overload
def list(
    store: Store,
    prefix: str | None = None,
    *,
    offset: str | None = None,
    chunk_size: int = 50,
    return_arrow: Literal[False] = False,
) -> ListStream[Sequence[ObjectMeta], Sequence[ObjectMeta]]: ...


@overload
def list(
    store: Store,
    prefix: str | None = None,
    *,
    offset: str | None = None,
    chunk_size: int = 50,
    return_arrow: Literal[True],
) -> ArrowListStream: ...


def list(
    store: Store,
    prefix: str | None = None,
    *,
    offset: str | None = None,
    chunk_size: int = 50,
    return_arrow: bool = False,
) -> ListStream[Any, Any]:
    """List the objects below a prefix, in pages.

    Args:
        store: Where to look.
        prefix: Where to begin; whole segments only: ``"a"`` finds ``a/b``, not ``ab``.
        offset: List only what comes after this path.
        chunk_size: How many objects a page has at the most.
        return_arrow: Give the pages as record batches of arro3, and all that is collected as a table.

    Returns:
        A stream of pages, to be iterated or collected, synchronously or asynchronously.

    Raises:
        ImportError: Arrow is wanted, and arro3-core is not installed.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    """
    pages, cut = _ops.list_pages(store, prefix, offset), store.full_prefix(None)
    if return_arrow:
        return ArrowListStream(pages, cut, chunk_size, arrow())
    return ListStream(pages, cut, chunk_size, DICTS)


class Store:
    """What all stores have in common: a provider, a prefix, and the operations."""

    provider: Provider
    _prefix = ""

    get, get_async = get, get_async
    get_range, get_range_async = get_range, get_range_async
    get_ranges, get_ranges_async = get_ranges, get_ranges_async
    head, head_async = head, head_async
    put, put_async = put, put_async
    delete, delete_async = delete, delete_async
    copy, copy_async = copy, copy_async
    rename, rename_async = rename, rename_async
    list = list_async = list
    list_with_delimiter, list_with_delimiter_async = list_with_delimiter, list_with_delimiter_async
    get_many, get_many_async = get_many, get_many_async
    iter_many = iter_many_async = iter_many
    head_many, head_many_async = head_many, head_many_async
    put_many, put_many_async = put_many, put_many_async
    upload, upload_async = upload, upload_async
    download, download_async = download, download_async

    def key(self, path: str) -> str:
        """Return the key of a path: checked, and behind the store's prefix."""
        return self._prefix + check_path(path)

    def full_prefix(self, prefix: str | None) -> str:
        """Return the beginning of the keys below a prefix."""
        return self._prefix + check_prefix(prefix)

    def path(self, key: str) -> str:
        """Return the path of a key."""
        return key.removeprefix(self._prefix)

    def named(self, meta: ObjectMeta) -> ObjectMeta:
        """Return metadata with the path in the place of the key."""
        if not self._prefix:
            return meta
        return {**meta, "path": self.path(meta["path"])}


class S3Store(Store):
    """A bucket of Amazon S3, or of any service that speaks its protocol.

    Args:
        bucket: The bucket's name.
        prefix: A path in front of all paths of this store.
        config: Settings, as a dict; each may also be a keyword argument, or come from ``AWS_...`` in the environment.
        client_options: Settings of the HTTP client.
        retry_config: How often and how long to try again.
        credential_provider: A function, or coroutine function, that returns a credential.
        **kwargs: Settings.

    Raises:
        UnknownConfigurationKeyError: A setting is unknown; the message names the nearest.
        ConfigurationError: A setting is given twice, or its value cannot be used.
    """

    def __init__(
        self,
        bucket: str | None = None,
        *,
        prefix: str | None = None,
        config: S3Config | Mapping[str, object] | None = None,
        client_options: ClientConfig | Mapping[str, object] | None = None,
        retry_config: RetryConfig | None = None,
        credential_provider: S3CredentialProvider | None = None,
        **kwargs: Unpack[S3Keywords],
    ) -> None:
        if credential_provider is not None and not callable(credential_provider):
            raise TypeError(f"credential_provider must be a function, not a {type(credential_provider).__name__}")
        self._settings: Settings = parse(
            TABLE,
            config=config,
            keywords={"bucket": bucket, **kwargs},
            client_options=client_options,
            provider=getattr(credential_provider, "config", None),
            environment=os.environ,
        )
        self._retry = RetryOptions.from_config(retry_config or {})
        self._credential_provider = credential_provider
        self._prefix = check_prefix(prefix)
        self.provider = open_s3(self._settings, self._retry, credential_provider, f"objstore/{VERSION}", self._prefix)

    def __repr__(self) -> str:
        """Return the bucket and the prefix."""
        prefix = f", prefix={self.prefix!r}" if self.prefix else ""
        return f"S3Store(bucket={self._settings['bucket']!r}{prefix})"

    @property
    def prefix(self) -> str | None:
        """The path in front of all paths of this store."""
        return self._prefix.rstrip("/") or None

    @property
    def config(self) -> dict[str, Any]:
        """What was given as settings of the store, nothing of the environment."""
        return dict(self._settings.config)

    @property
    def client_options(self) -> dict[str, Any] | None:
        """What was given as settings of the HTTP client."""
        return dict(self._settings.client_options) or None

    @property
    def retry_config(self) -> RetryConfig:
        """How often and how long to try again."""
        return self._retry.to_config()

    @property
    def credential_provider(self) -> S3CredentialProvider | None:
        """The function that returns credentials."""
        return self._credential_provider

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, Any]]:
        """Return the arguments that make an equal store."""
        given = {
            "prefix": self.prefix,
            "config": self.config,
            "client_options": self.client_options,
            "retry_config": self.retry_config,
            "credential_provider": self._credential_provider,
        }
        return (), {name: value for name, value in given.items() if value is not None}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the arguments, not as what was made of them."""
        return _rebuild, (type(self), self.__getnewargs_ex__()[1])

    def __eq__(self, other: object) -> bool:
        """Tell whether two stores were given the same."""
        return type(self) is type(other) and self.__getnewargs_ex__() == other.__getnewargs_ex__()

    def __hash__(self) -> int:
        """Hash what equal stores share."""
        return hash((type(self), self._prefix, self._settings.config.get("bucket")))


def _rebuild(kind: type[Store], arguments: dict[str, Any]) -> Store:
    return kind(**arguments)


class MemoryStore(Store):
    """Objects in the memory of this process; gone with the store."""

    def __init__(self) -> None:
        self.provider = Memory()
