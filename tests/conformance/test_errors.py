"""Errors: what is missing, what is not allowed, what is refused before it is sent, and that no secret shows."""

from __future__ import annotations

import copy
import pickle
import traceback
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from objstore import engine_info, exceptions
from objstore.store import AzureStore, S3Store
from tests.conformance.conftest import SMALL, Bucket, Face, Mode

# --- what is missing


async def test_a_missing_object(library: Face, mode: Mode, tmp_path: Path) -> None:
    for call in (
        lambda: library.get("missing"),
        lambda: library.get("missing", options={"head": True}),
        lambda: library.get("missing", options={"range": (5, 9)}),
        lambda: library.get_range("missing", start=0, end=1),
        lambda: library.get_ranges("missing", starts=[0, 1 << 20], lengths=[1, 1]),
        lambda: library.head("missing"),
        lambda: library.get_many(["small", "missing"]),
        lambda: library.head_many(["small", "missing"]),
        lambda: mode.all(library.iter_many(["missing"])),
        lambda: library.download("missing", tmp_path / "file"),
    ):
        with pytest.raises(exceptions.NotFoundError, match="'missing'") as missing:
            await call()
        assert isinstance(missing.value, FileNotFoundError)
        assert isinstance(missing.value, exceptions.BaseError)
        assert missing.value.path == "missing"


async def test_an_object_below_an_object_is_missing(library: Face) -> None:
    with pytest.raises(exceptions.NotFoundError):
        await library.get("small/below")


async def test_a_folder_is_no_object(library: Face) -> None:
    with pytest.raises(exceptions.NotFoundError):
        await library.head("many")
    with pytest.raises(exceptions.NotFoundError):
        await library.get("many")


@pytest.mark.needs("requests")
async def test_an_error_says_what_came(library: Face) -> None:
    with pytest.raises(exceptions.NotFoundError) as missing:
        await library.get("missing")
    error = missing.value
    code = error.code
    assert (error.store, error.path, error.status) == (type(library.target).__name__, "missing", 404)
    if isinstance(library.target, S3Store | AzureStore):
        assert code == ("NoSuchKey" if isinstance(library.target, S3Store) else "BlobNotFound")
    else:
        assert code in ("NoSuchKey", None)
    assert error.attempts == 1


async def test_an_error_is_copied_whole(library: Face) -> None:
    with pytest.raises(exceptions.NotFoundError) as missing:
        await library.head("missing")
    for other in (pickle.loads(pickle.dumps(missing.value)), copy.copy(missing.value)):
        assert type(other) is exceptions.NotFoundError
        assert str(other) == str(missing.value)
        assert vars(other) == vars(missing.value)


async def test_a_missing_bucket(bucket: Bucket, mode: Mode) -> None:
    store = mode(bucket.open(bucket="no-such-bucket"))
    for call in (
        lambda: store.get("a"),
        lambda: store.put("a", b"1"),
        lambda: store.put("a", b"1", use_multipart=True),
        lambda: mode(store.list()).collect(),
        lambda: store.list_with_delimiter(),
        lambda: store.get_many(["a"]),
        lambda: store.put("a", b"1", mode="create"),
        lambda: store.put("a", b"1", mode={"e_tag": '"a"'}),
        lambda: store.put("a", b"1", mode={"e_tag": '"a"'}, use_multipart=True),
    ):
        with pytest.raises(exceptions.NotFoundError, match="bucket") as missing:
            await call()
        assert missing.value.code == "NoSuchBucket"


# --- what is not allowed


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"secret_access_key": "another-secret-key"}, "SignatureDoesNotMatch"),
        pytest.param(
            {"access_key_id": "another-key-id"},
            "InvalidAccessKeyId",
            marks=pytest.mark.needs("Amazon's answer to an unknown key"),
        ),
    ],
)
async def test_a_wrong_key(bucket: Bucket, mode: Mode, wrong: dict[str, str], code: str) -> None:
    store = mode(bucket.open(**wrong))
    for call in (
        lambda: store.get("a"),
        lambda: store.put("a", SMALL),
        lambda: store.put("a", SMALL, use_multipart=True),
        lambda: store.delete(["a", "b"]),
        lambda: store.copy("a", "b"),
        lambda: mode(store.list()).collect(),
        lambda: store.get_many(["a", "b"]),
        lambda: store.put_many({"a": SMALL}),
    ):
        with pytest.raises(exceptions.PermissionDeniedError) as refused:
            await call()
        error = refused.value
        assert isinstance(error, PermissionError)
        assert (error.status, error.code, error.attempts) == (403, code, 1)
        assert next(iter(wrong)) in str(error)  # the remedy
        shown = str(error) + repr(error) + repr(store.target) + "".join(traceback.format_exception(error))
        assert "another-secret-key" not in shown
        assert bucket.server.secret_access_key not in shown
    with pytest.raises(exceptions.PermissionDeniedError):
        await store.head("a")


