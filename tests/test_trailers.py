"""The checksum of a file that comes behind its bytes: to Amazon's hosts alone, over TLS, so that it is read once.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from unittest import mock
from urllib.request import Request, urlopen

import pytest
from botocore import httpchecksum

from objstore.exceptions import BaseError, NotSupportedError, PermissionDeniedError, SourceChangedError
from objstore.interface.values import Source, WriteOptions, unchanging
from objstore.plans.effects import Plan
from objstore.plans.run import run
from objstore.providers.cloud import checksums, s3
from objstore.providers.cloud.checksums import SHORTEST_TRAILED
from objstore.store import S3Store
from tests.aws_chunked import WITH_TRAILER, unframed
from tests.engine.client import SOON
from tests.engine.raw import Raw, answering
from tests.faults.client import FaultServer
from tests.servers import S3Server
from tests.test_checksums_of_writes import CRCS, by_botocore, file_source, has_changed, told
from tests.tls_proxy import Change, fronting, standing_in, write_certificate

pytestmark = pytest.mark.product("algorithm")

PART = 5 << 20
PARTS = os.urandom(2 * PART + 100_003)
BODY = PARTS[: SHORTEST_TRAILED + 7]
SERVERS = ("ministack", "moto", "versitygw", "minio")
COMPARE = ("ministack", "versitygw", "minio")


@contextmanager
def posing(
    server: S3Server | FaultServer, folder: Path, change: Change = bytes, room: int | None = None, **settings: Any
) -> Iterator[S3Store]:
    """Have a server pose as one of Amazon's hosts: that is all that tells who is known to take trailers."""
    with (
        fronting(server.endpoint, folder, change, room) as front,
        mock.patch.object(s3, "is_amazon", return_value=True),
    ):
        yield S3Store(
            server.make_bucket("trailers") if isinstance(server, S3Server) else server.bucket,
            endpoint=front.url,
            region=server.region,
            access_key_id=server.access_key_id,
            secret_access_key=server.secret_access_key,
            client_options={"root_certificate": front.certificates.read_bytes()},
            **{"checksum_algorithm": "crc32", **settings},
        )


def file_of(folder: Path, body: bytes) -> Path:
    (folder / "file").write_bytes(body)
    return folder / "file"


def stored(server: FaultServer, key: str) -> bytes:
    """Return the last body that came for a key, as it came."""
    asked = Request(f"{server.endpoint}/{server.bucket}/{key}", headers={"x-amz-date": "2040"})  # by the clock of one
    with urlopen(asked, timeout=10) as reply:
        body: bytes = reply.read()
    return body


def seen(server: FaultServer, key: str) -> dict[str, str]:
    """Return the headers that the last PUT of a key came with."""
    headers: dict[str, str] = [each["headers"] for each in server.requests(key) if each["method"] == "PUT"][-1]
    return headers


def kept(server: FaultServer, key: str) -> bytes:
    """Return what S3 would have kept of a body, and refuse it where its checksum is another."""
    headers, body = unframed(seen(server, key), stored(server, key))
    assert headers["x-amz-checksum-crc32"] == told("crc32", body)
    assert seen(server, key)["x-amz-content-sha256"] == WITH_TRAILER
    return body


class Heads:
    """The bytes that pass, and how many of the requests in them have a trailer."""

    def __init__(self) -> None:
        self._passed: list[bytes] = []

    def __call__(self, data: bytes) -> bytes:
        self._passed.append(data)
        return data

    @property
    def trailed(self) -> int:
        return b"".join(self._passed).count(WITH_TRAILER.encode())


# --- botocore is the judge


