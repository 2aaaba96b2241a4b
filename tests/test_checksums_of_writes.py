"""The setting checksum_algorithm: what is written goes with its checksum, and services that can compare it do."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any
from zlib import crc32

import boto3
import pytest
from botocore.config import Config

from objstore._core import checksum
from objstore.exceptions import BaseError
from objstore.interface.values import ANY
from objstore.plans.run import run
from objstore.providers.cloud.checksums import ALGORITHMS
from objstore.store import S3Store
from tests.conformance.conftest import Bucket
from tests.faults.client import FaultServer
from tests.servers import S3Server
from tests.test_faults import store_on

PART = 5 << 20
BODY = os.urandom(PART + 100_003)
SUMS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda body: crc32(body).to_bytes(4, "big"),
    "crc32c": lambda body: checksum("crc32c", body),  # compared with others by tests of its own
    "crc64nvme": lambda body: checksum("crc64nvme", body),
    "sha1": lambda body: sha1(body, usedforsecurity=False).digest(),
    "sha256": lambda body: sha256(body).digest(),
}
each_algorithm = pytest.mark.parametrize("algorithm", SUMS)


def told(algorithm: str, body: bytes) -> str:
    return b64encode(SUMS[algorithm](body)).decode()


def client_of(bucket: Bucket) -> Any:
    server = bucket.server
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name=server.region,
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
        config=Config(response_checksum_validation="when_supported", s3={"addressing_style": "path"}),
    )


@each_algorithm
@pytest.mark.parametrize("unsigned", [True, False])
def test_it_goes_with_every_body(fault_server: FaultServer, tmp_path: Path, algorithm: str, unsigned: bool) -> None:
    config = store_on(fault_server).config | {"checksum_algorithm": algorithm, "unsigned_payload": unsigned}
    store = S3Store(config=config, client_options={"allow_http": True})
    (tmp_path / "file").write_bytes(BODY)
    store.put("one", BODY, use_multipart=False)
    store.put_many({"many/a": b"1", "many/b": tmp_path / "file"})
    seen = {entry["target"]: entry["headers"] for entry in fault_server.requests()}
    header = f"x-amz-checksum-{algorithm}"
    assert seen["/bucket/one"][header] == told(algorithm, BODY)
    assert seen["/bucket/many/a"][header] == told(algorithm, b"1")
    assert seen["/bucket/many/b"][header] == told(algorithm, BODY)
    assert header in seen["/bucket/one"]["authorization"]


@each_algorithm
@pytest.mark.parametrize("form", ["memory", "file", "writer"])
def test_it_goes_with_every_part(fault_server: FaultServer, tmp_path: Path, algorithm: str, form: str) -> None:
    config = store_on(fault_server).config | {"checksum_algorithm": algorithm}
    store = S3Store(config=config, client_options={"allow_http": True})
    write_in_parts(store, tmp_path / "file", form)
    seen = {entry["operation"]: entry["headers"] for entry in fault_server.requests("parts")}
    parts = [entry["headers"] for entry in fault_server.requests("parts") if entry["operation"] == "part"]
    header = f"x-amz-checksum-{algorithm}"
    assert {each[header] for each in parts} == {told(algorithm, BODY[:PART]), told(algorithm, BODY[PART:])}
    assert seen["create"]["x-amz-checksum-algorithm"] == algorithm.upper()


@each_algorithm
@pytest.mark.parametrize("form", ["memory", "file", "writer"])
def test_a_checksum_of_the_whole_ends_an_upload(
    fault_server: FaultServer, tmp_path: Path, algorithm: str, form: str
) -> None:
    """Where there is one: none can be made of hashes of parts."""
    config = store_on(fault_server).config | {"checksum_algorithm": algorithm}
    write_in_parts(S3Store(config=config, client_options={"allow_http": True}), tmp_path / "file", form)
    seen = {entry["operation"]: entry["headers"] for entry in fault_server.requests("parts")}
    of_all = {name: value for name, value in seen["complete"].items() if name.startswith(("x-amz-ch", "x-amz-mp"))}
    if algorithm in ("sha1", "sha256"):
        assert of_all == {}
        assert "x-amz-checksum-type" not in seen["create"]
        return
    assert seen["create"]["x-amz-checksum-type"] == "FULL_OBJECT"
    assert of_all == {
        f"x-amz-checksum-{algorithm}": told(algorithm, BODY),
        "x-amz-checksum-type": "FULL_OBJECT",
        "x-amz-mp-object-size": str(len(BODY)),
    }


def test_by_default_an_upload_is_compared_as_a_whole(ministack: S3Server) -> None:
    """Where a service makes one of the checksums of parts all the same, as it says, it is told none of the whole."""
    store = Bucket(ministack).open(request_checksum_calculation="when_supported")
    store.put("parts", BODY, use_multipart=True, chunk_size=PART)
    assert store.get("parts").bytes() == BODY


# --- who is sent checksums

AMAZON = "https://s3.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("settings", "algorithm"),
    [
        ({}, "CRC64NVME"),
        ({"endpoint": AMAZON}, "CRC64NVME"),
        ({"endpoint": "https://account.r2.cloudflarestorage.com"}, None),
        ({"endpoint": "https://ceph.example"}, None),
        ({"request_checksum_calculation": "when_required"}, None),
        ({"request_checksum_calculation": "when_required", "checksum_algorithm": "crc32"}, "CRC32"),
        ({"checksum_algorithm": "sha256"}, "SHA256"),
        ({"endpoint": "https://ceph.example", "request_checksum_calculation": "when_supported"}, "CRC64NVME"),
        ({"endpoint": "https://ceph.example", "checksum_algorithm": "crc32c"}, "CRC32C"),
    ],
)
def test_who_is_sent_one(settings: dict[str, str], algorithm: str | None) -> None:
    assert sent_by(S3Store("b", region="eu-west-1", skip_signature=True, config=settings)) == algorithm


def sent_by(store: S3Store) -> str | None:
    provider: Any = store.provider
    return None if provider._checksum is None else provider._checksum.name


def test_the_environment_says_who_is_sent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "WHEN_REQUIRED")
    assert sent_by(S3Store("b", region="eu-west-1", skip_signature=True)) is None


def write_in_parts(store: S3Store, file: Path, form: str) -> None:
    if form == "writer":
        with store.open_writer("parts", buffer_size=PART) as writer:
            writer.write(BODY)
        return
    file.write_bytes(BODY)
    store.put("parts", file if form == "file" else BODY, use_multipart=True, chunk_size=PART)


@each_algorithm
def test_services_take_them(s3_server: S3Server, algorithm: str) -> None:
    store = Bucket(s3_server).open(checksum_algorithm=algorithm)
    store.put("one", BODY[:1000])
    store.put("parts", BODY, use_multipart=True, chunk_size=PART)
    assert store.get("one").bytes() == BODY[:1000]
    assert store.get_many(["parts"]) == [BODY]


@each_algorithm
def test_botocore_finds_them_right(ministack: S3Server, algorithm: str) -> None:
    """What it reads it compares with the checksum that the service has kept."""
    bucket = Bucket(ministack)
    bucket.open(checksum_algorithm=algorithm).put("one", BODY[:1000])
    found = client_of(bucket).get_object(Bucket=bucket.name, Key="one", ChecksumMode="ENABLED")
    assert found[f"Checksum{algorithm.upper()}"] == told(algorithm, BODY[:1000])
    assert found["Body"].read() == BODY[:1000]


@each_algorithm
def test_what_others_have_told_is_compared(ministack: S3Server, algorithm: str) -> None:
    """What boto3 has written with a checksum reads the same here, where the service is asked for it."""
    bucket = Bucket(ministack)
    client_of(bucket).put_object(
        Bucket=bucket.name, Key="a", Body=b"123", **{f"Checksum{algorithm.upper()}": told(algorithm, b"123")}
    )
    store = bucket.open(response_checksum_validation="when_supported")
    assert store.get_many(["a"]) == [b"123"]
    assert store.get("a").bytes() == b"123"


@each_algorithm
@pytest.mark.parametrize("in_parts", [False, True])
def test_a_service_refuses_a_wrong_one(
    ministack: S3Server, monkeypatch: pytest.MonkeyPatch, algorithm: str, in_parts: bool
) -> None:
    store = Bucket(ministack).open(checksum_algorithm=algorithm)
    lying = ALGORITHMS[algorithm]._replace(compute=lambda pieces: SUMS[algorithm](b"other"))
    monkeypatch.setattr(store.provider, "_checksum", lying)
    with pytest.raises(BaseError) as failure:
        store.put("a", BODY, use_multipart=in_parts, chunk_size=PART)
    assert failure.value.code == "BadDigest"


@pytest.mark.parametrize("in_parts", [False, True])
@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme"])
def test_what_was_written_is_compared_in_pieces(s3_server: S3Server, algorithm: str, in_parts: bool) -> None:
    """By the sum that a HEAD tells; some servers have one of those of parts, or none, and then nothing is compared."""
    if s3_server.name == "moto" and algorithm != "crc32":
        pytest.skip("moto has no CRC32C and CRC64NVME, and tells a CRC32 in their place")
    store = Bucket(s3_server).open(checksum_algorithm=algorithm, response_checksum_validation="when_supported")
    body = BODY * 2 + BODY[:1]
    store.put("a", body, use_multipart=in_parts, chunk_size=PART)
    found = run(store.provider.look("a", ANY)).sums
    if found is not None:
        assert (found.algorithm, found.whole) == (algorithm, SUMS[algorithm](body))
    else:
        assert in_parts or s3_server.name != "ministack", "it tells the checksum of an object that came at once"
    assert store.get("a").bytes() == body
    assert b"".join(store.get("a").stream()) == body
