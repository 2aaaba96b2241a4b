"""What stores have in common: options plus a provider. Their operations are those of `operations.functions`.

A store is small, picklable and equal to another that was given the same; all it holds is what it was given. Importing a
store imports neither the operations nor its provider: they come, with the engine, when the first store is made.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from objstore.exceptions import ConfigurationError
from objstore.interface.store import BaseStore
from objstore.settings.paths import Keys
from objstore.stores import forks  # noqa: F401  they begin anew what they find half imported
from objstore.version import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from objstore.operations import functions
    from objstore.providers.cloud.kind import BucketKind, CloudProvider
    from objstore.settings.options import RetryOptions, Settings
    from objstore.types import CredentialInfo, RetryConfig, StoreStats

StoreT = TypeVar("StoreT", bound="Store")
CredentialProviderT = TypeVar("CredentialProviderT")
ProviderT = TypeVar("ProviderT")


class _Operation:
    """An operation as an attribute of a class; its function takes its place when it is first asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __set_name__(self, owner: type, attribute: str) -> None:
        self._owner, self._attribute = owner, attribute

    def __get__(self, store: Store | None, kind: type | None = None) -> Any:
        from objstore.operations import functions

        function = getattr(functions, self._name)
        setattr(self._owner, self._attribute, function)
        return function.__get__(store, kind)


class _Operations:
    """Stands for `operations.functions` while the class is made."""

    def __getattr__(self, name: str) -> Any:
        return _Operation(name)


if not TYPE_CHECKING:
    functions = _Operations()


class Store(BaseStore):
    """What all stores have in common: a provider, the names of keys, and the operations.

    An object's path is its key, below the store's prefix. One slash at either end of a path that is given for one
    object is left out, as obstore does: ``get("/a")`` reads ``a``. Where a listing of the store gives an object of just
    this path (``d/`` beside ``d``), it is refused, and no other object read or written in its place. `delete`,
    `rename`, the source of `copy`, and all that takes many paths refuse such a slash at once. With ``raw_keys=True``,
    paths are the keys that they are.
    """

    get, get_async = functions.get, functions.get_async
    get_range, get_range_async = functions.get_range, functions.get_range_async
    get_ranges, get_ranges_async = functions.get_ranges, functions.get_ranges_async
    head, head_async = functions.head, functions.head_async
    exists, exists_async = functions.exists, functions.exists_async
    put, put_async = functions.put, functions.put_async
    delete, delete_async = functions.delete, functions.delete_async
    begin_upload, begin_upload_async = functions.begin_upload, functions.begin_upload_async
    copy, copy_async = functions.copy, functions.copy_async
    rename, rename_async = functions.rename, functions.rename_async
    sign, sign_async = functions.sign, functions.sign_async
    sign_post, sign_post_async = functions.sign_post, functions.sign_post_async
    list, list_async = functions.list, functions.list_async
    list_versions, list_versions_async = functions.list_versions, functions.list_versions_async
    list_level, list_level_async = functions.list_level, functions.list_level_async
    shards, shards_async = functions.shards, functions.shards_async
    plan, plan_async = functions.plan, functions.plan_async
    glob, glob_async = functions.glob, functions.glob_async
    walk, walk_async = functions.walk, functions.walk_async
    delete_prefix, delete_prefix_async = functions.delete_prefix, functions.delete_prefix_async
    create_bucket, create_bucket_async = functions.create_bucket, functions.create_bucket_async
    delete_bucket, delete_bucket_async = functions.delete_bucket, functions.delete_bucket_async
    list_buckets, list_buckets_async = functions.list_buckets, functions.list_buckets_async
    get_tags, get_tags_async = functions.get_tags, functions.get_tags_async
    put_tags, put_tags_async = functions.put_tags, functions.put_tags_async
    delete_tags, delete_tags_async = functions.delete_tags, functions.delete_tags_async
    list_with_delimiter, list_with_delimiter_async = functions.list_with_delimiter, functions.list_with_delimiter_async
    get_many, get_many_async = functions.get_many, functions.get_many_async
    iter_many, iter_many_async = functions.iter_many, functions.iter_many_async
    head_many, head_many_async = functions.head_many, functions.head_many_async
    put_many, put_many_async = functions.put_many, functions.put_many_async
    upload, upload_async = functions.upload, functions.upload_async
    download, download_async = functions.download, functions.download_async
    copy_many, copy_many_async = functions.copy_many, functions.copy_many_async
    upload_many, upload_many_async = functions.upload_many, functions.upload_many_async
    download_many, download_many_async = functions.download_many, functions.download_many_async
    sync, sync_async = functions.sync, functions.sync_async
    open = functions.open
    open_reader, open_reader_async = functions.open_reader, functions.open_reader_async
    open_writer, open_writer_async = functions.open_writer, functions.open_writer_async

    def stats(self) -> StoreStats:
        """Return what the requests of this store have come to, by the calls that have ended."""
        return self.provider.stats()