def by_botocores_rules(algorithm: str, body: bytes) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body that botocore makes of these, in one chunk."""

    class Summed(httpchecksum.BaseChecksum):  # type: ignore[misc]
        passed = b""

        def update(self, chunk: bytes) -> None:
            self.passed += chunk

        def b64digest(self) -> str:
            return told(algorithm, self.passed)

    asked = {"algorithm": algorithm, "in": "trailer", "name": f"x-amz-checksum-{algorithm}"}
    request: dict[str, Any] = {
        "headers": {"Content-Encoding": "gzip"},
        "body": body,
        "context": {"checksum": {"request_algorithm": asked}},
    }
    with mock.patch.dict(httpchecksum._CHECKSUM_CLS, {algorithm: Summed}):
        httpchecksum.apply_request_checksum(request)
    request["body"]._chunk_size = max(len(body), 1)
    return {name.lower(): value for name, value in request["headers"].items()}, request["body"].read()


@pytest.mark.parametrize("algorithm", CRCS)
@pytest.mark.parametrize("size", [0, 1, 64 << 10, (64 << 10) + 1, len(BODY)])
@pytest.mark.usefixtures("carrier")
def test_it_is_sent_as_botocore_sends_it(
    fault_server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str, size: int
) -> None:
    """But that the length is told ahead, as S3 takes it too, and that all is one chunk."""
    monkeypatch.setattr(checksums, "SHORTEST_TRAILED", 0)
    source = file_source(file_of(tmp_path, BODY[:size]), unchanging)
    with posing(fault_server, tmp_path, checksum_algorithm=algorithm) as store:
        run(store.provider.put("a", source, WriteOptions({"Content-Encoding": "gzip", "x": "y"})))
    os.close(source.data[0])
    headers, body = by_botocores_rules(algorithm, BODY[:size])
    assert stored(fault_server, "a") == body
    del headers["transfer-encoding"]
    (entry,) = [each for each in fault_server.requests("a") if each["method"] == "PUT"]
    assert headers.items() <= entry["headers"].items()
    assert entry["headers"]["authorization"] == by_botocore(fault_server, entry)
    assert ";x-amz-decoded-content-length;" in entry["headers"]["authorization"]
    assert entry["headers"]["x-amz-meta-x"] == "y"
    assert f"x-amz-checksum-{algorithm}" not in entry["headers"]


# --- who is sent one


def test_amazons_hosts_are_sent_one(fault_server: FaultServer, tmp_path: Path) -> None:
    host = "s3.eu-west-1.amazonaws.com"
    with standing_in({host: fault_server.endpoint}, tmp_path) as proxy:
        store = S3Store(
            "bucket",
            endpoint=f"https://{host}",
            access_key_id="key",
            secret_access_key="secret",
            session_token="token",
            client_options={"proxy_url": proxy.url, "root_certificate": proxy.certificates.read_bytes()},
        )
        store.put("a", file_of(tmp_path, BODY))
    headers, body = unframed(seen(fault_server, "a"), stored(fault_server, "a"))
    assert body == BODY
    assert headers["x-amz-checksum-crc64nvme"] == told("crc64nvme", BODY)


AMAZON = "https://s3.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("settings", "takes"),
    [
        ({}, True),
        ({"endpoint": AMAZON}, True),
        ({"endpoint": AMAZON.replace("https", "http"), "client_options": {"allow_http": True}}, False),
        ({"endpoint": "https://account.r2.cloudflarestorage.com", "checksum_algorithm": "crc32"}, False),
        ({"unsigned_payload": False}, False),
        ({"unsigned_payload": True}, True),
        ({"skip_signature": True}, False),
        ({"client_options": {"default_headers": {"CONTENT-encoding": "br"}}}, False),
        ({"client_options": {"default_headers": {"x-amz-checksum-crc32": "AAAA"}}}, False),
        ({"client_options": {"default_headers": {"x-else": "1"}}}, True),
        ({"checksum_algorithm": "sha256"}, False),
        ({"request_checksum_calculation": "when_required"}, False),
    ],
)
@pytest.mark.parametrize("in_file", [True, False])
def test_who_is_sent_one(tmp_path: Path, settings: dict[str, Any], takes: bool, in_file: bool) -> None:
    """What lies in memory is summed there in no time."""
    provider: Any = S3Store("bucket", region="eu-west-1", **settings).provider
    for size in (SHORTEST_TRAILED - 1, SHORTEST_TRAILED):
        file = file_source(file_of(tmp_path, BODY[:size]), unchanging)
        shape = provider.own_shape(provider.put_shape({}), file if in_file else Source(BODY[:size], size))
        os.close(file.data[0])
        trailed = shape is not None and shape.payload_hash == WITH_TRAILER
        assert trailed == (takes and in_file and size == SHORTEST_TRAILED)


# --- real services


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("size", [SHORTEST_TRAILED, len(BODY)])
@pytest.mark.usefixtures("carrier")
def test_services_take_it(request: pytest.FixtureRequest, tmp_path: Path, name: str, size: int) -> None:
    server: S3Server = request.getfixturevalue(name)
    with posing(server, tmp_path, heads := Heads()) as store:
        written = {"Content-Encoding": "gzip", "Content-Type": "text/x", "own": "1"}
        store.put("a", file_of(tmp_path, BODY[:size]), attributes=written, use_multipart=False)
        read = server.client().get_object(Bucket=store.provider.service.bucket, Key="a", ChecksumMode="ENABLED")
    assert heads.trailed == 1
    assert read["Body"].read() == BODY[:size]
    assert read.get("ChecksumCRC32", told("crc32", BODY[:size])) == told("crc32", BODY[:size])
    assert (read["ContentType"], read["Metadata"]) == ("text/x", {"own": "1"})
    if name != "versitygw":  # https://github.com/versity/versitygw/issues/2398
        assert read["ContentEncoding"] == "gzip"


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.usefixtures("carrier")
def test_services_take_it_with_every_part(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    server: S3Server = request.getfixturevalue(name)
    with posing(server, tmp_path, heads := Heads()) as store:
        store.put("parts", file_of(tmp_path, PARTS), chunk_size=PART, attributes={"Content-Encoding": "gzip"})
        read = server.client().get_object(Bucket=store.provider.service.bucket, Key="parts", ChecksumMode="ENABLED")
    assert heads.trailed == 2, "the last part is too small"
    assert read["Body"].read() == PARTS
    assert read["ContentEncoding"] == "gzip"
    if read.get("ChecksumType") == "FULL_OBJECT":
        assert read["ChecksumCRC32"] == told("crc32", PARTS)


@pytest.mark.parametrize("algorithm", CRCS)
@pytest.mark.usefixtures("carrier")
def test_the_checksum_of_the_whole_is_made_of_those_behind_parts(
    fault_server: FaultServer, tmp_path: Path, algorithm: str
) -> None:
    with posing(fault_server, tmp_path, checksum_algorithm=algorithm) as store:
        store.put("parts", file_of(tmp_path, PARTS), chunk_size=PART)
    (complete,) = [each["headers"] for each in fault_server.requests("parts") if each["operation"] == "complete"]
    assert complete[f"x-amz-checksum-{algorithm}"] == told(algorithm, PARTS)


# --- what goes wrong


class Flips:
    """Turn a bit of the bodies of some requests."""

    def __init__(self, times: int) -> None:
        self._times = times
        self.requests = 0
        self._due = False

    def __call__(self, data: bytes) -> bytes:
        if data.startswith(b"PUT "):
            self.requests += 1
            self._due = self.requests <= self._times
        elif self._due and len(data) > 1000:
            self._due = False
            return data[:500] + bytes([data[500] ^ 1]) + data[501:]
        return data


@pytest.mark.parametrize("name", COMPARE)
@pytest.mark.usefixtures("carrier")
def test_what_is_damaged_on_the_way_is_sent_again(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    server: S3Server = request.getfixturevalue(name)
    with posing(server, tmp_path, flips := Flips(1)) as store:
        store.put("damaged", file_of(tmp_path, BODY), use_multipart=False)
        assert flips.requests == 2
        assert store.get("damaged").bytes() == BODY


@pytest.mark.parametrize("name", COMPARE)
@pytest.mark.usefixtures("carrier")
def test_what_is_always_damaged_is_an_error(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    server: S3Server = request.getfixturevalue(name)
    with posing(server, tmp_path, flips := Flips(9)) as store:
        with pytest.raises(BaseError, match="what arrived has another checksum") as failed:
            store.put("always-damaged", file_of(tmp_path, BODY), use_multipart=False)
        assert (flips.requests, failed.value.attempts, failed.value.maybe_applied) == (3, 3, False)
        assert not list(store.list("always-damaged").collect())


TAKEN = b'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: 0\r\n\r\n'


def around(body: bytes) -> bytes:
    """Return a body with what it is to be framed by."""
    return b"%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % (len(body), body, told("crc32", body).encode())


def body_of(raw: Raw, connection: socket.socket) -> bytes:
    """Read the body of the request whose head came last."""
    left = int(raw.heads[-1].lower().partition(b"\r\ncontent-length: ")[2].split(b"\r")[0])
    pieces: list[bytes] = []
    while left > 0:
        pieces.append(connection.recv(min(left, 1 << 16)))
        assert pieces[-1], "it has no end"
        left -= len(pieces[-1])
    return b"".join(pieces)


def tls(folder: Path) -> tuple[ssl.SSLContext, bytes]:
    """Return what a server speaks TLS as localhost with, and by what it is trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = write_certificate(["localhost"], folder)
    context.load_cert_chain(certificate)
    return context, certificate.read_bytes()


