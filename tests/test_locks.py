"""Objects that may not be deleted for a while (S3 Object Lock), and archived ones: what is sent, told and refused."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from objstore.exceptions import ConfigurationError, NotFoundError, NotSupportedError, PermissionDeniedError
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.http.words import read_words
from objstore.plans.run import run
from objstore.providers.cloud.s3_objects import restore_state
from objstore.store import AzureStore, GCSStore, HTTPStore, LocalStore, MemoryStore, S3Store
from tests.engine.client import wait_until
from tests.engine.raw import Raw, answering, sends
from tests.servers import S3Server
from tests.test_signed_urls import PAIR, on

numbers = count()
UNTIL = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
LOCK = {"Object-Lock-Mode": "GOVERNANCE", "Object-Lock-Retain-Until-Date": UNTIL, "Object-Lock-Legal-Hold": "ON"}


def locking(server: S3Server, **changes: Any) -> S3Store:
    """Return a store on a new bucket whose objects can be locked."""
    bucket = f"locks-{next(numbers)}"
    server.client().create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    return on(server, bucket=bucket, **{"checksum_algorithm": "crc32", **changes})


def lock_of(server: S3Server, store: S3Store, key: str) -> tuple[str, str, str]:
    """Return what Amazon's own client says of the lock of an object."""
    named = {"Bucket": store.config["bucket"], "Key": key}
    retention = server.client().get_object_retention(**named)["Retention"]
    hold = server.client().get_object_legal_hold(**named)["LegalHold"]["Status"]
    return retention["Mode"], retention["RetainUntilDate"].strftime("%Y-%m-%dT%H:%M:%SZ"), hold


def test_objects_are_locked_however_they_are_written(ministack: S3Server, tmp_path: Path) -> None:
    store = locking(ministack)
    store.put("one", b"1", attributes=LOCK)
    store.put_many({"many": b"1"}, attributes=LOCK)
    (tmp_path / "file").write_bytes(b"1")
    store.upload(tmp_path / "file", "file", attributes=LOCK)
    with store.open_writer("written", attributes={name.lower(): value for name, value in LOCK.items()}) as file:
        file.write(b"1")
    wanted = ("GOVERNANCE", UNTIL, "ON")
    paths = ["one", "many", "file", "written"]
    assert {path: lock_of(ministack, store, path) for path in paths} == dict.fromkeys(paths, wanted)
    assert store.get("one").attributes.items() >= LOCK.items()


def test_an_upload_in_parts_is_locked_when_it_begins() -> None:
    """By a server of our own: MiniStack and moto forget the locks of CreateMultipartUpload."""
    begun = b"<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>"
    raw: Raw
    with answering(sends(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(begun), begun))) as raw:
        store = S3Store(
            "bucket", endpoint=raw.origin, region="here", checksum_algorithm="sha256", allow_http=True, **PAIR
        )
        store.begin_upload("shared", attributes=LOCK)
        (head,) = raw.heads
    sent = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
    assert sent.items() >= {f"x-amz-{name.lower()}": value for name, value in LOCK.items()}.items()
    assert sent["x-amz-checksum-algorithm"] == "SHA256"


def test_a_copy_is_not_locked(ministack: S3Server) -> None:
    store = locking(ministack, copy_if_not_exists="multipart")
    store.put("locked", b"1", attributes={**LOCK, "Content-Type": "a/b"})
    memory = MemoryStore()
    store.copy("locked", "in parts", overwrite=False)  # one by CopyObject is for the service to see to
    store.copy("locked", "copy", to_store=memory)
    for where in (store.get("in parts"), memory.get("copy")):
        assert where.attributes["Content-Type"] == "a/b"
        assert not where.attributes.keys() & LOCK.keys()


def test_the_error_of_a_locked_version_says_so(ministack: S3Server) -> None:
    store = locking(ministack)
    version = store.put("locked", b"1", attributes=LOCK)["version"]
    provider: Any = store.provider
    with pytest.raises(PermissionDeniedError, match=r"object lock.*Wait until its retention ends"):
        delete_version(provider, "locked", str(version))
    assert store.get("locked").bytes() == b"1"


def delete_version(provider: Any, key: str, version: str) -> None:
    exchange = Exchange(provider.service, Shape("DELETE", {}), lambda _: key)
    exchange.add(provider.target(key, [("versionId", version)]))
    run(exchange.only())


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"Object-Lock-Mode": "governance", "Object-Lock-Retain-Until-Date": UNTIL}, "give one of GOVERNANCE"),
        ({"Object-Lock-Legal-Hold": "yes"}, "give one of ON, OFF"),
        ({"Object-Lock-Mode": "COMPLIANCE"}, "give both"),
        ({"Object-Lock-Retain-Until-Date": UNTIL}, "give both"),
        ({"Object-Lock-Mode": "COMPLIANCE", "Object-Lock-Retain-Until-Date": "tomorrow"}, "give a time"),
        ({"Object-Lock-Mode": "COMPLIANCE", "Object-Lock-Retain-Until-Date": "2030-01-01"}, "give a time"),
    ],
)
def test_what_is_no_lock(attributes: Any, error: str) -> None:
    store = S3Store("bucket", region="eu-west-3", **PAIR)
    with pytest.raises(ValueError, match=error):
        store.put("a", b"1", attributes=attributes)


