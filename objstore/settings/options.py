"""The settings of stores: one row each, and how they are read from dicts, keyword arguments and the environment.

A provider is a `Table` of `Option` rows. Reading against it gives `Settings`, in which every value is already of its
final type, so that a bad one is reported when a store is built and not when it is first used.

Its one invariant: no message and no repr made here shows the value of a secret setting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

from objstore.exceptions import ConfigurationError, NotSupportedError, UnknownConfigurationKeyError
from objstore.settings.masked import MASK, Masked, briefly, has_user
from objstore.settings.value_types import (
    BOOL,
    DICT,
    DURATION,
    HEADERS,
    PEM,
    PROXY_URL,
    TEXT,
    Plain,
    ValueType,
    number,
    whole,
)

if TYPE_CHECKING:
    from objstore.types import RetryConfig


@dataclass(frozen=True, slots=True)
class Option:
    """Describe one setting.

    Args:
        name: The canonical name, without the provider's prefix.
        doc: What it is for, in one line.
        kind: The type of its values.
        default: The typed value when it is not given.
        aliases: Other names for it, without the provider's prefix.
        environment: Environment variables that set it, besides those made of the provider's prefix and a name.
        secret: Whether its value must never be shown.
        yields_to: The settings before which this one gives way: once one of them comes from a stronger source, a value
            from a weaker source is left out (a key of the environment, beside a credential given by hand).
        unsupported: What to do instead, where this version does not do what the setting asks for: `refuse_unsupported`
            lets no value pass but the default.
    """

    name: str
    doc: str
    kind: ValueType = TEXT
    default: Any = None
    aliases: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    secret: bool = False
    yields_to: tuple[str, ...] = ()
    unsupported: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """List the settings of one kind of store.

    Args:
        store: The name of the store's class, for messages.
        prefixes: What a name may start with, for instance ``aws_``; in capitals, how its variables start.
        options: The rows of the store itself; the rows of the HTTP client are added to them everywhere.
    """

    store: str
    prefixes: tuple[str, ...]
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """Hold the settings of one store.

    Args:
        config: What the caller gave for the store: canonical names, plain values, nothing from the environment.
        client_options: What the caller gave for the HTTP client, in the same form.
        values: The typed value of every setting, wherever it came from; not part of a comparison.
    """

    config: Masked
    client_options: Masked
    values: Masked = field(compare=False, repr=False)

    def __getitem__(self, name: str) -> Any:
        """Return the typed value of a setting, by its canonical name."""
        return self.values[name]


_NO_PINGS = "Leave it out: libcurl sends no HTTP/2 pings."

CLIENT_OPTIONS = (
    Option("allow_http", "Allow plain http:// URLs.", BOOL, False),
    Option("allow_invalid_certificates", "Accept any server certificate; for tests only.", BOOL, False),
    Option("connect_timeout", "Longest time to reach a server, TLS included; seconds, 0 for no limit.", DURATION, 3.0),
    Option("default_content_type", "Content type of objects that are written without one."),
    Option("default_headers", "Headers sent with every request.", HEADERS, secret=True),
    Option("disable_system_certificates", "Trust no certificate but those of root_certificate.", BOOL, False),
    Option("first_byte_timeout", "Longest wait for a reply to begin; seconds, 0 for no limit.", DURATION, 15.0),
    Option("hedge", "Ask again, elsewhere, for a read that is later than 95 of 100 like it.", BOOL, False),
    Option("http1_only", "Speak HTTP/1.1 only.", BOOL, True),
    Option("http2_keep_alive_interval", "Not supported.", DURATION, unsupported=_NO_PINGS),
    Option("http2_keep_alive_timeout", "Not supported.", DURATION, unsupported=_NO_PINGS),
    Option("http2_keep_alive_while_idle", "Not supported.", BOOL, False, unsupported=_NO_PINGS),
    Option("http2_max_frame_size", "Not supported.", whole(16384), unsupported="Leave it out: libcurl chooses."),
    Option("http2_only", "Speak HTTP/2 only, without asking first.", BOOL, False),
    Option(
        "max_connections",
        "Most requests in flight to one server at a time; idle connections beyond that are closed.",
        kind=whole(1),
    ),
    Option("pool_idle_timeout", "How long an idle connection is kept; seconds.", DURATION),
    Option("pool_max_idle_per_host", "0: keep no connection; other numbers: no limit of its own.", kind=whole(0)),
    Option("proxy_ca_certificate", "Certificates to trust for the proxy, in PEM form.", PEM),
    Option("proxy_excludes", "Hosts to reach without the proxy, as in NO_PROXY."),
    Option("proxy_url", "Proxy for all requests.", PROXY_URL, secret=True),
    Option("randomize_addresses", "Try the addresses of a host in random order.", BOOL, True),
    Option("resolve_interval", "How long a host is not looked up anew; seconds.", DURATION, 30.0),
    Option("root_certificate", "Certificates to trust besides the system's, in PEM form.", PEM),
    Option(
        "stall_timeout",
        "Longest time without a byte in the middle of a transfer; seconds, 0 for no limit.",
        DURATION,
        10.0,
        aliases=("read_timeout",),
    ),
    Option("timeout", "Longest time for a whole request with its body; seconds, no limit if not given.", DURATION),
    Option("user_agent", "The User-Agent header."),
)
"""The settings of the HTTP client, the same for all stores."""


def of_client(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a store's typed values that are settings of the HTTP client."""
    return {option.name: values[option.name] for option in CLIENT_OPTIONS}