def amazon_at(raw: Raw, **client: Any) -> S3Store:
    with mock.patch.object(s3, "_takes_trailers", return_value=True):
        return S3Store(
            "bucket",
            endpoint=raw.origin.replace("127.0.0.1", "localhost"),
            region="here",
            access_key_id="a",
            secret_access_key="b",
            checksum_algorithm="crc32",
            client_options=client,
        )


@pytest.mark.parametrize("broken", [1, 2])
@pytest.mark.usefixtures("carrier")
def test_a_try_that_broke_off_is_begun_anew(tmp_path: Path, broken: int) -> None:
    """On a new connection, and on one that has served before."""

    def answer(connection: socket.socket) -> None:
        if len(raw.heads) == broken:
            connection.recv(1 << 16)
            connection.close()
        else:
            bodies.append(body_of(raw, connection))
            connection.sendall(TAKEN)

    bodies: list[bytes] = []
    context, certificate = tls(tmp_path)
    with answering(answer, tls=context) as raw:
        store = amazon_at(raw, root_certificate=certificate)
        for name in "ab":
            store.put(name, file_of(tmp_path, BODY), use_multipart=False)
    assert len(raw.heads) == 3
    assert bodies == [around(BODY)] * 2


@pytest.mark.parametrize("scenario", ["busy-twice", "lost-put", "clock-skewed"])
@pytest.mark.usefixtures("carrier")
def test_it_goes_with_every_try(fault_server: FaultServer, tmp_path: Path, scenario: str) -> None:
    with posing(fault_server, tmp_path) as store:
        store.put_many({f"{scenario}/a": file_of(tmp_path, BODY)})
    assert kept(fault_server, f"{scenario}/a") == BODY
    sizes = [each["size"] for each in fault_server.requests(f"{scenario}/a") if each["method"] == "PUT"]
    assert sizes == [len(stored(fault_server, f"{scenario}/a"))] * (3 if scenario == "busy-twice" else 2)


