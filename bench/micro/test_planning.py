"""What it costs to decide what to ask for, before anything is sent."""

from __future__ import annotations

import random

from pytest_benchmark.fixture import BenchmarkFixture

from objstore.interface.values import Range
from objstore.operations.coalesce import Merged, coalesce
from objstore.operations.requested import read_requests
from objstore.plans.run import run
from objstore.store import S3Store

COUNT, RANGE_BYTES, OBJECT_BYTES = 20_000, 4096, 1 << 30


def test_coalesce_20_000_random_ranges(benchmark: BenchmarkFixture) -> None:
    rng = random.Random(1)
    starts = [rng.randrange(OBJECT_BYTES - RANGE_BYTES) for _ in range(COUNT)]
    wanted = [Range(start, start + RANGE_BYTES) for start in starts]
    merged: Merged = benchmark(coalesce, wanted, 1 << 20)
    assert len(merged.places) == COUNT
    assert len(merged.requests) < COUNT


def test_batch_of_20_000_gets(benchmark: BenchmarkFixture) -> None:
    store = S3Store("bucket", region="us-east-1", access_key_id="AKIDEXAMPLE", secret_access_key="not-a-secret")
    keys = [f"run-{index // 100:04d}/part-{index:08d}.parquet" for index in range(COUNT)]

    def plan() -> int:
        fetch = run(store.provider.fetch(read_requests(store, keys), most_in_flight=64))
        try:
            return fetch.total
        finally:
            fetch.close()

    assert benchmark(plan) == COUNT
