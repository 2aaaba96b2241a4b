"""What a directory bucket does otherwise than other buckets, and what it has not."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from objstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    InvalidPathError,
    NotFoundError,
    NotSupportedError,
    PreconditionError,
)
from objstore.providers.cloud.checksums import SHORTEST_TRAILED
from objstore.store import MemoryStore, S3Store
from tests.s3_express.bucket import Directory
from tests.s3_express.opened import BESIDE, BUCKET, BUCKETS, FAR, opened
from tests.s3_express.server import KEY, REGION, SECRET, Express
from tests.tls_proxy import Proxy

PART = 5 << 20
KEYS = sorted(f"{folder}k{at:02}" for folder in ("", "a/", "a/b/", "c d/é/") for at in range(25))


@pytest.fixture
def directory(service: Express) -> Directory:
    return service.make(BUCKET)


@pytest.fixture
def store(directory: Directory, proxy: Proxy) -> S3Store:
    return opened(proxy)


@pytest.fixture
def full(directory: Directory, store: S3Store, service: Express) -> S3Store:
    for key in KEYS:
        directory.keep(key, key.encode(), {})
    store.head("k00")
    service.calls.clear()
    return store


# --- listings


def paths(found: Any) -> list[str]:
    return [meta["path"] for meta in found]


def test_a_listing_has_all_in_no_order(full: S3Store) -> None:
    found = paths(full.list().collect())
    assert found != KEYS
    assert sorted(found) == KEYS
    assert sorted(paths(full.list("a").collect())) == [key for key in KEYS if key.startswith("a/")]
    assert sorted(paths(full.list(max_concurrency=8).collect())) == KEYS


def test_a_level_and_a_walk(full: S3Store) -> None:
    level = full.list_with_delimiter()
    assert sorted(level["common_prefixes"]) == ["a", "c d"]
    assert sorted(paths(level["objects"])) == [key for key in KEYS if "/" not in key]
    assert sorted(path for each in full.walk() for path in paths(each.objects)) == KEYS


@pytest.mark.parametrize("pattern", ["k0*", "a/k0?", "a/*/k1*", "**/k07", "c*/é/k2[0-3]", "a/**"])
def test_patterns_are_matched_by_whole_folders(full: S3Store, pattern: str) -> None:
    memory = MemoryStore()
    memory.put_many([(key, b"") for key in KEYS])
    expected = paths(memory.glob(pattern).collect())
    assert expected
    assert sorted(paths(full.glob(pattern).collect())) == sorted(expected)


def test_pages_that_begin_in_order_are_no_promise(directory: Directory, store: S3Store) -> None:
    """A listing whose first pages happen to be sorted goes on as it likes."""
    keys = [f"k{at:02}" for at in range(60)]
    for key in keys:
        directory.keep(key, b"", {})
    shuffled = [*keys[30:], *keys[:30]]
    directory.order = shuffled.index
    assert paths(store.list().collect()) == shuffled
    assert paths(store.list_with_delimiter()["objects"]) == shuffled


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (lambda store: store.list(offset="k05").collect(), "order of keys"),
        (lambda store: [*store.list_level(offset="k05")], "order of keys"),
        (lambda store: store.list("a/k", by="string").collect(), "whole folders"),
        (lambda store: [*store.list_level("a/k", by="string")], "whole folders"),
        (lambda store: store.delete_prefix("a/k", by="string"), "whole folders"),
        (lambda store: store.list(shard=(0, 2)).collect(), "order of their bytes"),
        (lambda store: store.list(shard=(0, 1)).collect(), "order of their bytes"),
        (lambda store: store.shards(None, 4), "order of their bytes"),
        (lambda store: store.put("x", b"", tags={"a": "b"}), "no tags"),
        (lambda store: store.get_tags("k05"), "no tags"),
        (lambda store: store.get("k05", options={"version": "v"}), "no versions"),
        (lambda store: store.list_versions().collect(), "no versions"),
        (lambda store: store.delete("k05", version="v"), "no versions"),
        (lambda store: store.put("x", b"", attributes={"Object-Lock-Legal-Hold": "ON"}), "no object locks"),
        (lambda store: store.put_many({"x": b""}, attributes={"Storage-Class": "STANDARD"}), "no class 'STANDARD'"),
        (lambda store: store.begin_upload("x", attributes={"Storage-Class": "GLACIER"}), "no class 'GLACIER'"),
    ],
)
def test_what_a_directory_bucket_has_not(
    service: Express, full: S3Store, operation: Callable[[S3Store], Any], words: str
) -> None:
    with pytest.raises(NotSupportedError, match=words):
        operation(full)
    assert not service.calls, "it was refused here"


def test_tags_are_dropped_where_that_is_asked_for(directory: Directory, proxy: Proxy) -> None:
    opened(proxy, disable_tagging=True).put("x", b"1", tags={"a": "b"})
    assert directory.objects["x"].body == b"1"


# --- writes


def test_conditional_writes(store: S3Store) -> None:
    first = store.put("x", b"1", mode="create")
    with pytest.raises(AlreadyExistsError):
        store.put("x", b"2", mode="create")
    store.put("x", b"3", mode={"e_tag": first["e_tag"]})
    with pytest.raises(PreconditionError):
        store.put("x", b"4", mode={"e_tag": first["e_tag"]})


def test_what_is_written_has_a_checksum(service: Express, store: S3Store) -> None:
    store.put("x", b"1" * 100, use_multipart=False)
    (put,) = [asked for _, asked in service.calls if asked.method == "PUT"]
    assert "x-amz-checksum-crc32" in put.headers


def test_uploads_in_parts(service: Express, directory: Directory, store: S3Store) -> None:
    body = random.Random(1).randbytes(12 << 20)
    store.put("x", body, use_multipart=True, chunk_size=5 << 20)
    assert directory.objects["x"].body == body
    (begun,) = [asked for _, asked in service.calls if "uploads" in asked.target]
    assert begun.headers["x-amz-checksum-algorithm"] == "CRC32"


def test_parts_are_numbered_without_a_gap(service: Express, directory: Directory, store: S3Store) -> None:
    upload = store.begin_upload("x")
    parts = [upload.put_part(number, b"1" * (5 << 20)) for number in (1, 2, 4)]
    with pytest.raises(NotSupportedError, match="part 3 is missing"):
        upload.complete(parts)
    upload.complete(parts[:2])
    assert len(directory.objects["x"].body) == 10 << 20


def test_a_file_has_it_behind_its_bytes(service: Express, store: S3Store, tmp_path: Path) -> None:
    """Which the service takes off again, and compares."""
    body = random.randbytes(PART + SHORTEST_TRAILED)
    (tmp_path / "one").write_bytes(body[:SHORTEST_TRAILED])
    (tmp_path / "parts").write_bytes(body)
    service.calls.clear()
    store.put("one", tmp_path / "one")
    store.put("parts", tmp_path / "parts", chunk_size=PART)
    puts = [asked for _, asked in service.calls if asked.method == "PUT"]
    assert [asked.headers["x-amz-trailer"] for asked in puts] == ["x-amz-checksum-crc32"] * 3
    assert store.get_many(["one", "parts"]) == [body[:SHORTEST_TRAILED], body]


def test_many_are_deleted_by_one_request_with_a_checksum(service: Express, directory: Directory, full: S3Store) -> None:
    full.delete(KEYS[:50])
    assert sorted(directory.objects) == KEYS[50:]
    (asked,) = [asked for _, asked in service.calls if asked.method == "POST"]
    assert "content-md5" not in asked.headers
    full.delete(KEYS[50])
    assert full.delete_prefix("c d") == 24


# --- copies and renames


def test_a_copy_is_asked_for_by_the_key_itself(service: Express, directory: Directory, full: S3Store) -> None:
    full.copy("c d/é/k00", "copy")
    assert directory.objects["copy"].body == "c d/é/k00".encode()
    (copy,) = [asked for _, asked in service.calls if asked.method == "PUT"]
    assert f"Credential={KEY}/" in copy.headers["authorization"]
    with pytest.raises(AlreadyExistsError):
        full.copy("k00", "copy", overwrite=False)
    with pytest.raises(NotFoundError) as caught:
        full.copy("missing", "copy")
    assert caught.value.path == "missing"


@pytest.mark.parametrize(("bucket", "carried"), [(BESIDE, False), (FAR, True)])
def test_copies_between_buckets_of_a_zone(
    service: Express, proxy: Proxy, full: S3Store, bucket: str, carried: bool
) -> None:
    there = service.make(bucket)
    other = opened(proxy, bucket)
    full.copy("k00", "copy", to_store=other)
    assert there.objects["copy"].body == b"k00"
    asked = [asked for _, asked in service.calls if "x-amz-copy-source" in asked.headers]
    assert (not asked) is carried


@pytest.mark.parametrize("operation", ["copy", "rename"])
def test_one_version_is_replaced(service: Express, directory: Directory, full: S3Store, operation: str) -> None:
    act = getattr(full, operation)
    for target in ("k01", "missing"):
        with pytest.raises(PreconditionError) as caught:
            act("k00", target, overwrite={"e_tag": directory.objects["k02"].tag})
        assert caught.value.path == target
    with pytest.raises(NotFoundError) as missing:
        act("missing", "k01", overwrite={"e_tag": directory.objects["k01"].tag})
    assert missing.value.path == "missing"
    assert directory.objects["k01"].body == b"k01"
    act("k00", "k01", overwrite={"e_tag": (wanted := directory.objects["k01"].tag)})
    assert directory.objects["k01"].body == b"k00"
    assert [asked.headers["if-match"] for _, asked in service.calls if asked.method == "PUT"][-1] == wanted
    assert ("k00" in directory.objects) is (operation == "copy")


def test_an_object_is_renamed_in_one_step(service: Express, directory: Directory, full: S3Store) -> None:
    tag = directory.objects["c d/é/k00"].tag
    full.rename("c d/é/k00", "ü/new name")
    assert directory.objects["ü/new name"].tag == tag
    assert "c d/é/k00" not in directory.objects
    assert len(service.lines()) == 1
    with pytest.raises(AlreadyExistsError):
        full.rename("k00", "k01", overwrite=False)
    full.rename("k00", "k01")
    assert directory.objects["k01"].body == b"k00"
    with pytest.raises(NotFoundError) as caught:
        full.rename("missing", "k02")
    assert caught.value.path == "missing"


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_rename_whose_answer_is_lost_is_known_again(
    service: Express, directory: Directory, full: S3Store, overwrite: bool
) -> None:
    service.lost.append("?renameObject=")
    full.rename("k00", "new", overwrite=overwrite)
    assert directory.objects["new"].body == b"k00"
    tokens = [asked.headers["x-amz-client-token"] for _, asked in service.calls]
    assert len(tokens) == 2
    assert len({*tokens}) == 1


def test_what_ends_with_a_slash_is_not_renamed(service: Express, full: S3Store) -> None:
    with pytest.raises(InvalidPathError, match="ends with a slash"):
        full.with_raw_keys().rename("k00", "a/")
    assert not service.calls


# --- buckets


def test_buckets_are_made_listed_and_deleted(service: Express, proxy: Proxy) -> None:
    store = opened(proxy)
    store.create_bucket()
    with pytest.raises(AlreadyExistsError):
        store.create_bucket()
    store.create_bucket(exist_ok=True)
    for bucket in (BESIDE, FAR):
        opened(proxy, bucket).create_bucket()
    assert sorted(each["name"] for each in store.list_buckets()) == sorted([BUCKET, BESIDE, FAR])
    assert not service.lines("?session="), "buckets are for the key itself"
    store.put("a", b"1")
    with pytest.raises(GenericError, match="not empty"):
        store.delete_bucket()
    store.delete("a")
    store.delete_bucket()
    with pytest.raises(NotFoundError):
        store.delete_bucket()


def test_an_access_point_is_no_bucket_to_make(proxy: Proxy) -> None:
    with pytest.raises(NotSupportedError, match="cannot make"):
        opened(proxy, BUCKETS[-1]).create_bucket()


# --- the vendor's own client


def test_amazons_own_client_finds_the_same(service: Express, directory: Directory, proxy: Proxy, full: S3Store) -> None:
    """The fake is one to it, too."""
    client = boto3.client(
        "s3",
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        verify=str(proxy.certificates),
        config=Config(proxies={"https": proxy.url}, request_checksum_calculation="when_required"),
    )
    full.put("ours/a b", b"1", attributes={"colour": "red"})
    got = client.get_object(Bucket=BUCKET, Key="ours/a b")
    assert (got["Body"].read(), got["Metadata"]) == (b"1", {"colour": "red"})
    client.put_object(Bucket=BUCKET, Key="theirs/é", Body=b"2")
    assert bytes(full.get("theirs/é").bytes()) == b"2"
    client.rename_object(Bucket=BUCKET, Key="renamed", RenameSource="theirs/%C3%A9")
    client.copy_object(Bucket=BUCKET, Key="copied", CopySource={"Bucket": BUCKET, "Key": "renamed"})
    assert bytes(full.get("copied").bytes()) == b"2"
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    found = [row["Key"] for page in pages for row in page.get("Contents", [])]
    assert sorted(found) == sorted(paths(full.list().collect()))
    client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in ("renamed", "copied")]})
    with pytest.raises(BaseError):
        full.head("renamed")
    assert [each["Name"] for each in client.list_directory_buckets()["Buckets"]] == [BUCKET]
