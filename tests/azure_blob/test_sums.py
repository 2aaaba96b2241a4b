"""Checksums: sent with what is written, and compared with what is read."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from objstore._core import checksum
from objstore.exceptions import ConfigurationError, CorruptResponseError
from objstore.operations import results
from objstore.store import AzureStore
from tests.azure_blob.objects import Container, crc64
from tests.azure_blob.opened import failure, opened
from tests.azure_blob.server import Answer, Fault, StrictServer
from tests.conformance.conftest import open_container
from tests.servers import AzureServer

BODY = bytes(range(256)) * (9 << 12)


@pytest.fixture
def container(strict: StrictServer) -> Container:
    strict.calls.clear()
    return strict.make("c")


def summing(strict: StrictServer, algorithm: str = "crc64nvme") -> AzureStore:
    return opened(endpoint=strict.endpoint, checksum_algorithm=algorithm, client_options={"allow_http": True})


def test_the_polynomial_is_that_of_the_vendors_client() -> None:
    """The check value of CRC-64/NVME; the vendor's table of its client has the same polynomial, lowest byte first."""
    assert checksum("crc64nvme", b"123456789").hex() == "ae8b14860a799888"
    assert base64.b64decode(crc64(b"123456789")).hex() == "8898790a86148bae"


@pytest.mark.parametrize(("algorithm", "header"), [("crc64nvme", "x-ms-content-crc64"), ("md5", "content-md5")])
def test_every_write_tells_its_checksum(
    strict: StrictServer, container: Container, tmp_path: Path, algorithm: str, header: str
) -> None:
    store = summing(strict, algorithm)
    (tmp_path / "file").write_bytes(BODY)
    store.put("a", b"1")
    store.put_many([("b", b""), ("c", b"22")])
    store.put("d", BODY, chunk_size=4 << 20)
    store.put("e", tmp_path / "file", chunk_size=4 << 20)
    upload = store.begin_upload("f")
    upload.complete([upload.put_part(1, BODY)])
    bodies = [call for call in strict.calls if call.method == "PUT" and "comp=blocklist" not in call.line]
    assert len(bodies) == 3 + 3 + 3 + 1
    assert all(header in call.headers for call in bodies)
    assert [store.get(key).bytes() for key in "def"] == [BODY] * 3


def test_what_arrives_damaged_is_sent_again(strict: StrictServer, container: Container) -> None:
    strict.faults.append(Fault("PUT /c/a", Answer(400, b"", {"x-ms-error-code": "Crc64Mismatch"})))
    summing(strict).put("a", BODY)
    assert container.blobs["a"].data == BODY
    assert len(strict.lines("PUT")) >= 2


def test_ranges_are_compared_as_they_are_read(strict: StrictServer, container: Container) -> None:
    store = summing(strict)
    store.put("a", BODY, use_multipart=False)
    strict.calls.clear()
    assert store.get_range("a", start=10, length=1000) == BODY[10:1010]
    both = store.get_ranges("a", starts=[0, 5 << 20], lengths=[4 << 20, 99], coalesce=0)
    assert both == [BODY[: 4 << 20], BODY[5 << 20 :][:99]]
    asked = [call.headers.get("x-ms-range-get-content-crc64") for call in strict.calls]
    assert asked == ["true"] * 3
    strict.calls.clear()
    assert store.get("a").bytes() == BODY
    assert {call.headers.get("x-ms-range-get-content-crc64") for call in strict.calls} == {"true"}
    strict.calls.clear()
    assert store.get_range("a", start=0, end=5 << 20) == BODY[: 5 << 20]
    assert {call.headers.get("x-ms-range-get-content-crc64") for call in strict.calls} == {None}


def test_what_is_read_in_pieces_is_compared_piece_by_piece(
    strict: StrictServer, container: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service sums up 4 MiB at the most: the pieces of what is large are usually larger."""
    monkeypatch.setattr(results, "MOST_PIECES", 1)
    store = summing(strict)
    store.put("a", BODY, use_multipart=False)
    for read in (
        lambda: store.get("a").bytes(),
        lambda: store.get("a", options={"range": (5, len(BODY))}).bytes(),
        lambda: store.download("a", tmp_path / "file"),
        lambda: store.open("a").read(),
    ):
        strict.calls.clear()
        read()
        asked = [call.headers.get("x-ms-range-get-content-crc64") for call in strict.calls if call.method == "GET"]
        assert len(asked) >= 3
        assert {*asked} == {"true"}
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_damaged_range_is_fetched_again(strict: StrictServer, container: Container) -> None:
    store = summing(strict)
    store.put("a", BODY, use_multipart=False)
    tag = container.blobs["a"].e_tag
    told = {"Content-Range": f"bytes 0-3/{len(BODY)}", "x-ms-content-crc64": crc64(BODY[:4]), "ETag": tag}
    damaged = Fault("GET /c/a", Answer(206, b"\0\1\2\4", told))
    strict.faults.append(damaged)
    assert store.get_range("a", start=0, length=4) == BODY[:4]
    strict.faults += [damaged] * 2
    refused = failure(store.get_range, "a", start=0, length=4)
    assert isinstance(refused, CorruptResponseError)
    assert "crc64nvme" in str(refused)


def test_azurite_compares_too(azurite: AzureServer) -> None:
    store = open_container(azurite, checksum_algorithm="md5")
    store.put("a", BODY, chunk_size=4 << 20)
    store.put("b", b"1")
    assert store.get("a").bytes() == BODY


def test_no_other_checksum() -> None:
    with pytest.raises(ConfigurationError, match="checksum_algorithm"):
        AzureStore("c", account_name="a", checksum_algorithm="crc32c")
