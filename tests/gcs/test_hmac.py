"""HMAC keys: every operation by the XML API alone, each request signed, and what that API lacks refused."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

pytest.importorskip("google_crc32c", reason="google-crc32c is not installed")

from objstore.exceptions import (
    AlreadyExistsError,
    ConfigurationError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
)
from objstore.store import GCSStore
from tests.gcs.keys import signed
from tests.gcs.server import StrictServer, strict_server
from tests.gcs.test_wire import KEYS, open_store

MIB = 1 << 20
KEY = {"access_key_id": "GOOG1EXAMPLE", "secret_access_key": "planted+secret/"}


@pytest.fixture
def server() -> Iterator[StrictServer]:
    with strict_server() as running:
        running.make_bucket("bucket")
        running.hmac_key = (KEY["access_key_id"], KEY["secret_access_key"])
        yield running


@pytest.fixture
def store(server: StrictServer) -> GCSStore:
    return open_keyed(server)


def open_keyed(server: StrictServer, **changes: Any) -> GCSStore:
    return open_store(server, **KEY, **changes)


@pytest.mark.parametrize("key", KEYS)
def test_every_operation(store: GCSStore, key: str) -> None:
    store = store.with_raw_keys()
    attributes = {"Content-Type": "t/x", "Cache-Control": "no  cache", "own": "v"}
    put = store.put(key, b"body", attributes=attributes)
    result = store.get(key)
    assert (result.bytes(), result.attributes.items() >= attributes.items()) == (b"body", True)
    assert store.head(key) == result.meta == store.list().collect()[0]
    assert (result.meta["e_tag"], result.meta["version"]) == (put["e_tag"], put["version"])
    assert store.get_many([(key, 1, 3)]) == [b"od"]
    store.copy(key, "copy")
    assert store.get("copy").attributes["own"] == "v"
    with pytest.raises(AlreadyExistsError):
        store.copy(key, "copy", overwrite=False)
    with pytest.raises(PreconditionError):
        store.copy(key, "copy", overwrite=put)
    store.copy(key, "copy", overwrite={"e_tag": store.head("copy")["e_tag"]})
    store.rename("copy", "c")
    store.delete([key, "c", "missing"])
    assert store.list().collect() == []


def test_conditions(store: GCSStore) -> None:
    first = store.put("a", b"1", mode="create")
    with pytest.raises(AlreadyExistsError):
        store.put("a", b"2", mode="create")
    store.put("a", b"2", mode=first)
    with pytest.raises(PreconditionError):
        store.put("a", b"3", mode={"version": first["version"]})
    with pytest.raises(PreconditionError):
        store.delete("a", if_match=first["e_tag"])
    with pytest.raises(NotSupportedError, match="one generation"):
        store.delete("a", if_match="*")
    store.delete("a", if_match=store.head("a")["e_tag"])
    assert store.list().collect() == []


def test_listings(store: GCSStore) -> None:
    store.put_many({f"x/{number:04}": b"" for number in range(1100)})
    store.put_many(dict.fromkeys(["a b", "é&+%", "x"], b""))
    paths = [meta["path"] for meta in store.list().collect()]
    assert len(paths) == 1103
    assert {"a b", "é&+%", "x"} < {*paths}
    assert store.list(offset="x/1098").collect()[0]["path"] == "x/1099"
    assert store.list_with_delimiter()["common_prefixes"] == ["x"]


@pytest.mark.parametrize("size", [0, 12 * MIB + 5])
def test_uploads_in_parts(store: GCSStore, size: int) -> None:
    store.put("a", bytes(size), use_multipart=True, chunk_size=5 * MIB)
    upload = store.begin_upload("b")
    upload.complete([upload.put_part(1, b"part")])
    assert (store.head("a")["size"], store.get("b").bytes()) == (size, b"part")


def test_what_needs_the_other_api_is_refused(store: GCSStore, server: StrictServer) -> None:
    for call in (
        lambda: store.put("a", bytes(6 * MIB), use_multipart=True, mode="create"),
        lambda: store.begin_upload("a", mode="create"),
    ):
        with pytest.raises(NotSupportedError, match=r"HMAC key .* JSON API"):
            call()
    assert server.calls == []


def test_a_bucket_that_is_missing(server: StrictServer) -> None:
    store = open_keyed(server, bucket="none")
    for call in (lambda: store.delete(["a", "b"]), lambda: store.list().collect(), lambda: store.put("a", b"1")):
        with pytest.raises(NotFoundError, match="bucket"):
            call()


def test_who_pays_is_signed(server: StrictServer) -> None:
    store = open_keyed(server, user_project="payer")
    store.put("a", b"1")
    store.list().collect()
    assert {call.headers["x-goog-user-project"] for call in server.calls} == {"payer"}


def test_a_wrong_secret_is_told_and_not_shown(server: StrictServer) -> None:
    store = open_store(server, access_key_id=KEY["access_key_id"], secret_access_key="planted-wrong")
    with pytest.raises(PermissionDeniedError, match="secret_access_key") as refused:
        store.put("a", b"1")
    assert "planted" not in f"{refused.value} {store!r}"


def test_half_a_key_is_refused() -> None:
    for name, value in KEY.items():
        with pytest.raises(ConfigurationError, match=rf"{name} alone") as refused:
            GCSStore("bucket", **{name: value})  # type: ignore[arg-type]
        assert "planted" not in str(refused.value)


def test_other_credentials_come_first(server: StrictServer) -> None:
    server.hmac_key, server.token = None, "token"
    for given in ({"bearer_token": "token"}, {"credential_provider": lambda: {"token": "token", "expires_at": None}}):
        open_keyed(server, **given).put("a", b"1")
    assert server.lines("POST /upload")


def test_what_is_given_comes_before_the_environment(server: StrictServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    monkeypatch.setenv("GS_ACCESS_KEY_ID", "another")
    open_keyed(server).put("a", b"1")
    assert [call.method for call in server.calls] == ["PUT"]


def test_a_key_of_the_environment_is_nothing_for_an_emulator(
    server: StrictServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.hmac_key = None
    for name, value in KEY.items():
        monkeypatch.setenv(f"GOOGLE_{name.upper()}", value)
    open_store(server).put("a", b"1")
    assert (server.calls[0].method, server.calls[0].headers["Authorization"]) == ("POST", None)


def test_urls(store: GCSStore, server: StrictServer) -> None:
    store.put("a b/ü?#", b"body")
    url = store.sign("GET", "a b/ü?#", timedelta(hours=1))
    unsigned, _, signature = url.partition("&X-Goog-Signature=")
    assert signature == by_hand(unsigned)
    with urllib.request.urlopen(url) as reply:
        assert reply.read() == b"body"


def by_hand(url: str) -> str:
    """Sign a URL as Google's documentation says."""
    import hashlib
    from urllib.parse import parse_qs, urlsplit

    parts = urlsplit(url)
    told = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert told["X-Goog-Algorithm"] == "GOOG4-HMAC-SHA256"
    name, _, scope = told["X-Goog-Credential"].partition("/")
    assert name == KEY["access_key_id"]
    request = f"GET\n{parts.path}\n{parts.query}\nhost:{parts.hostname}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"GOOG4-HMAC-SHA256\n{told['X-Goog-Date']}\n{scope}\n{digest}"
    return signed(KEY["secret_access_key"], scope, text)