_CLIENT_NAMES = frozenset(option.name for option in CLIENT_OPTIONS)


@dataclass(frozen=True, slots=True)
class _Given:
    """Hold one setting as it was given, and where."""

    option: Option
    spelling: str
    source: str
    value: object = field(repr=False)

    def typed(self) -> Any:
        """Return the value in its final type; an empty text stands for the default."""
        if self.value == "":
            return self.option.default
        try:
            return self.option.kind.read(self.value)
        except (TypeError, ValueError, OverflowError):
            value = (
                str(self.value) if isinstance(self.value, str) else self.value
            )  # those of the environment are hidden
            shown = MASK if self.option.secret or has_user(value) else briefly(value)
        raise ConfigurationError(
            f"{self.spelling} = {shown} ({self.source}) is not a value of this setting",
            hint=f"Give {self.option.kind.name}.",
        )

    def plain(self) -> Plain:
        """Return the value as ``config`` shows it: a text as it was given, all else in its plain form."""
        if self.value == "":
            return ""
        written = self.option.kind.write(self.typed())
        return str(self.value) if isinstance(self.value, str) and isinstance(written, str) else written


def parse(
    table: Table,
    *,
    config: Mapping[str, object] | None = None,
    keywords: Mapping[str, object] | None = None,
    client_options: Mapping[str, object] | None = None,
    url: Mapping[str, object] | None = None,
    provider: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings of a store from everywhere they can come from.

    A value of ``None`` counts as not given; an empty text hides weaker sources and stands for the default. Names are
    taken in any case, with or without the provider's prefix.

    Args:
        table: The settings there are.
        config: The caller's dict. It and the next two must not give the same setting twice.
        keywords: The caller's keyword arguments, the bucket or container included.
        client_options: The caller's dict for the HTTP client.
        url: What the URL of the store says. Weaker than ``config``; must not meet a keyword of the same meaning.
        provider: What the credential provider says in its ``config``. Weaker than ``url``.
        environment: Environment variables. Weaker than all others; those that are no setting are passed over.

    Returns:
        The settings, with every value read and checked.

    Raises:
        UnknownConfigurationKeyError: A name is no setting of this store.
        ConfigurationError: A setting was given twice, or its value cannot be used.
    """
    by_keyword = list(_read("keyword arguments", keywords, table))
    by_dict = [*_read("config", config, table), *_for_client(_read("client_options", client_options, table))]
    by_url = list(_read("URL", url, table))
    _once([*by_url, *by_keyword])
    explicit = _once(by_url) | _once([*by_dict, *by_keyword])
    weaker = [_once(_read_environment(environment or {}, table)), _once(_read("credential provider", provider, table))]
    return _settle(table, explicit, _strongest([*weaker, explicit]))


def _for_client(settings: Iterable[_Given]) -> Iterator[_Given]:
    for given in settings:
        if given.option.name not in _CLIENT_NAMES:
            hint = "It is a setting of the store: give it in config or as a keyword argument."
            raise UnknownConfigurationKeyError(f"client_options has no setting {given.spelling!r}", hint=hint)
        yield given


def _settle(table: Table, explicit: Mapping[str, _Given], chosen: Mapping[str, _Given]) -> Settings:
    options = table.options + CLIENT_OPTIONS
    secrets = frozenset(option.name for option in options if option.secret)
    config = {name: given.plain() for name, given in explicit.items() if name not in _CLIENT_NAMES}
    client_options = {name: given.plain() for name, given in explicit.items() if name in _CLIENT_NAMES}
    values = {o.name: chosen[o.name].typed() if o.name in chosen else o.default for o in options}
    return Settings(Masked(config, secrets), Masked(client_options, secrets), Masked(values, secrets))


def _strongest(layers: Iterable[Mapping[str, _Given]]) -> dict[str, _Given]:
    """Merge sources, the weakest first."""
    chosen: dict[str, _Given] = {}
    for layer in layers:
        kept = {name: given for name, given in chosen.items() if layer.keys().isdisjoint(given.option.yields_to)}
        chosen = {**kept, **layer}
    return chosen


def _read(source: str, given: Mapping[str, object] | None, table: Table) -> Iterator[_Given]:
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"{source} is of the type {type(given).__name__}: give a dict")
    for spelling, value in (given or {}).items():
        option = _look_up(spelling, _spellings(table), table.store)
        if value is not None:
            yield _Given(option, spelling, source, value)


def _read_environment(environment: Mapping[str, str], table: Table) -> Iterator[_Given]:
    for option in table.options + CLIENT_OPTIONS:
        names = [prefix + name for name in (option.name, *option.aliases) for prefix in table.prefixes]
        for variable in (*map(str.upper, names), *option.environment):
            if environment.get(variable):
                yield _Given(option, variable, "environment", environment[variable])
                break


def split_off(table: Table, name: str, given: Mapping[str, object]) -> tuple[dict[str, object], list[object]]:
    """Return settings without one of them, whatever it is called there, and the values that it was given."""
    named = {spelling for spelling in given if _look_up(spelling, _spellings(table), table.store).name == name}
    rest = {spelling: value for spelling, value in given.items() if spelling not in named}
    return rest, [given[spelling] for spelling in named if given[spelling] is not None]


@cache
def _spellings(table: Table) -> dict[str, Option]:
    options = table.options + CLIENT_OPTIONS
    names = [(name, option) for option in options for name in (option.name, *option.aliases)]
    return {prefix + name: option for prefix in ("", *table.prefixes) for name, option in names}


def _look_up(spelling: str, options: Mapping[str, Option], where: str) -> Option:
    option = options.get(spelling.lower()) if isinstance(spelling, str) else None
    if option is None:
        near = _near(str(spelling).lower(), options)
        names = sorted({option.name for option in options.values()})
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(names)}."
        raise UnknownConfigurationKeyError(f"{where} has no setting {spelling!r}", hint=hint)
    return option


def _near(spelling: str, options: Iterable[str]) -> list[str]:
    """Return the setting that was probably meant: one that begins or ends so, else one that is spelled much alike."""
    parts = [name for name in options if spelling.startswith(f"{name}_") or spelling.endswith(f"_{name}")]
    return get_close_matches(spelling, options, 1, 0.9) or parts[:1] or get_close_matches(spelling, options, 1)


def _once(settings: Iterable[_Given]) -> dict[str, _Given]:
    found: dict[str, _Given] = {}
    for given in settings:
        other = found.setdefault(given.option.name, given)
        if other is not given:
            raise ConfigurationError(
                f"Duplicate key {given.option.name}: the setting is given twice, "
                f"as {other.spelling!r} ({other.source}) and as {given.spelling!r} ({given.source})",
                hint="Give it once.",
            )
    return found


def refuse_unsupported(table: Table, settings: Settings) -> None:
    """Raise if a setting, wherever it comes from, asks for what this version does not do.

    Args:
        table: The settings there are.
        settings: What was given, and what the environment says.

    Raises:
        NotSupportedError: There is such a setting.
    """
    given = settings.config.keys() | settings.client_options.keys()
    for option in (*table.options, *CLIENT_OPTIONS):
        if option.unsupported and settings[option.name] != option.default:
            source = "" if option.name in given else ", which the environment sets"
            raise NotSupportedError(
                f"{table.store} does not support the setting {option.name} yet{source}", hint=option.unsupported
            )


_RETRY_OPTIONS = {
    "backoff": Option("backoff", "How long to wait between tries.", kind=DICT),
    "max_retries": Option("max_retries", "Most tries after the first; else 10, and more by chance.", kind=whole(0)),
    "retry_timeout": Option("retry_timeout", "No new try this long after the first one started; seconds.", DURATION),
}
_BACKOFF_OPTIONS = {
    "init_backoff": Option("init_backoff", "Upper bound of the first wait; seconds.", DURATION),
    "max_backoff": Option("max_backoff", "Upper bound of a wait that no server asks for; seconds.", DURATION),
    "base": Option("base", "How much the bound grows from one wait to the next.", kind=number(1)),
}


USUAL_RETRIES = 10


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """Say how often, and for how long, a failed request is tried again.

    Args:
        max_retries: Most tries after the first; None: nobody has said, and there are more, as long as it is chance that
            they fail.
        retry_timeout: No new try this long after the first one started; seconds.
        init_backoff: Upper bound of the first wait; seconds.
        max_backoff: Upper bound of a wait that no server asks for; seconds.
        base: How much the bound grows from one wait to the next.
    """

    max_retries: int | None = None
    retry_timeout: float = 180.0
    init_backoff: float = 0.05
    max_backoff: float = 20.0
    base: float = 2.0

    @property
    def usual_retries(self) -> int:
        """Most tries after the first, chance apart."""
        return USUAL_RETRIES if self.max_retries is None else self.max_retries

    @classmethod
    def from_config(cls, config: RetryConfig) -> RetryOptions:
        """Read the dict that stores take as ``retry_config``; what it leaves out stays at the default.

        Raises:
            UnknownConfigurationKeyError: A key is none of this dict.
            ConfigurationError: A value is negative or of the wrong type.
        """
        outer = _read_exactly("retry_config", config, _RETRY_OPTIONS)
        inner = _read_exactly("retry_config['backoff']", outer.pop("backoff", {}), _BACKOFF_OPTIONS)
        return cls(**outer, **inner)

    def to_config(self) -> RetryConfig:
        """Return these options as the dict that stores show as ``retry_config``, fully populated."""
        return {
            "backoff": {
                "init_backoff": timedelta(seconds=self.init_backoff),
                "max_backoff": timedelta(seconds=self.max_backoff),
                "base": self.base,
            },
            "max_retries": self.usual_retries,
            "retry_timeout": timedelta(seconds=self.retry_timeout),
        }

    def given(self) -> RetryConfig:
        """Return the dict that makes equal options."""
        config = self.to_config()
        if self.max_retries is None:
            del config["max_retries"]
        return config


def _read_exactly(source: str, given: Mapping[str, object], options: Mapping[str, Option]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise TypeError(f"{source} = {given!r}: give a dict")
    found = [_Given(_look_up(name, options, source), name, source, value) for name, value in given.items()]
    return {setting.option.name: setting.typed() for setting in found if setting.value not in (None, "")}