def test_a_lock_needs_a_checksum() -> None:
    elsewhere = S3Store("bucket", endpoint="https://s3.example.com", region="here", **PAIR)
    wanted = r"Object-Lock-Legal-Hold needs a checksum .* checksum_algorithm"
    with pytest.raises(ConfigurationError, match=wanted):
        elsewhere.put("a", b"1", attributes=LOCK)
    with pytest.raises(ConfigurationError, match=wanted):
        elsewhere.begin_upload("a", attributes=LOCK)


def test_stores_without_locks_refuse_them(tmp_path: Path) -> None:
    stores = [
        MemoryStore(),
        LocalStore(tmp_path),
        HTTPStore("https://dav.example.com"),
        GCSStore("bucket", skip_signature=True),
        GCSStore("bucket", access_key_id="k", secret_access_key="s"),
        AzureStore("container", account_name="a", skip_signature=True),
    ]
    for store in stores:
        for name in (*LOCK, "object-lock-mode", "ObjectLockMode"):
            with pytest.raises(NotSupportedError, match=r"Object-Lock.* knows no locks"):
                store.put("a", b"1", attributes={name: "GOVERNANCE"})


# --- archives


def test_an_archived_object_is_told_of(ministack: S3Server) -> None:
    store = on(ministack)
    store.put("archived", b"1", attributes={"Storage-Class": "GLACIER"})
    with pytest.raises(PermissionDeniedError, match=r"must be restored .*GLACIER.*RestoreObject"):
        store.get("archived")
    assert "restore" not in store.head("archived")
    ministack.client().restore_object(Bucket="signed", Key="archived", RestoreRequest={"Days": 3})
    assert "restore" in store.head("archived")
    wait_until(lambda: not store.head("archived")["restore"]["ongoing"])
    assert store.get("archived").bytes() == b"1"
    restored = store.head("archived")["restore"]
    assert restored["expiry"] is not None
    assert restored["expiry"] - datetime.now(UTC) > timedelta(days=2)


def test_a_copy_has_the_class_of_its_own_store(ministack: S3Server) -> None:
    """Through this machine as on the server (where MiniStack differs): other services know other classes."""
    store, other, kept = on(ministack), on(ministack, bucket="classes"), MemoryStore()
    store.put("cool", b"1", attributes={"Storage-Class": "STANDARD_IA", "Content-Type": "text/x-a"})
    store.copy("cool", "cool", to_store=kept)
    kept.copy("cool", "cool", to_store=other)
    for each in (kept, other):
        found = each.get("cool").attributes
        assert found["Content-Type"] == "text/x-a"
        assert found.get("Storage-Class", "STANDARD") == "STANDARD"
    assert store.get("cool").attributes["Storage-Class"] == "STANDARD_IA"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ('ongoing-request="true"', {"ongoing": True, "expiry": None}),
        (
            'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"',
            {"ongoing": False, "expiry": datetime(2012, 12, 21, tzinfo=UTC)},
        ),
        ("", {"ongoing": False, "expiry": None}),
        ('ongoing-request="false", expiry-date="never"', {"ongoing": False, "expiry": None}),
    ],
)
def test_the_state_of_an_archived_object(text: str, state: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html."""
    assert restore_state(text) == state


def test_the_error_says_how_an_object_is_stored() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, InvalidObjectStateException."""
    document = (
        b"<Error><Code>InvalidObjectState</Code><Message>The action is not valid.</Message>"
        b"<StorageClass>INTELLIGENT_TIERING</StorageClass><AccessTier>DEEP_ARCHIVE_ACCESS</AccessTier></Error>"
    )
    told = "(StorageClass INTELLIGENT_TIERING, AccessTier DEEP_ARCHIVE_ACCESS)"
    assert read_words(document).message == f"The action is not valid. {told}"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("", "No restore is under way."),
        ('x-amz-restore: ongoing-request="true"\r\n', "A restore is under way."),
        ('x-amz-restore: ongoing-request="false", expiry-date="Fri, 21 Dec 2040 00:00:00 GMT"\r\n', "read it again"),
    ],
)
def test_the_error_says_how_far_an_archived_object_is_restored(told: str, words: str) -> None:
    def answer(connection: socket.socket) -> None:
        if raws[0].heads[-1].startswith(b"HEAD"):
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n{told}\r\n".encode())
        else:
            body = b"<Error><Code>InvalidObjectState</Code><Message>No.</Message></Error>"
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    raws: list[Raw] = []
    with answering(answer) as raw:
        raws.append(raw)
        store = S3Store("b", endpoint=raw.origin, client_options={"allow_http": True}, **PAIR)
        for read in (store.get, store.open):
            with pytest.raises(PermissionDeniedError, match=words):
                read("a")


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_version_that_is_a_delete_marker_is_not_found(method: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html."""
    head = b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nx-amz-delete-marker: true\r\n\r\n"
    with answering(sends(head)) as raw, pytest.raises(NotFoundError, match="delete marker"):
        getattr(S3Store("b", endpoint=raw.origin, client_options={"allow_http": True}, **PAIR), method)("a")
