"""The setting checksum_algorithm: what is written goes with its checksum, and services that can compare it do."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any
from zlib import crc32

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from objstore._core import checksum
from objstore.exceptions import BaseError, SourceChangedError
from objstore.interface.values import ANY, Source, Sums, WriteOptions, unchanging
from objstore.plans.effects import Plan
from objstore.plans.run import run
from objstore.providers.cloud.checksums import ALGORITHMS, Algorithm, told_sums
from objstore.store import S3Store
from tests.conformance.conftest import Bucket
from tests.faults.client import FaultServer
from tests.servers import S3Server
from tests.test_faults import store_on

pytestmark = pytest.mark.product("algorithm")

PART = 5 << 20
BODY = os.urandom(PART + 100_003)
SMALL = 100_003  # MiniStack sums up in Python: a second for each 2 MB
SUMS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda body: crc32(body).to_bytes(4, "big"),
    "crc32c": lambda body: checksum("crc32c", body),  # compared with others by tests of its own
    "crc64nvme": lambda body: checksum("crc64nvme", body),
    "sha1": lambda body: sha1(body, usedforsecurity=False).digest(),
    "sha256": lambda body: sha256(body).digest(),
}
CRCS = ("crc32", "crc32c", "crc64nvme")
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


def checking(server: FaultServer, algorithm: str, **settings: Any) -> S3Store:
    """Return a store whose writes go with a checksum."""
    config = {**store_on(server).config, "checksum_algorithm": algorithm, **settings}
    return S3Store(config=config, client_options={"allow_http": True})


@each_algorithm
@pytest.mark.parametrize("unsigned", [True, False])
@pytest.mark.usefixtures("carrier")
def test_it_goes_with_every_body(fault_server: FaultServer, tmp_path: Path, algorithm: str, unsigned: bool) -> None:
    store = checking(fault_server, algorithm, unsigned_payload=unsigned)
    (tmp_path / "file").write_bytes(BODY)
    store.put("one", BODY, use_multipart=False)
    store.put_many({"many/a": b"1", "many/b": tmp_path / "file", "many/c": b"", "many/d": BODY[:70_000]})
    bodies = {"one": BODY, "many/a": b"1", "many/b": BODY, "many/c": b"", "many/d": BODY[:70_000]}
    seen = {entry["target"].removeprefix("/bucket/"): entry for entry in fault_server.requests()}
    header = f"x-amz-checksum-{algorithm}"
    assert {key: entry["headers"][header] for key, entry in seen.items()} == {
        key: told(algorithm, body) for key, body in bodies.items()
    }
    for entry in seen.values():
        assert f";{header};" in entry["headers"]["authorization"]
        assert entry["headers"]["authorization"] == by_botocore(fault_server, entry)


def by_botocore(server: FaultServer, entry: dict[str, Any]) -> str:
    """Return what botocore would have signed a request with that a server has seen."""
    headers = entry["headers"]
    names = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    request = AWSRequest(entry["method"], server.endpoint + entry["target"], {name: headers[name] for name in names})
    request.context["timestamp"] = headers["x-amz-date"]
    auth = S3SigV4Auth(Credentials(server.access_key_id, server.secret_access_key), "s3", server.region)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    unsigned = headers["authorization"].partition("Signature=")[0]
    return f"{unsigned}Signature={auth.signature(text, request)}"


@pytest.mark.parametrize("algorithm", CRCS)
def test_a_large_body_is_summed_too(fault_server: FaultServer, algorithm: str) -> None:
    """By whoever adds it: a loop has others to serve meanwhile."""
    checking(fault_server, algorithm).put("large", BODY * 4, use_multipart=False)
    (seen,) = fault_server.requests("large")
    assert seen["headers"][f"x-amz-checksum-{algorithm}"] == told(algorithm, BODY * 4)


@each_algorithm
def test_it_goes_with_every_try(fault_server: FaultServer, algorithm: str) -> None:
    store = checking(fault_server, algorithm)
    store.put_many({"busy-twice/a": b"1", "lost-put/b": BODY[:70_000]})
    assert tries(fault_server, "busy-twice/a", algorithm) == [told(algorithm, b"1")] * 3
    assert tries(fault_server, "lost-put/b", algorithm) == [told(algorithm, BODY[:70_000])] * 2


@each_algorithm
def test_it_is_signed_in_a_try_with_another_signature(fault_server: FaultServer, algorithm: str) -> None:
    checking(fault_server, algorithm).put_many({"clock-skewed/a": b"1"})
    assert tries(fault_server, "clock-skewed/a", algorithm) == [told(algorithm, b"1")] * 2
    refused, taken = (entry["headers"] for entry in fault_server.requests("clock-skewed/a"))
    assert refused["x-amz-date"] != taken["x-amz-date"]
    assert taken["authorization"] == by_botocore(fault_server, fault_server.requests("clock-skewed/a")[1])


def tries(server: FaultServer, key: str, algorithm: str) -> list[str]:
    return [entry["headers"][f"x-amz-checksum-{algorithm}"] for entry in server.requests(key)]


@each_algorithm
def test_nobody_tells_one_too(fault_server: FaultServer, algorithm: str) -> None:
    store = S3Store(
        fault_server.bucket,
        endpoint=fault_server.endpoint,
        region=fault_server.region,
        skip_signature=True,
        checksum_algorithm=algorithm,
        client_options={"allow_http": True},
    )
    store.put_many({"a": b"1", "b": b""})
    assert tries(fault_server, "a", algorithm) == [told(algorithm, b"1")]
    assert tries(fault_server, "b", algorithm) == [told(algorithm, b"")]


@each_algorithm
def test_a_header_of_every_request_does_not_stand_in_its_place(fault_server: FaultServer, algorithm: str) -> None:
    headers = {f"x-amz-checksum-{algorithm}": "AAAA"}
    config = {**store_on(fault_server).config, "checksum_algorithm": algorithm}
    store = S3Store(config=config, client_options={"allow_http": True, "default_headers": headers})
    store.put("a", b"1")
    assert tries(fault_server, "a", algorithm) == [told(algorithm, b"1")]


# --- files that change between sum and send


def file_source(path: Path, check: Callable[[], None]) -> Source:
    return Source((os.open(path, os.O_RDONLY), 0, path.stat().st_size), path.stat().st_size, check)


def put_meanwhile(provider: Any, source: Source, change: Callable[[], None]) -> Plan[Any]:
    exchange = yield from provider.put_many([("a", source)], WriteOptions(), most_in_flight=1)
    change()
    yield from exchange.finish()
    return exchange.reply()


def put_part_meanwhile(provider: Any, source: Source, change: Callable[[], None]) -> Plan[Any]:
    upload = yield from provider.begin_upload("a", WriteOptions(), most_in_flight=1)
    upload.add_part(source)
    change()
    yield from upload.finish()
    return upload.reply()


def has_changed() -> None:
    raise SourceChangedError("the file was written to")


@each_algorithm
@pytest.mark.parametrize("way", [put_meanwhile, put_part_meanwhile])
def test_a_service_refuses_what_has_changed_since(
    ministack: S3Server, tmp_path: Path, algorithm: str, way: Callable[..., Plan[Any]]
) -> None:
    """Real bytes are judged by a real service: the sum is of those that were there before."""
    path, provider = tmp_path / "file", Bucket(ministack).open(checksum_algorithm=algorithm).provider
    for check in (unchanging, has_changed):
        path.write_bytes(BODY[:SMALL])
        source = file_source(path, check)
        with pytest.raises(BaseError) as failure:
            run(way(provider, source, partial(path.write_bytes, BODY[:SMALL][::-1])))
        os.close(source.data[0])
        assert (failure.value.code == "BadDigest") == (check is unchanging)
        assert isinstance(failure.value, SourceChangedError) == (check is has_changed)


@each_algorithm
def test_a_file_that_cannot_be_read_is_an_error(fault_server: FaultServer, tmp_path: Path, algorithm: str) -> None:
    descriptor = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    try:
        with pytest.raises(OSError, match="Bad file descriptor"):
            run(checking(fault_server, algorithm).provider.put("a", Source((descriptor, 0, 9), 9), WriteOptions()))
    finally:
        os.close(descriptor)
    assert fault_server.requests("a") == []


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
    assert sent_by(S3Store("bucket", region="eu-west-1", skip_signature=True, config=settings)) == algorithm


def sent_by(store: S3Store) -> str | None:
    provider: Any = store.provider
    return None if provider._checksum is None else provider._checksum.name


def test_the_environment_says_who_is_sent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "WHEN_REQUIRED")
    assert sent_by(S3Store("bucket", region="eu-west-1", skip_signature=True)) is None


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
    monkeypatch.setattr(Algorithm, "by_engine", None)
    monkeypatch.setattr(store.provider, "_checksum", lying)
    with pytest.raises(BaseError) as failure:
        store.put("a", BODY if in_parts else BODY[:SMALL], use_multipart=in_parts, chunk_size=PART)
    assert failure.value.code == "BadDigest"


@pytest.mark.parametrize("in_parts", [False, True])
@pytest.mark.parametrize("algorithm", CRCS)
def test_what_was_written_is_compared_in_pieces(s3_server: S3Server, algorithm: str, in_parts: bool) -> None:
    """By the sum that a HEAD tells; some servers have one of those of parts, or none."""
    if s3_server.name == "moto" and algorithm != "crc32":
        pytest.skip("moto has no CRC32C and CRC64NVME, and tells a CRC32 in their place")
    store = Bucket(s3_server).open(checksum_algorithm=algorithm, response_checksum_validation="when_supported")
    body = BODY * 2 + BODY[:1]
    store.put("a", body, use_multipart=in_parts, chunk_size=PART)
    found = run(store.provider.look("a", ANY)).sums
    if found is not None and not found.parts:
        assert (found.algorithm, found.whole) == (algorithm, SUMS[algorithm](body))
    else:
        assert in_parts or s3_server.name != "ministack", "it tells the checksum of an object that came at once"
    assert store.get("a").bytes() == body
    assert b"".join(store.get("a").stream()) == body


HASH = b64encode(sha256(b"body").digest()).decode()


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"x-amz-checksum-sha256": HASH, "etag": '"0123"'}, True),
        ({"x-amz-checksum-sha256": HASH, "x-amz-checksum-type": "FULL_OBJECT"}, True),
        ({"x-amz-checksum-sha256": HASH, "x-amz-checksum-type": "COMPOSITE"}, False),
        ({"x-amz-checksum-sha256": HASH, "etag": '"0123-3"'}, False),
        ({"x-amz-checksum-sha256": "AAAA"}, False),
        ({"x-amz-checksum-sha256": "no base64!"}, False),
        ({}, False),
    ],
)
def test_the_hash_that_a_head_tells_is_of_the_object_or_none(headers: dict[str, str], told: bool) -> None:
    assert told_sums(headers, 4) == (Sums("sha256", b"", sha256(b"body").digest(), 4) if told else None)


@pytest.mark.parametrize(
    ("headers", "parts"),
    [
        ({"x-amz-checksum-sha256": f"{HASH}-3", "x-amz-checksum-type": "COMPOSITE", "etag": '"0123-3"'}, 3),
        ({"x-amz-checksum-sha256": f"{HASH}-10000"}, 10_000),
        ({"x-amz-checksum-sha256": f"{HASH}-1"}, 1),
        ({"x-amz-checksum-sha256": f"{HASH}-0"}, 0),
        ({"x-amz-checksum-sha256": f"{HASH}-x"}, 0),
        ({"x-amz-checksum-sha256": f"{HASH}-3", "x-amz-checksum-type": "FULL_OBJECT"}, 0),
        ({"x-amz-checksum-sha256": "AAAA-3"}, 0),
        ({"x-amz-checksum-crc32c": f"{HASH}-3"}, 0),
    ],
)
def test_a_checksum_of_parts_says_of_how_many(headers: dict[str, str], parts: int) -> None:
    wanted = Sums("sha256", b"", sha256(b"body").digest(), 4, parts) if parts else None
    assert told_sums(headers, 4) == wanted