async def test_for_an_unknown_key_nothing_is_missing(bucket: Bucket, mode: Mode) -> None:
    store = mode(bucket.open(access_key_id="another-key-id"))
    for call in (lambda: store.get("a"), lambda: mode(store.list()).collect(), lambda: store.delete(["a", "b"])):
        with pytest.raises(exceptions.PermissionDeniedError, match=r"access_key_id|access key"):
            await call()


async def test_no_key(bucket: Bucket, mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    sent = engine_info()["requests"]
    with pytest.raises(exceptions.UnauthenticatedError, match="credential"):
        await mode(bucket.open(access_key_id=None, secret_access_key=None)).get("a")
    assert engine_info()["requests"] == sent


@pytest.mark.needs("unsigned requests")
async def test_unsigned_requests_are_refused(bucket: Bucket, mode: Mode) -> None:
    store = mode(bucket.open(access_key_id=None, secret_access_key=None, skip_signature=True))
    with pytest.raises(PermissionError):
        await store.put("a", b"1")


# --- what is refused before it is sent


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ({"if_mach": '"e"'}, ValueError, "if_match"),
        ({"nonsense": 1}, ValueError, "nonsense"),
        ({"range": (5, 5)}, exceptions.InvalidRangeError, "empty"),
        ({"range": (5, 2)}, exceptions.InvalidRangeError, "reversed"),
        ({"range": (-5, 2)}, exceptions.InvalidRangeError, "-5"),
        ({"range": (1,)}, ValueError, "range"),
        ({"range": (1, 2, 3)}, ValueError, "range"),
        ({"range": 5}, ValueError, "range"),
        ({"range": "0-5"}, ValueError, "range"),
        ({"range": {"offset": -1}}, exceptions.InvalidRangeError, "-1"),
        ({"range": {"suffix": 0}}, exceptions.InvalidRangeError, "suffix"),
        ({"range": {"suffix": -2}}, exceptions.InvalidRangeError, "-2"),
        ({"range": {"ofset": 1}}, ValueError, "offset"),
        ({"range": {"offset": 1, "suffix": 1}}, ValueError, "offset"),
        ({"range": ("1", "2")}, TypeError, "whole number"),
        ({"range": (1.5, 2)}, TypeError, "whole number"),
        ({"if_match": 5}, TypeError, "if_match"),
        ({"if_match": "a\r\nX-Evil: 1"}, ValueError, "line break"),
        ({"if_none_match": "a\nb"}, ValueError, "line break"),
        ({"version": 5}, TypeError, "version"),
        ({"if_modified_since": "yesterday"}, TypeError, "if_modified_since"),
        ({"if_unmodified_since": datetime(2026, 1, 1)}, TypeError, "time zone"),
    ],
)
async def test_options_of_get(library: Face, options: Any, error: type[Exception], reason: str) -> None:
    sent = engine_info()["requests"]
    with pytest.raises(error, match=reason):
        await library.get("small", options=options)
    assert engine_info()["requests"] == sent


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ({"start": 5, "end": 4}, exceptions.InvalidRangeError, "reversed"),
        ({"start": 5, "end": 5}, exceptions.InvalidRangeError, "empty"),
        ({"start": 5, "length": 0}, exceptions.InvalidRangeError, "empty"),
        ({"start": -5, "end": 4}, exceptions.InvalidRangeError, "-5"),
        ({"start": 5, "length": -1}, exceptions.InvalidRangeError, "-1"),
        ({"start": 5}, ValueError, "neither"),
        ({"start": 5, "end": 9, "length": 4}, ValueError, "both"),
        ({"start": "5", "end": 9}, TypeError, "start"),
        ({"start": 5, "end": 9.5}, TypeError, "end"),
    ],
)
async def test_ranges(library: Face, arguments: Any, error: type[Exception], reason: str) -> None:
    sent = engine_info()["requests"]
    with pytest.raises(error, match=reason):
        await library.get_range("small", **arguments)
    assert engine_info()["requests"] == sent


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ({"starts": [1, 2], "ends": [3]}, ValueError, "2 starts.* 1 ends"),
        ({"starts": [1], "lengths": [3, 4]}, ValueError, "1 starts.* 2 lengths"),
        ({"starts": [1]}, ValueError, "neither"),
        ({"starts": [1], "ends": [2], "lengths": [1]}, ValueError, "both"),
        ({"starts": [0, 5], "ends": [1, 4]}, exceptions.InvalidRangeError, "reversed"),
        ({"starts": [0, -5], "ends": [1, 4]}, exceptions.InvalidRangeError, "-5"),
        ({"starts": [0], "lengths": [-1]}, exceptions.InvalidRangeError, "-1"),
        ({"starts": [0], "ends": [1], "coalesce": -1}, ValueError, "coalesce"),
        ({"starts": [0.5], "ends": [1]}, TypeError, "whole number"),
    ],
)
async def test_several_ranges(library: Face, arguments: Any, error: type[Exception], reason: str) -> None:
    sent = engine_info()["requests"]
    with pytest.raises(error, match=reason):
        await library.get_ranges("small", **arguments)
    assert engine_info()["requests"] == sent