@pytest.mark.usefixtures("carrier")
def test_what_a_connection_takes_in_small_pieces_is_summed_once(fault_server: FaultServer, tmp_path: Path) -> None:
    with posing(fault_server, tmp_path, room=4 << 10) as store:
        store.put("slow", file_of(tmp_path, PARTS), use_multipart=False)  # more than the kernel holds of what is sent
    assert kept(fault_server, "slow") == PARTS


def put_meanwhile(store: S3Store, source: Source, change: Callable[[], object]) -> Plan[BaseError | None]:
    exchange = yield from store.provider.put_many([("changed", source)], WriteOptions(), most_in_flight=1)
    change()
    while not exchange.over:
        yield from exchange.news()
    exchange.close()
    exchange.results()
    return exchange.errors.get(0)


@pytest.mark.usefixtures("carrier")
def test_a_file_that_becomes_shorter_is_an_error(fault_server: FaultServer, tmp_path: Path) -> None:
    source = file_source(path := file_of(tmp_path, BODY), unchanging)
    with posing(fault_server, tmp_path) as store:
        failed = run(put_meanwhile(store, source, lambda: os.truncate(path, len(BODY) - 1)))
    os.close(source.data[0])
    assert isinstance(failed, SourceChangedError)
    for request in fault_server.requests("changed"):
        assert request["size"] < int(request["headers"]["content-length"]), "what was sent is no whole body"


@pytest.mark.usefixtures("carrier")
def test_the_checksum_is_of_what_was_sent_and_a_changed_file_an_error(
    fault_server: FaultServer, tmp_path: Path
) -> None:
    source = file_source(path := file_of(tmp_path, BODY), has_changed)
    with posing(fault_server, tmp_path) as store:
        failed = run(put_meanwhile(store, source, lambda: path.write_bytes(BODY[::-1])))
    os.close(source.data[0])
    assert isinstance(failed, SourceChangedError)
    assert kept(fault_server, "changed") == BODY[::-1]


@pytest.mark.usefixtures("carrier")
def test_a_refusal_that_comes_early_is_told(tmp_path: Path) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        while connection.recv(1 << 16):
            pass

    context, certificate = tls(tmp_path)
    with answering(answer, tls=context) as raw, pytest.raises(PermissionDeniedError):
        amazon_at(raw, root_certificate=certificate).put("a", file_of(tmp_path, PARTS), use_multipart=False)
    assert WITH_TRAILER.encode() in raw.heads[0]


@pytest.mark.usefixtures("carrier")
def test_a_success_that_comes_early_is_one_when_all_is_sent(tmp_path: Path) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(TAKEN)
        bodies.put(body_of(raw, connection))

    bodies: SimpleQueue[bytes] = SimpleQueue()
    context, certificate = tls(tmp_path)
    with answering(answer, tls=context) as raw:
        amazon_at(raw, root_certificate=certificate).put("a", file_of(tmp_path, PARTS), use_multipart=False)
        assert bodies.get(timeout=SOON) == around(PARTS)


def test_who_takes_none_is_told_which_setting_to_leave_out(tmp_path: Path) -> None:
    def answer(connection: socket.socket) -> None:
        body_of(raw, connection)
        connection.sendall(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n")

    with answering(answer) as raw, pytest.raises(NotSupportedError, match="leave out checksum_algorithm"):
        amazon_at(raw, allow_http=True).put("a", file_of(tmp_path, BODY), use_multipart=False)
    assert WITH_TRAILER.encode() in raw.heads[0]


@pytest.mark.usefixtures("carrier")
def test_the_bytes_that_are_counted_are_those_of_the_file(fault_server: FaultServer, tmp_path: Path) -> None:
    counted: list[int] = []
    with posing(fault_server, tmp_path) as store:
        store.put("counted", file_of(tmp_path, PARTS), chunk_size=PART, progress=lambda *told: counted.append(told[-1]))
    assert counted[-1] == max(counted) == len(PARTS)
