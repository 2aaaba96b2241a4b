"""Wrong input is refused before a byte is sent, and before a credential is asked for.

The store's server does not exist and its credential provider must not be called: whatever is sent fails otherwise.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import objstore
from objstore.exceptions import InvalidPathError, InvalidRangeError
from objstore.store import S3Store

NAIVE = datetime(2026, 1, 1)
MINUTE = timedelta(minutes=1)


def asked() -> Any:
    raise AssertionError("a credential was asked for")


@pytest.fixture
def store() -> S3Store:
    return S3Store(
        "bucket",
        endpoint="http://127.0.0.1:1",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
        credential_provider=asked,
    )


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, store: S3Store) -> Callable[..., Any]:
    """Calls an operation of the store by its name, in each mode."""

    def blocking(name: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(store, name)(*args, **kwargs)

    def awaiting(name: str, *args: Any, **kwargs: Any) -> Any:
        async def wait() -> Any:
            result = getattr(store, f"{name}_async")(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        return asyncio.run(wait())

    return blocking if request.param == "sync" else awaiting


def test_right_input_is_sent(call: Callable[..., Any]) -> None:
    """Without this, the others would prove nothing."""
    with pytest.raises(objstore.exceptions.UnauthenticatedError, match="a credential was asked for"):
        call("get", "a", options={"range": (0, 5)})
    with pytest.raises(objstore.exceptions.UnauthenticatedError, match="a credential was asked for"):
        call("sign", "GET", "a", MINUTE)


WRONG: list[tuple[str, tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    # paths
    ("get", (Path("a"),), {}, TypeError, "of the type PosixPath: give a str"),
    ("head", ("a//b",), {}, InvalidPathError, "a//b"),
    ("put", ("a\n", b"1"), {}, InvalidPathError, "control character"),
    ("delete", (["a", ".."],), {}, InvalidPathError, "'..'"),
    ("copy", ("a", ""), {}, InvalidPathError, "empty"),
    ("rename", ("../a", "b"), {}, InvalidPathError, "'../a'"),
    ("list_with_delimiter", ("a/../b",), {}, InvalidPathError, "a/../b"),
    # ranges
    ("get", ("a",), {"options": {"range": (5, 5)}}, InvalidRangeError, "empty"),
    ("get", ("a",), {"options": {"range": (5, 4)}}, InvalidRangeError, "reversed"),
    ("get", ("a",), {"options": {"range": (-5, 4)}}, InvalidRangeError, "-5"),
    ("get", ("a",), {"options": {"range": {"offset": -1}}}, InvalidRangeError, "-1"),
    ("get", ("a",), {"options": {"range": {"suffix": 0}}}, InvalidRangeError, "suffix"),
    ("get", ("a",), {"options": {"range": {"suffix": 1, "offset": 1}}}, ValueError, "offset"),
    ("get", ("a",), {"options": {"range": "0-5"}}, ValueError, "'0-5'"),
    ("get", ("a",), {"options": {"range": (0.5, 2)}}, TypeError, "whole number"),
    ("get_range", ("a",), {"start": 5, "end": 5}, InvalidRangeError, "empty"),
    ("get_range", ("a",), {"start": 5, "length": 0}, InvalidRangeError, "empty"),
    ("get_range", ("a",), {"start": -1, "end": 5}, InvalidRangeError, "-1"),
    ("get_range", ("a",), {"start": 5}, ValueError, "neither"),
    ("get_range", ("a",), {"start": 5, "end": 6, "length": 1}, ValueError, "both"),
    ("get_ranges", ("a",), {"starts": [0, 5], "ends": [1]}, ValueError, "2 starts but 1 ends"),
    ("get_ranges", ("a",), {"starts": [5], "ends": [4]}, InvalidRangeError, "reversed"),
    ("get_ranges", ("a",), {"starts": 0, "ends": 1}, TypeError, "starts = 0: give a sequence"),
    ("get_ranges", ("a",), {"starts": [0], "ends": [1.5]}, TypeError, "whole numbers"),
    ("get_ranges", ("a",), {"starts": [0], "ends": [1], "coalesce": -1}, ValueError, "coalesce = -1"),
    ("get_many", ([("a", 5, 4)],), {}, InvalidRangeError, "reversed"),
    # conditions
    ("get", ("a",), {"options": {"if_modified_since": NAIVE}}, TypeError, "time zone"),
    ("get", ("a",), {"options": {"if_unmodified_since": NAIVE}}, TypeError, "time zone"),
    ("get", ("a",), {"options": {"if_modified_since": "today"}}, TypeError, "'today'"),
    ("get", ("a",), {"options": {"if_match": 5}}, TypeError, "if_match = 5"),
    ("get", ("a",), {"options": {"if_match": "a\r\nb"}}, ValueError, "line break"),
    ("get", ("a",), {"options": {"if_macht": "a"}}, ValueError, "'if_match'"),
    ("get", ("a",), {"options": {"if_match": ""}}, ValueError, "if_match is empty"),
    ("get", ("a",), {"options": {"version": ""}}, ValueError, "version is empty"),
    ("get_ranges", ("a",), {"starts": [0], "ends": [1], "if_match": ""}, ValueError, "if_match is empty"),
    ("copy", ("a", "b"), {"if_match": ""}, ValueError, "if_match is empty"),
    ("copy", ("a", "b"), {"if_match": 5}, TypeError, "if_match = 5"),
    ("delete", ("a",), {"if_match": ""}, ValueError, "if_match is empty"),
    ("delete", ("a",), {"if_match": "a\r\nb"}, ValueError, "line break"),
    ("delete", (["a", "b"],), {"if_match": "a"}, TypeError, "one path"),
    ("delete", ("a",), {"version": ""}, ValueError, "version is empty"),
    # modes
    ("put", ("a", b"1"), {"mode": "append"}, ValueError, "mode = 'append'"),
    ("put", ("a", b"1"), {"mode": {"tag": "1"}}, ValueError, "e_tag and version only"),
    ("put", ("a", b"1"), {"mode": 5}, TypeError, "mode = 5"),
    ("put_many", ([("a", b"1")],), {"mode": "append"}, ValueError, "mode = 'append'"),
    # attributes and tags
    ("put", ("a", b"1"), {"attributes": {"Content-Type": "a\r\nb: c"}}, ValueError, "line break"),
    ("put", ("a", b"1"), {"attributes": {"Content-Type": 5}}, TypeError, "give both as str"),
    ("put", ("a", b"1"), {"tags": {"": "x"}}, ValueError, "empty"),
    ("put", ("a", b"1"), {"tags": [("a", "b")]}, TypeError, "tags = [('a', 'b')]: give a dict"),
    ("put", ("a", b"1"), {"attributes": ["a"]}, TypeError, "attributes = ['a']: give a dict"),
    ("get", ("a",), {"options": ["head"]}, TypeError, "options = ['head']: give a dict"),
    ("put_many", (["a"],), {}, TypeError, "'a' is no pair"),
    ("put", ("a", b"1"), {"chunk_size": 0}, ValueError, "chunk_size"),
    ("put", ("a", b"1"), {"chunk_size": "5MB"}, TypeError, "chunk_size = '5MB': give a whole number"),
    ("list", (), {"chunk_size": -1}, ValueError, "chunk_size = -1"),
    ("put", ("a", b"1"), {"max_concurrency": 0}, ValueError, "max_concurrency"),
    ("put", ("a", "/nowhere/file"), {}, FileNotFoundError, "/nowhere/file"),
    # methods and times of signatures
    ("sign", ("get", "a", MINUTE), {}, ValueError, "method = 'get': give one of GET"),
    ("sign", ("FETCH", "a", MINUTE), {}, ValueError, "method = 'FETCH'"),
    ("sign", ("GET", "a", 60), {}, TypeError, "expires_in = 60: give a timedelta"),
    ("sign", ("GET", "a", timedelta(0)), {}, ValueError, "at least one second"),
    ("sign", ("GET", "a", -MINUTE), {}, ValueError, "at least one second"),
    ("sign", ("GET", ["a", "b//c"], MINUTE), {}, InvalidPathError, "b//c"),
    ("sign", ("GET", "a", MINUTE), {"response_headers": {"x-a": "b"}}, ValueError, "'x-a'"),
    ("sign", ("GET", "a", MINUTE), {"response_headers": {"content-type": "a\nb"}}, ValueError, "line break"),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "error", "said"), WRONG)
def test_wrong_input_is_refused(
    call: Callable[..., Any],
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    error: type[Exception],
    said: str,
) -> None:
    with pytest.raises(error) as caught:
        call(name, *args, **kwargs)
    assert said in str(caught.value)
    assert not isinstance(caught.value, objstore.exceptions.UnauthenticatedError)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("a/../b",), InvalidPathError, "a/../b"),
        ((5,), TypeError, "the prefix 5 is of the type int"),
    ],
)
def test_a_wrong_prefix_is_refused_when_the_listing_is_made(
    store: S3Store, arguments: tuple[Any, ...], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        store.list(*arguments)
    assert said in str(caught.value)
