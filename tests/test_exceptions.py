"""The tree of errors: what each also is, what it says, and that it survives pickling and copying."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from objstore import exceptions
from objstore.exceptions import BaseError

ERRORS = [cls for _, cls in inspect.getmembers(exceptions, inspect.isclass) if issubclass(cls, BaseError)]

BUILTINS = {
    "NotFoundError": FileNotFoundError,
    "AlreadyExistsError": FileExistsError,
    "PermissionDeniedError": PermissionError,
    "UnauthenticatedError": PermissionError,
    "NotSupportedError": NotImplementedError,
    "InvalidPathError": ValueError,
    "InvalidRangeError": ValueError,
    "ConfigurationError": ValueError,
    "UnknownConfigurationKeyError": KeyError,
    "RequestTimeoutError": TimeoutError,
    "ConnectionFailedError": ConnectionError,
    "LocalFileError": OSError,
    "WrongSizeError": OSError,
}

OBSTORE_RAISES = {
    "ConfigurationError": "GenericError",
    "InvalidRangeError": "GenericError",
    "RequestTimeoutError": "GenericError",
    "ConnectionFailedError": "GenericError",
    "ObjectChangedError": "PreconditionError",
}

FIELDS: dict[str, Any] = {
    "store": 'S3Store(bucket="b")',
    "path": "a/b",
    "bucket": "b",
    "url": "https://host/b/a/b",
    "errno": 28,
    "status": 503,
    "code": "SlowDown",
    "request_id": "4442587FB7D0A2F9",
    "attempts": 11,
    "maybe_applied": True,
}


def test_every_error_is_public() -> None:
    assert exceptions.__all__ == sorted(cls.__name__ for cls in ERRORS)


@pytest.mark.parametrize(("name", "builtin"), BUILTINS.items())
def test_the_builtin_of_the_same_meaning_catches_too(name: str, builtin: type[Exception]) -> None:
    with pytest.raises(builtin, match="no luck") as caught:
        raise getattr(exceptions, name)("no luck")
    assert isinstance(caught.value, BaseError)


@pytest.mark.parametrize(("name", "parent"), OBSTORE_RAISES.items())
def test_what_obstore_raises_instead_catches_too(name: str, parent: str) -> None:
    assert issubclass(getattr(exceptions, name), getattr(exceptions, parent))


@pytest.mark.parametrize("cls", ERRORS)
def test_the_message_is_what_str_gives(cls: type[BaseError]) -> None:
    error = cls("a/b is missing", path="a/b")
    assert str(error) == "a/b is missing"
    assert error.path == "a/b"
    assert error.status is None


@pytest.mark.parametrize("cls", [cls for cls in ERRORS if issubclass(cls, OSError)])
def test_errors_that_are_os_errors_have_no_errno(cls: type[BaseError]) -> None:
    error = cls("2 gone", path="a/b")
    assert isinstance(error, OSError)
    assert (error.errno, error.strerror, error.filename) == (None, None, None)


@pytest.mark.parametrize("cls", ERRORS)
@pytest.mark.parametrize("carry", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_keep_everything_when_carried(cls: type[BaseError], carry: Callable[[BaseError], BaseError]) -> None:
    error = carry(cls("It failed", hint="Try later.", **FIELDS))
    assert type(error) is cls
    assert str(error) == "It failed. Try later."
    assert {name: getattr(error, name) for name in FIELDS} == FIELDS


@pytest.mark.parametrize(
    ("message", "expected"),
    [("It failed", "It failed. Do this."), ("It failed.", "It failed. Do this."), ("Why?", "Why? Do this.")],
)
def test_the_hint_is_a_second_sentence(message: str, expected: str) -> None:
    assert str(BaseError(message, hint="Do this.")) == expected
