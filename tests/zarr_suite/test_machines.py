"""zarr's state machines: random operations on a store and on a model, whose states must not come apart."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

pytest.importorskip("zarr", reason="zarr, which needs Python 3.12, is not installed")

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from zarr.testing.stateful import MAX_BINARY_SIZE, ZarrHierarchyStateMachine, ZarrStoreStateMachine
from zarr.testing.strategies import keys as zarr_keys

from objstore.store import LocalStore, MemoryStore
from objstore.store import Store as ObjectStore
from objstore.zarr import Store

BRIEFLY = settings(
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

EXAMPLES = {MemoryStore: 50, LocalStore: 25}
"""How often a machine runs on a store: once is up to a second of zarr's own work. OBJSTORE_MACHINE=1000 has more."""

SAMPLE = 3
"""By how much `--sample` divides that."""


class StoreMachine(ZarrStoreStateMachine):
    """zarr's machine, without keys below the key of another object: what is a file cannot be a folder too."""

    @rule(key=zarr_keys(), data=st.binary(max_size=MAX_BINARY_SIZE))
    def set(self, key: str, data: bytes) -> None:
        assume(not any(f"{one}/".startswith(f"{other}/") for each in self.model for one, other in pairs(key, each)))
        super().set(key, data)


def pairs(key: str, other: str) -> list[tuple[str, str]]:
    """Return two different keys in both orders."""
    return [(key, other), (other, key)] if key != other else []


@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning", "ignore::zarr.errors.ZarrUserWarning")
@pytest.mark.parametrize("machine", [ZarrStoreStateMachine, ZarrHierarchyStateMachine])
def test_machine(
    machine: Callable[[Store], RuleBasedStateMachine], place: ObjectStore, pytestconfig: pytest.Config
) -> None:
    usual = EXAMPLES.get(type(place), 5) // (SAMPLE if pytestconfig.getoption("--sample") else 1)
    examples = int(os.environ.get("OBJSTORE_MACHINE", usual))
    if isinstance(place, LocalStore):
        machine = StoreMachine if machine is ZarrStoreStateMachine else machine
    run_state_machine_as_test(lambda: machine(Store(place)), settings=settings(BRIEFLY, max_examples=examples))
