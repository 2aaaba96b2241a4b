"""Jobs that outlast their credentials, by a shorter clock than `long_jobs` has as a program."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from objstore.credentials.cache import JITTER, SHORT
from objstore.store import S3Store
from tests.aws.long_jobs import JOBS, bucket

LIFE = 2.0
SECONDS = 3.0
EARLIEST = LIFE * (1 - SHORT * (1 + JITTER))


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.__name__)
def test_a_job_outlasts_its_credentials(
    job: Callable[[S3Store, float], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing fails, no more is asked for than needed, and what waits is signed anew before it is sent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with bucket(LIFE) as (counts, store):
        began = time.monotonic()
        job(store, SECONDS)
        took = time.monotonic() - began
    assert len(counts.fetches) > 1
    assert len(counts.fetches) <= 1 + took / EARLIEST
    assert counts.refused < counts.served / 2
