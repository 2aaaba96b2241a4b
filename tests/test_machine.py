"""Random operations on stores and on a dict, whose states must not come apart; before S3, with replies that are lost.

One broken reply is no excuse for what may safely be sent again: reads, and writes without a condition. All else may end
with an error; then the object is what it was, or what it was to be, and nothing else. An error that does not say that
the write may have been carried out (`.maybe_applied`) has changed nothing, and nothing was lost.

`OBJSTORE_MACHINE=500` tries 500 random runs for each store, in the place of a few that are always the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from objstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, NotSupportedError, PreconditionError
from objstore.store import LocalStore, MemoryStore, S3Store, Store
from tests.faulty_proxy import FAULTS, Plan, faulty_proxy
from tests.servers import S3Server

RUNS = int(os.environ.get("OBJSTORE_MACHINE", "0"))
PART = 5 << 20
WAIT = timedelta(milliseconds=2)
KEYS = st.sampled_from(["a", "b c", "d/x", "d/é", "d-", "e/f/g"])
BODIES = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda byte, size: bytes([byte]) * size, st.integers(0, 255), st.sampled_from([1000, 70_000])),
)
LARGE = st.builds(lambda byte, more: bytes([byte]) * PART + b"end" * more, st.integers(0, 255), st.integers(0, 3))
TROUBLE = st.none() | st.tuples(st.sampled_from(FAULTS), st.integers(0, 2), st.sampled_from([1, 1, 1, 99]))
"""Nothing, or what is broken: how, after how many requests, and how many times."""

State = dict[str, bytes]


class Machine(RuleBasedStateMachine):
    """Operations on a store, and what should come of them."""

    def __init__(self, store: Store, plan: Plan | None) -> None:
        super().__init__()
        self.store = store
        self.plan = plan
        self.model: State = {}
        self.missing_is_error = isinstance(store, LocalStore)

    # --- how a step goes

    def read(self, trouble: Any, call: Callable[[], Any], expected: Any) -> None:
        """Read: what comes is right, or nothing comes after more than one broken reply."""
        try:
            found = self.call(trouble, call)
        except BaseError as error:
            found = type(error)
            if found is not expected and self.is_hopeless(trouble):
                return
        assert found == expected

    def write(
        self, trouble: Any, call: Callable[[], Any], after: State, *, safe: bool = True, may_lack: bool = False
    ) -> None:
        """Write: it is done, or an error says that it may not be; or that the service cannot do it."""
        before = dict(self.model)
        try:
            self.call(trouble, call)
        except NotSupportedError:
            assert may_lack
            self.look(before, before)
        except BaseError as error:
            assert self.is_hopeless(trouble) or (self.is_troubled(trouble) and not safe)
            self.check_told(error)
            self.look(before, after if error.maybe_applied else before)
        else:
            self.model = after

    def refused(self, trouble: Any, call: Callable[[], Any], error: Any) -> None:
        """Try what must not be done: it is refused, as it should be unless there was trouble."""
        with pytest.raises(BaseError if self.is_troubled(trouble) else error) as caught:
            self.call(trouble, call)
        self.check_told(caught.value)
        self.look(self.model, self.model)

    def check_told(self, error: BaseError) -> None:
        """See that an error says so where the answer to a write was lost that the server has done."""
        assert error.maybe_applied or self.plan is None or not self.plan.lost

    def is_troubled(self, trouble: Any) -> bool:
        """Tell whether replies were broken: only a service has any."""
        return self.plan is not None and trouble is not None

    def is_hopeless(self, trouble: Any) -> bool:
        """Tell whether more was broken than is tried again."""
        return self.is_troubled(trouble) and trouble[2] > 1

    def call(self, trouble: Any, call: Callable[[], Any]) -> Any:
        if self.plan is None:
            return call()
        self.plan.lost = 0
        try:
            if trouble is not None:
                self.plan.arm(*trouble)
            return call()
        finally:
            self.plan.disarm()

    def look(self, before: State, after: State) -> None:
        """See what became of a write of which nobody knows."""
        found = self.everything()
        for key in before.keys() | after.keys() | found.keys():
            assert found.get(key) in (before.get(key), after.get(key))
        self.model = found

    def everything(self) -> State:
        paths = [meta["path"] for meta in self.store.list().collect()]
        return dict(zip(paths, map(bytes, self.store.get_many(paths)), strict=True))

    # --- writes

    @rule(key=KEYS, body=BODIES, trouble=TROUBLE)
    def put(self, key: str, body: bytes, trouble: Any) -> None:
        self.write(trouble, lambda: self.store.put(key, body), {**self.model, key: body})

    @rule(key=KEYS, body=BODIES, trouble=TROUBLE)
    def create(self, key: str, body: bytes, trouble: Any) -> None:
        def call() -> object:
            return self.store.put(key, body, mode="create")

        if key in self.model:
            self.refused(trouble, call, AlreadyExistsError)
        else:
            self.write(trouble, call, {**self.model, key: body}, safe=False)

    @rule(key=KEYS, body=BODIES, stale=st.booleans(), trouble=TROUBLE)
    def update(self, key: str, body: bytes, stale: bool, trouble: Any) -> None:
        known = self.store.head(key)["e_tag"] if key in self.model and not stale else '"0-0-0"'

        def call() -> object:
            return self.store.put(key, body, mode={"e_tag": known})

        if key in self.model and not stale:
            self.write(trouble, call, {**self.model, key: body}, safe=False)
        else:
            self.refused(trouble, call, PreconditionError)

    @rule(key=KEYS, body=st.one_of(BODIES, LARGE), trouble=TROUBLE)
    def put_in_parts(self, key: str, body: bytes, trouble: Any) -> None:
        def call() -> object:
            return self.store.put(key, body, use_multipart=True, chunk_size=PART)

        self.write(trouble, call, {**self.model, key: body}, safe=False)

    @rule(key=KEYS, bodies=st.lists(BODIES, max_size=3), trouble=TROUBLE)
    def write_file(self, key: str, bodies: list[bytes], trouble: Any) -> None:
        def call() -> None:
            with self.store.open(key, "wb") as file:
                file.writelines(bodies)

        self.write(trouble, call, {**self.model, key: b"".join(bodies)})

    @rule(items=st.dictionaries(KEYS, BODIES, max_size=4), trouble=TROUBLE)
    def put_many(self, items: State, trouble: Any) -> None:
        found = self.call(trouble, lambda: self.store.put_many(items, on_error="return"))
        failed = {key: each for key, each in zip(items, found, strict=True) if isinstance(each, BaseError)}
        assert not failed or self.is_hopeless(trouble)
        done = {**self.model, **{key: body for key, body in items.items() if key not in failed}}
        told = {key: items[key] for key, error in failed.items() if error.maybe_applied}
        self.look(done, {**done, **told})

    @rule(keys=st.lists(KEYS, max_size=3, unique=True), trouble=TROUBLE)
    def delete(self, keys: list[str], trouble: Any) -> None:
        if self.missing_is_error:
            keys = [key for key in keys if key in self.model]
        after = {key: body for key, body in self.model.items() if key not in keys}
        self.write(trouble, lambda: self.store.delete(keys), after)

    @rule(source=KEYS, to=KEYS, overwrite=st.booleans(), trouble=TROUBLE)
    def copy(self, source: str, to: str, overwrite: bool, trouble: Any) -> None:
        if source != to:  # S3 refuses it
            self.move(source, to, overwrite, trouble, self.store.copy, keep=True)

    @rule(source=KEYS, to=KEYS, overwrite=st.booleans(), trouble=TROUBLE)
    def rename(self, source: str, to: str, overwrite: bool, trouble: Any) -> None:
        if source != to:
            self.move(source, to, overwrite, trouble, self.store.rename, keep=False)

    def move(self, source: str, to: str, overwrite: bool, trouble: Any, how: Any, *, keep: bool) -> None:
        def call() -> object:
            return how(source, to, overwrite=overwrite)

        if source not in self.model or (to in self.model and not overwrite):
            self.refused(trouble, call, (NotFoundError, AlreadyExistsError, NotSupportedError))
            return
        body = self.model[source]
        after = {key: each for key, each in self.model.items() if keep or key != source} | {to: body}
        self.write(trouble, call, after, safe=keep and overwrite, may_lack=not overwrite)
        assert body in (self.model.get(source), self.model.get(to))

    # --- reads

    @rule(key=KEYS, trouble=TROUBLE)
    def get(self, key: str, trouble: Any) -> None:
        self.read(trouble, lambda: bytes(self.store.get(key).bytes()), self.model.get(key, NotFoundError))

    @rule(key=KEYS, trouble=TROUBLE)
    def head(self, key: str, trouble: Any) -> None:
        size = len(self.model[key]) if key in self.model else NotFoundError
        self.read(trouble, lambda: self.store.head(key)["size"], size)

    @rule(key=KEYS, data=st.data(), trouble=TROUBLE)
    def get_ranges(self, key: str, data: st.DataObject, trouble: Any) -> None:
        size = len(self.model.get(key, b"x"))
        if size == 0:
            return
        starts = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=4))
        ends = [start + data.draw(st.integers(1, 100_000)) for start in starts]
        body = self.model.get(key)
        expected: Any = NotFoundError
        if body is not None:
            expected = [body[start:end] for start, end in zip(starts, ends, strict=True)]
        self.read(trouble, lambda: [*map(bytes, self.store.get_ranges(key, starts=starts, ends=ends))], expected)
        requests = [(key, start, end) for start, end in zip(starts, ends, strict=True)]
        self.read(trouble, lambda: [*map(bytes, self.store.get_many(requests))], expected)

    @rule(keys=st.lists(KEYS, max_size=6), trouble=TROUBLE)
    def get_many(self, keys: list[str], trouble: Any) -> None:
        def call() -> list[Any]:
            found = self.store.get_many(keys, on_error="return")
            return [type(each) if isinstance(each, BaseError) else bytes(each) for each in found]

        found = self.call(trouble, call)
        for key, each in zip(keys, found, strict=True):
            right = self.model.get(key, NotFoundError)
            assert each == right or (self.is_hopeless(trouble) and isinstance(each, type))

    @rule(prefix=st.sampled_from([None, "d", "e", "e/f", "none"]), trouble=TROUBLE)
    def list(self, prefix: str | None, trouble: Any) -> None:
        below = "" if prefix is None else f"{prefix}/"
        keys = sorted((key for key in self.model if key.startswith(below)), key=str.encode)
        rows = [(key, len(self.model[key])) for key in keys]
        self.read(trouble, lambda: [(m["path"], m["size"]) for m in self.store.list(prefix).collect()], rows)
        here = [key for key in keys if "/" not in key[len(below) :]]
        folders = sorted({below + key[len(below) :].partition("/")[0] for key in keys if key not in here})

        def level() -> Any:
            found = self.store.list_with_delimiter(prefix)
            return sorted(found["common_prefixes"]), [meta["path"] for meta in found["objects"]]

        self.read(trouble, level, (folders, here))

    @invariant()
    def nothing_is_left(self) -> None:
        if self.plan is not None:
            assert self.plan.next() is None

    def teardown(self) -> None:
        assert self.everything() == self.model


def run(make: Callable[[], tuple[Store, Plan | None]], runs: int, steps: int = 25) -> None:
    chosen = settings(
        max_examples=RUNS or runs,
        stateful_step_count=steps,
        deadline=None,
        derandomize=not RUNS,
        database=None,
        print_blob=bool(RUNS),
        suppress_health_check=[*HealthCheck],
    )
    run_state_machine_as_test(lambda: Machine(*make()), settings=chosen)


def test_memory() -> None:
    run(lambda: (MemoryStore(), None), runs=60)


def test_local(tmp_path: Path) -> None:
    numbers = count()
    run(lambda: (LocalStore(tmp_path / str(next(numbers)), mkdir=True), None), runs=25)


@pytest.fixture
def before_ministack(ministack: S3Server) -> Iterator[Callable[[], tuple[S3Store, Plan]]]:
    """Return what makes a new store whose requests go through a proxy that loses replies."""
    bucket, numbers = ministack.make_bucket("machine"), count()
    with faulty_proxy(ministack.endpoint) as (endpoint, plan):

        def make() -> tuple[S3Store, Plan]:
            plan.disarm()
            store = S3Store(
                bucket,
                prefix=f"run-{os.getpid()}-{next(numbers)}",
                endpoint=endpoint,
                region=ministack.region,
                access_key_id=ministack.access_key_id,
                secret_access_key=ministack.secret_access_key,
                client_options={"allow_http": True},
                retry_config={"max_retries": 3, "backoff": {"init_backoff": WAIT, "max_backoff": WAIT}},
            )
            return store, plan

        yield make


def test_s3_with_lost_replies(before_ministack: Callable[[], tuple[S3Store, Plan]]) -> None:
    run(before_ministack, runs=10)
