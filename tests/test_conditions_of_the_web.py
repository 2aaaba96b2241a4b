"""Writes with a condition to web servers that ignore it: what is there is looked at first, of many writes too."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from objstore.exceptions import AlreadyExistsError, BaseError, GenericError, PreconditionError
from objstore.store import HTTPStore
from tests.engine.raw import Raw, answering
from tests.test_successes import http


class Files:
    """What a server has, by path, and which statuses it gives for the HEAD of others."""

    def __init__(self) -> None:
        self.there = {"/b": b"old", "/d": b"old"}
        self.heads: dict[str, int] = {}

    def answer(self, connection: socket.socket, head: bytes) -> None:
        method, path = head.decode().split(" ")[:2]
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = b""
        while length and len(body) < int(length[1]):
            body += connection.recv(int(length[1]) - len(body))
        if method == "PUT":
            self.there[path] = body
        status = self.heads.get(path, 404) if path not in self.there else 200
        size = 0 if method == "PUT" else len(self.there.get(path, b""))
        connection.sendall(f'HTTP/1.1 {status} So\r\nETag: "e{path[1:]}"\r\nContent-Length: {size}\r\n\r\n'.encode())


@contextmanager
def serving() -> Iterator[tuple[HTTPStore, Files]]:
    files = Files()
    raw: Raw
    with answering(lambda connection: files.answer(connection, raw.heads[-1])) as raw:
        store = http(raw.origin)
        assert isinstance(store, HTTPStore)
        yield store, files


@pytest.mark.parametrize("in_flight", [1, 3, None])
def test_many_that_are_to_be_created_replace_nothing(in_flight: int | None) -> None:
    with serving() as (store, files):
        items = [(path, b"new") for path in "abcde"]
        found = store.put_many(items, mode="create", on_error="return", max_concurrency=in_flight)
        assert [type(each) for each in found] == [dict, AlreadyExistsError, dict, AlreadyExistsError, dict]
        assert [found[index]["e_tag"] for index in (0, 2, 4)] == ['"ea"', '"ec"', '"ee"']  # type: ignore[index]
        assert files.there == {f"/{path}": b"old" if path in "bd" else b"new" for path in "abcde"}
        assert [error.path for error in found if isinstance(error, BaseError)] == ["b", "d"]


def test_the_first_that_is_there_is_an_error() -> None:
    with serving() as (store, files):
        with pytest.raises(AlreadyExistsError, match="'b'"):
            store.put_many({"a": b"new", "b": b"new"}, mode="create")
        assert files.there["/b"] == files.there["/d"] == b"old"


def test_all_that_are_there_are_errors() -> None:
    with serving() as (store, files):
        told: list[tuple[int, int, int]] = []
        found = store.put_many(
            {"b": b"new", "d": b"new"}, mode="create", on_error="return", progress=lambda *now: told.append(now)
        )
        assert [type(each) for each in found] == [AlreadyExistsError] * 2
        assert (told[-1], files.there) == ((2, 2, 0), {"/b": b"old", "/d": b"old"})


@pytest.mark.parametrize("status", [500, 423])
def test_what_cannot_be_looked_at_is_not_written(status: int) -> None:
    with serving() as (store, files):
        files.heads["/c"] = status
        found = store.put_many({"a": b"new", "c": b"new"}, mode="create", on_error="return")
        assert isinstance(found[1], GenericError | BaseError)
        assert "/c" not in files.there
        with pytest.raises(BaseError):
            store.put("c", b"new", mode="create")


@pytest.mark.parametrize("tag", ['"ea"', '"other"'])
@pytest.mark.parametrize("path", ["a", "b"])
def test_one_version_alone_is_replaced(path: str, tag: str) -> None:
    with serving() as (store, files), pytest.raises(PreconditionError):
        store.put(path, b"new", mode={"e_tag": tag})
    assert files.there == {"/b": b"old", "/d": b"old"}


def test_the_right_version_is_replaced() -> None:
    with serving() as (store, files):
        store.put("b", b"new", mode={"e_tag": '"eb"'})
        assert files.there["/b"] == b"new"
