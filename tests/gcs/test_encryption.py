"""Objects encrypted with the caller's own key (CSEK), through TLS, or with a key of the key management service."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("google_crc32c", reason="google-crc32c is not installed")

from objstore.exceptions import BaseError, ConfigurationError
from objstore.store import GCSStore
from tests.gcs.server import StrictServer, strict_server
from tests.gcs.test_wire import open_store
from tests.tls_proxy import standing_in

HOST = "storage.googleapis.com"
KEYS = {name: base64.b64encode(name.encode() * 32).decode() for name in "ab"}
KMS = "projects/p/locations/eu/keyRings/r/cryptoKeys/k"
HMAC = {"access_key_id": "GOOG1EXAMPLE", "secret_access_key": "secret"}
MIB = 1 << 20

Make = Callable[..., GCSStore]


@pytest.fixture
def server() -> Iterator[StrictServer]:
    with strict_server() as running:
        running.make_bucket("bucket")
        yield running


@pytest.fixture(params=["bearer", "hmac"])
def make(server: StrictServer, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Return what makes a store with a key of the caller's, or without one."""
    server.hmac_key = (HMAC["access_key_id"], HMAC["secret_access_key"]) if request.param == "hmac" else None
    who = HMAC if request.param == "hmac" else {"bearer_token": "token"}
    with standing_in({HOST: server.endpoint}, tmp_path) as proxy:
        connection = {"proxy_url": proxy.url, "root_certificate": Path(proxy.certificates).read_bytes()}

        def make_one(key: str | None) -> GCSStore:
            told = {} if key is None else {"encryption_key": KEYS[key]}
            return GCSStore("bucket", client_options=connection, retry_config={"max_retries": 0}, **who, **told)

        yield make_one


def test_objects_are_read_with_their_key_alone(make: Make) -> None:
    store = make("a")
    store.put("one", b"secret")
    store.put("told", b"secret", attributes={"k": "v"})
    store.put("parts", bytes(6 * MIB), chunk_size=5 * MIB)
    assert store.get("one").bytes() == store.get("told").bytes() == b"secret"
    assert store.head("parts")["size"] == 6 * MIB
    assert store.get_many([("one", 0, 3), ("parts", 5 * MIB, 5 * MIB + 2)]) == [b"sec", b"\0\0"]
    upload = store.begin_upload("hands")
    upload.complete([upload.put_part(1, b"part")])
    for path in ("one", "told", "parts", "hands"):
        for other in (make("b"), make(None)):
            with pytest.raises(BaseError):
                other.get(path).bytes()
    store.delete(["one", "told", "parts", "hands"])


def test_a_copy_is_read_with_the_key_of_its_source(make: Make) -> None:
    make("a").put("one", b"secret")
    make("a").copy("one", "two")
    assert make("a").get("two").bytes() == b"secret"
    with pytest.raises(BaseError):
        make("b").copy("one", "three")


@pytest.mark.parametrize("sessions", [False, True])
@pytest.mark.parametrize("make", ["bearer"], indirect=True)
def test_parts_under_a_condition(make: Make, server: StrictServer, sessions: bool) -> None:
    if sessions:
        server.service.permissions.clear()
    store = make("a")
    store.put("a", bytes(6 * MIB), chunk_size=5 * MIB, mode="create")
    assert store.get("a").bytes() == bytes(6 * MIB)
    upload = store.begin_upload("b", mode="create")
    upload.put_part(1, b"part")
    upload.complete()  # of what a listing tells, which has no checksums
    assert store.get("b").bytes() == b"part"
    with pytest.raises(BaseError):
        make(None).get("a").bytes()


def test_a_key_is_not_sent_in_the_clear(server: StrictServer) -> None:
    with pytest.raises(ConfigurationError, match="in the clear") as refused:
        open_store(server, encryption_key=KEYS["a"])
    assert KEYS["a"] not in str(refused.value)


def test_two_keys_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="two keys"):
        GCSStore("bucket", encryption_key=KEYS["a"], kms_key_name=KMS)


@pytest.mark.parametrize(("name", "value"), [("encryption_key", "short"), ("kms_key_name", "k")])
def test_keys_that_are_none(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        GCSStore("bucket", **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("who", [{}, HMAC])
def test_the_name_of_a_key_goes_with_every_write(server: StrictServer, who: Any) -> None:
    server.hmac_key = (who["access_key_id"], who["secret_access_key"]) if who else None
    store = open_store(server, kms_key_name=KMS, **who)
    store.put("one", b"1")
    store.put("parts", bytes(6 * MIB), chunk_size=5 * MIB)
    store.copy("one", "two")
    if not who:
        store.put("told", b"1", attributes={"k": "v"})
        store.put("composed", bytes(6 * MIB), chunk_size=5 * MIB, mode="create")
        server.service.permissions.clear()
        open_store(server, kms_key_name=KMS).put("session", bytes(6 * MIB), chunk_size=5 * MIB, mode="create")
    begun = [call for call in server.calls if begins_an_object(call)]
    names = ("kmsKeyName", "destinationKmsKeyName")
    told = [[call.query.get(name) for name in names] + [call.headers[KMS_HEADER]] for call in begun]
    assert len(begun) == (8 if not who else 3)
    assert all(KMS in values for values in told)


KMS_HEADER = "x-goog-encryption-kms-key-name"


def begins_an_object(call: Any) -> bool:
    return call.method in ("PUT", "POST") and not {"uploadId", "upload_id"} & call.query.keys()
