"""What a signature costs, and the path that is signed."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_benchmark.fixture import BenchmarkFixture

from objstore._core import Signer, encode_path
from objstore.credentials.aws import Credential
from objstore.signing.sigv4 import EMPTY_PAYLOAD, signer

KEYS = [f"run-{index // 100:04d}/part {index:08d}.parquet" for index in range(10_000)]


def signer_of_gets() -> Signer:
    return signer(
        "GET",
        "bucket.s3.us-east-1.amazonaws.com",
        headers={},
        payload_hash=EMPTY_PAYLOAD,
        credential=Credential("AKIDEXAMPLE", "not-a-secret"),
        region="us-east-1",
        now=datetime(2026, 11, 1, tzinfo=UTC),
    )


def test_one_signer(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(signer_of_gets).signature(b"/bucket/key")) == 64


def test_10_000_signatures(benchmark: BenchmarkFixture) -> None:
    gets, targets = signer_of_gets(), [b"/bucket/" + encode_path(key) for key in KEYS]
    lines = benchmark(lambda: [gets.authorization_line(target) for target in targets])
    assert len(set(lines)) == len(targets)


def test_10_000_paths(benchmark: BenchmarkFixture) -> None:
    paths = benchmark(lambda: [encode_path(key) for key in KEYS])
    assert paths[-1] == b"run-0099/part%2000009999.parquet"
