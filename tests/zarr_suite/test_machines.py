"""zarr's state machines: random operations on a store and on a model, whose states must not come apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("zarr", reason="zarr, which needs Python 3.12, is not installed")

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from zarr.testing.stateful import ZarrHierarchyStateMachine, ZarrStoreStateMachine

from objstore.store import MemoryStore
from objstore.store import Store as ObjectStore
from objstore.zarr import Store

BRIEFLY = settings(
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning", "ignore::zarr.errors.ZarrUserWarning")
@pytest.mark.parametrize("machine", [ZarrStoreStateMachine, ZarrHierarchyStateMachine])
def test_machine(machine: Callable[[Store], RuleBasedStateMachine], place: ObjectStore) -> None:
    examples = 15 if isinstance(place, MemoryStore) else 5
    run_state_machine_as_test(lambda: machine(Store(place)), settings=settings(BRIEFLY, max_examples=examples))
