"""The files that the AWS command line keeps: where they are, how they are written, and what a profile in them says.

Their dialect is that of Python's own parser, by which the vendor's tools read them: names of settings in any case,
comments in lines of their own, values that go on in indented lines. A value that begins on the line below its name is a
section inside the section.

https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html

Its one invariant: a file that is not there says nothing; one that cannot be read or understood is an error, and no
message quotes a line of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from objstore.exceptions import ConfigurationError
from objstore.settings.masked import Hidden

Section: TypeAlias = Mapping[str, "str | Mapping[str, str]"]

_SECRETS = frozenset(
    ("aws_secret_access_key", "aws_security_token", "aws_session_token", "credential_process", "external_id")
)
_KINDS = ("profile", "sso-session", "services")


@dataclass(frozen=True, slots=True)
class Files:
    """Hold what both files say.

    Args:
        config: The profiles of the config file.
        shared: The sections of the credentials file, each a profile.
        sessions: The single sign-on sessions, by name.
        services: The sections about services, by name.
    """

    config: Mapping[str, Section] = field(default_factory=dict, repr=False)
    shared: Mapping[str, Section] = field(default_factory=dict, repr=False)
    sessions: Mapping[str, Section] = field(default_factory=dict, repr=False)
    services: Mapping[str, Section] = field(default_factory=dict, repr=False)

    def __contains__(self, profile: str) -> bool:
        """Return whether either file has the profile."""
        return profile in self.config or profile in self.shared

    def profile(self, name: str) -> Section:
        """Return what both files say of a profile; the credentials file counts more."""
        return {**self.config.get(name, {}), **self.shared.get(name, {})}


def config_path(variables: Mapping[str, str]) -> str:
    """Return where the config file is."""
    return _expand(variables.get("AWS_CONFIG_FILE") or "~/.aws/config")


def shared_path(variables: Mapping[str, str]) -> str:
    """Return where the credentials file is."""
    return _expand(variables.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials")


def read_files(variables: Mapping[str, str]) -> Files:
    """Read both files.

    Args:
        variables: The environment, which may say where they are.

    Raises:
        ConfigurationError: One is there, and cannot be read or understood.
    """
    sections = _read(config_path(variables))
    named = {kind: _of_kind(kind, sections) for kind in _KINDS}
    return Files(named["profile"], _read(shared_path(variables)), named["sso-session"], named["services"])


def text(section: Section, name: str) -> str | None:
    """Return a value of a section; None where there is none, or a section inside it."""
    value = section.get(name)
    return value if isinstance(value, str) else None


def inner(section: Section, name: str) -> Mapping[str, str]:
    """Return a section inside a section; an empty one where there is none."""
    value = section.get(name)
    return value if isinstance(value, Mapping) else {}


def _expand(path: str) -> str:
    return os.path.expanduser(os.path.expandvars(path))


def _of_kind(kind: str, sections: Mapping[str, Section]) -> dict[str, Section]:
    """Return the sections such as ``[profile NAME]``, by their names, which may be quoted.

    ``[default]`` is ``[profile default]``; where both are there, the last one counts.
    """
    found = {}
    for title, section in sections.items():
        whole = "profile default" if title == "default" else title
        words = _words(whole) if whole.startswith(kind) else []
        if len(words) == 2:
            found[words[1]] = section
    return found


def _words(title: str) -> list[str]:
    import shlex

    try:
        return shlex.split(title)
    except ValueError:
        return []


def _read(path: str) -> dict[str, Section]:
    if not os.path.isfile(path):
        return {}
    from configparser import Error, RawConfigParser

    parser = RawConfigParser()
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
        return {name: {key: _value(key, value) for key, value in parser.items(name)} for name in parser.sections()}
    except OSError as error:
        raise _unreadable(path, error.strerror or type(error).__name__) from None
    except Error as error:  # its message quotes lines
        line = getattr(error, "lineno", None) or next((number for number, _ in getattr(error, "errors", ())), None)
        raise _unreadable(path, "it is malformed" + (f" at line {line}" if line else "")) from None
    except ValueError:
        raise _unreadable(path, "it is malformed, or no text in UTF-8") from None


def _unreadable(path: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"The file {path!r} cannot be read: {reason}", hint="Mend it, or name another one by its environment variable."
    )


def _value(name: str, value: str) -> str | Mapping[str, str]:
    """Return a value, or the section that it is if it begins on a line of its own; what may be secret is hidden."""
    if name in _SECRETS:
        return Hidden(value)
    if not value.startswith("\n"):
        return value
    pairs = [line.split("=", 1) for line in value.splitlines() if line.strip()]
    return {name.strip(): inside.strip() for name, inside in pairs}