class LastingStore(Store):
    """What the stores whose objects outlive the process have in common: they are equal, and pickled, by what they were
    given."""

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that make an equal store."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the arguments, not as what was made of them."""
        return rebuild, (type(self), *self.__getnewargs_ex__())

    def __eq__(self, other: object) -> bool:
        """Tell whether two stores were given the same."""
        return (
            isinstance(other, LastingStore)
            and type(self) is type(other)
            and self.__getnewargs_ex__() == other.__getnewargs_ex__()
        )

    def __hash__(self) -> int:
        """Hash what equal stores share."""
        raise NotImplementedError


class RemoteStore(LastingStore):
    """What the stores behind a network have in common: settings of the HTTP client, and retries."""

    _settings: Settings
    _retry: RetryOptions

    @property
    def client_options(self) -> dict[str, Any] | None:
        """What was given as settings of the HTTP client; its repr hides what is secret."""
        return self._settings.client_options.copy() or None

    @property
    def retry_config(self) -> RetryConfig:
        """How often and how long to try again."""
        return self._retry.to_config()


class BucketStore(RemoteStore, Generic[CredentialProviderT]):
    """What the stores of cloud services have in common: how they are set and shown."""

    provider: CloudProvider

    @staticmethod
    def _kind() -> BucketKind:
        """Return what describes the service."""
        raise NotImplementedError

    def _set_up(
        self,
        prefix: str | None,
        config: Mapping[str, object] | None,
        keywords: Mapping[str, object],
        client_options: Mapping[str, object] | None,
        retry_config: RetryConfig | None,
        credential_provider: Callable[[], object] | None,
        raw_keys: bool,
    ) -> None:
        from objstore.settings.masked import hide
        from objstore.settings.options import RetryOptions, parse, refuse_unsupported

        if credential_provider is not None and not callable(credential_provider):
            raise TypeError(f"credential_provider must be a function, not a {type(credential_provider).__name__}")
        kind = self._kind()
        self._settings = parse(
            kind.table,
            config=config,
            keywords=keywords,
            client_options=client_options,
            provider=getattr(credential_provider, "config", None),
            environment=hide(dict(os.environ)),  # tracebacks may show it
        )
        refuse_unsupported(kind.table, self._settings)
        self._retry = RetryOptions.from_config(retry_config or {})
        self._credential_provider = credential_provider
        self._keys = Keys(prefix, raw=raw_keys)
        self.provider = ready(
            kind.open(self._settings, self._retry, credential_provider, USER_AGENT, self._keys.prefix)
        )

    @classmethod
    def _at(cls, url: str, keywords: Mapping[str, object], **arguments: Any) -> Self:
        """Make the store that a URL names; its settings are weaker than config and must not meet a keyword."""
        from objstore.settings.options import parse
        from objstore.settings.urls import read_url

        kind, (scheme, found, prefix) = cls._kind(), read_url(url)
        if scheme != kind.scheme:
            raise ConfigurationError(
                f"{kind.table.store} cannot be made of a URL of the kind {scheme}",
                hint="objstore.store.from_url makes the right store of any URL.",
            )
        config, client_options, raw = (arguments.pop(name) for name in ("config", "client_options", "raw_keys"))
        given = parse(kind.table, config=config, keywords=keywords, client_options=client_options, url=found)
        if prefix and not raw:
            prefix = f"/{prefix}"  # one slash in front of a path is left out, a second one is not
        settings = {"config": given.config, "client_options": given.client_options}
        made_of = {"prefix": prefix or None, **settings, **arguments, "raw_keys": raw or None}
        return rebuild(cls, (), {name: value for name, value in made_of.items() if value is not None})

    def __repr__(self) -> str:
        """Return the bucket and the prefix."""
        given = {**{name: self._settings[name] for name in self._kind().shown}, "prefix": self.prefix}
        shown = ", ".join(f'{name}="{value}"' for name, value in given.items() if value)
        return f"{type(self).__name__}({shown})"

    @property
    def prefix(self) -> str | None:
        """The path in front of all paths of this store."""
        return self._keys.shown

    @property
    def config(self) -> dict[str, Any]:
        """What was given as settings of the store, nothing of the environment; its repr hides what is secret."""
        return self._settings.config.copy()

    @property
    def credential_provider(self) -> CredentialProviderT | None:
        """The function that returns credentials."""
        return cast("CredentialProviderT | None", self._credential_provider)

    def credential_info(self) -> CredentialInfo:
        """Return where the credential of now came from, and when it ends; never the credential.

        Until the first request, a credential that has to be looked for has no end yet.
        """
        return self.provider.credential_info()

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, Any]]:
        """Return the arguments that make an equal store."""
        given = {
            "prefix": self.prefix,
            "config": dict(self._settings.config),
            "client_options": dict(self._settings.client_options) or None,
            "retry_config": self._retry.given(),
            "credential_provider": self._credential_provider,
            "raw_keys": self._keys.raw or None,
        }
        return (), {name: value for name, value in given.items() if value is not None}

    def __hash__(self) -> int:
        """Hash what equal stores share."""
        return hash((type(self), self._keys.prefix, self._settings.config.get(self._kind().bucket)))


def rebuild(kind: type[StoreT], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> StoreT:
    """Make a store from the arguments that `__getnewargs_ex__` shows."""
    return kind(*arguments, **keywords)


def ready(provider: ProviderT) -> ProviderT:
    """Return what a store is made of, once all is imported that its calls need."""
    import objstore.operations.functions  # noqa: F401

    return provider
