"""Requests and answers of the fake."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message
from types import MappingProxyType
from typing import NamedTuple


class Answer(NamedTuple):
    """The answer to a request."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})


class Call(NamedTuple):
    """A request that came."""

    method: str
    target: str
    path: str
    query: dict[str, str]
    headers: Message
    body: bytes

    @property
    def line(self) -> str:
        """Method, path and query."""
        return f"{self.method} {self.path}?{'&'.join(f'{name}={value}' for name, value in self.query.items())}"
