"""Programs that see which memory is kept for reuse; what others have left would be in their way."""

from __future__ import annotations

from objstore._core import engine_info
from objstore.plans.run import run
from tests.engine.client import batch, settle, wait_until

MIB = 1 << 20


def idle() -> int:
    """Return how much memory is kept for reuse."""
    return int(engine_info()["idle_memory"])


def comes_back(origin: str) -> None:
    """End a batch in the foreground and one in the background, and wait for the memory of each."""
    targets = [*[f"/{4 * MIB}/{index}" for index in range(8)], "/5/a?status=404"]
    for background in (False, True):
        made = batch(origin, targets)
        assert list(run(settle(made, background=background))) == [8]
        before = idle()
        del made
        wait_until(lambda before=before: idle() >= before + 32 * MIB)  # type: ignore[misc]
