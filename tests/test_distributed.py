"""Jobs on real pools of processes: everything once, whatever is lost on the way, and on from where they stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from objstore.distributed import JobError, Manifest, run
from objstore.results import Piece
from objstore.store import LocalStore, S3Store
from tests.faults.client import FaultServer

BODIES = {f"{number:03}": b"%03d" % number * 5 for number in range(40)}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path / "objects", mkdir=True)
    store.put_many(BODIES)
    return store


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest(LocalStore(tmp_path / "job", mkdir=True), "manifest")


def plan(store: LocalStore) -> list[Piece]:
    return [*store.plan(bytes=45)]


def read(piece: Piece) -> list[bytes]:
    """Run in another process: read a piece."""
    return [bytes(body) for body in piece.get_many()]


def read_or_die(marks: str, piece: Piece) -> list[bytes]:
    """Run in another process: read a piece, after a first try that kills the process."""
    try:
        os.close(os.open(f"{marks}/{piece.number}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return read(piece)
    if piece.number in (3, 9):
        os.kill(os.getpid(), signal.SIGKILL)
    return read(piece)


def die(piece: Piece) -> None:
    """Run in another process: kill it."""
    os.kill(os.getpid(), signal.SIGKILL)


def fail_once(mark: Path, piece: Piece) -> None:
    if piece.number == 5 and not mark.exists():
        mark.touch()
        raise ValueError("piece 5 is bad")


def pool(method: str) -> Executor:
    return ProcessPoolExecutor(2, mp_context=get_context(method))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_all_is_done_once(store: LocalStore, method: str) -> None:
    told: list[tuple[int, int, int]] = []
    with pool(method) as executor:
        done = [*run(read, plan(store), executor=executor, progress=lambda *each: told.append(each))]
    bodies = [body for each in sorted(done, key=lambda each: each.piece.number) for body in each.value]
    assert bodies == [*BODIES.values()]
    assert told[-1] == (14, 14, 600)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_lost_work_is_given_out_again(store: LocalStore, manifest: Manifest, tmp_path: Path, method: str) -> None:
    (tmp_path / "marks").mkdir()
    work = partial(read_or_die, str(tmp_path / "marks"))
    done = [*run(work, plan(store), executor=partial(pool, method), manifest=manifest, most_in_flight=4)]
    assert sorted(each.piece.number for each in done) == [*range(14)]
    assert [*run(work, plan(store), executor=partial(pool, method), manifest=manifest)] == []


def test_a_broken_pool_ends_the_job_which_then_goes_on(store: LocalStore, manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "marks").mkdir()
    work = partial(read_or_die, str(tmp_path / "marks"))
    numbers: list[int] = []

    def go_on() -> None:
        with pool("forkserver") as executor:
            for each in run(work, plan(store), executor=executor, manifest=manifest, most_in_flight=1):
                numbers.append(each.piece.number)

    for _ in range(2):
        with pytest.raises(JobError, match="the manifest 'manifest' in"):
            go_on()
    go_on()
    assert numbers == [*range(14)]


def test_a_worker_that_is_lost_again_and_again_ends_the_job(store: LocalStore) -> None:
    made: list[Executor] = []

    def make() -> Executor:
        made.append(pool("fork"))
        return made[-1]

    with pytest.raises(JobError, match="a worker was lost"):
        list(run(die, plan(store), executor=make, new_executors=2))
    assert len(made) == 3


def test_ctrl_c_ends_the_job_which_then_goes_on(store: LocalStore, manifest: Manifest) -> None:
    def interrupt(done: int, planned: int, size: int) -> None:
        if done == 4:
            signal.raise_signal(signal.SIGINT)

    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(KeyboardInterrupt):
            list(run(read, plan(store), executor=executor, manifest=manifest, progress=interrupt))
        assert len(list(run(read, plan(store), executor=executor, manifest=manifest))) == 10


def test_a_job_that_was_left_goes_on(store: LocalStore, manifest: Manifest) -> None:
    with ThreadPoolExecutor(1) as executor:
        job = run(read, plan(store), executor=executor, manifest=manifest, most_in_flight=1)
        first = [next(job).piece.number for _ in range(5)]
        job.close()  # type: ignore[attr-defined]
        second = [each.piece.number for each in run(read, plan(store), executor=executor, manifest=manifest)]
    assert first == [0, 1, 2, 3, 4]
    assert sorted(second) == [*range(4, 14)]  # nobody has said that the fifth result was taken


def test_an_error_of_the_function_ends_the_job(store: LocalStore, manifest: Manifest, tmp_path: Path) -> None:
    work = partial(fail_once, tmp_path / "mark")
    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(ValueError, match="piece 5 is bad") as error:
            [*run(work, plan(store), executor=executor, manifest=manifest, most_in_flight=1)]
        assert "the manifest 'manifest' in" in error.value.__notes__[0]
        left = [*run(work, plan(store), executor=executor, manifest=manifest, most_in_flight=1)]
    assert [each.piece.number for each in left] == [*range(5, 14)]


def test_a_second_runner_is_refused(store: LocalStore, manifest: Manifest) -> None:
    with ThreadPoolExecutor(1) as executor:
        job = run(read, plan(store), executor=executor, manifest=manifest)
        next(job)
        with pytest.raises(JobError, match="kept by another runner"):
            next(run(read, plan(store), executor=executor, manifest=manifest))
        assert len([*job]) == 13


def test_a_runner_that_was_overtaken_stops(store: LocalStore, manifest: Manifest) -> None:
    with ThreadPoolExecutor(1) as executor:
        job = run(read, plan(store), executor=executor, manifest=manifest)
        next(job)
        manifest.store.put("manifest/00000001", b'{"lease": 0, "done": []}')
        with pytest.raises(JobError, match="taken over"):
            list(job)


def test_a_segment_whose_answer_was_lost_is_ours(store: LocalStore, manifest: Manifest) -> None:
    class Lossy(LocalStore):
        def put(self, path: str, file: Any, **options: Any) -> Any:
            super().put(path, file, **options)
            return super().put(path, file, **options)

    there = Lossy(manifest.store.prefix)
    with ThreadPoolExecutor(1) as executor:
        assert len([*run(read, plan(store), executor=executor, manifest=Manifest(there, "manifest"))]) == 14


def test_another_job_is_refused(store: LocalStore, manifest: Manifest, tmp_path: Path) -> None:
    other = LocalStore(tmp_path / "other", mkdir=True)
    store.put("a", b"")
    with ThreadPoolExecutor(1) as executor:
        list(run(read, store.plan([("a", 0)]), executor=executor, manifest=manifest))
        with pytest.raises(JobError, match=r"of another job: of .*\.read, not of .*\.die"):
            next(run(die, store.plan([("a", 0)]), executor=executor, manifest=manifest))
        with pytest.raises(JobError, match="another plan"):
            next(run(read, other.plan([("a", 0)]), executor=executor, manifest=manifest))


def test_a_class_of_executors_makes_them(store: LocalStore) -> None:
    assert len([*run(read, plan(store), executor=ThreadPoolExecutor)]) == 14


def test_what_was_done_when_a_pool_broke_is_not_given_out_again(store: LocalStore) -> None:
    """The executor gives all results at once, and the first is that it is broken."""
    given: list[int] = []

    class Breaking(Executor):
        def submit(self, function: Any, piece: Any, /) -> Any:
            future: Future[int] = Future()
            given.append(piece.number)
            broken = len(given) == 1
            future.set_exception(BrokenExecutor("a worker died")) if broken else future.set_result(piece.number)
            return future

    done = [each.value for each in run(read, plan(store), executor=Breaking)]
    assert sorted(done) == [*range(14)]
    assert sorted(given) == [0, *range(14)]


def test_another_plan_is_refused(store: LocalStore, manifest: Manifest) -> None:
    with ThreadPoolExecutor(1) as executor:
        list(run(read, plan(store), executor=executor, manifest=manifest))
        with pytest.raises(JobError, match="another plan"):
            [*run(read, store.plan(bytes=60), executor=executor, manifest=manifest)]
        with pytest.raises(JobError, match="has 14 pieces of 600 bytes, the plan 13 of"):
            [*run(read, plan(store)[:-1], executor=executor, manifest=manifest)]


@pytest.mark.parametrize(("name", "body"), [("notes", b"{}"), ("00000000", b"no JSON"), ("00000000", b'{"done": 5}')])
def test_what_is_no_manifest_is_refused(store: LocalStore, manifest: Manifest, name: str, body: bytes) -> None:
    manifest.store.put(f"{manifest.path}/{name}", body)
    with pytest.raises(JobError, match="give it a path of its own"):
        next(run(len, iter(store.plan("")), executor=ThreadPoolExecutor, manifest=manifest))


def test_the_example_runs() -> None:
    example = Path(__file__).parent.parent / "examples" / "many_processes.py"
    told = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout == f"{sum(range(100)) << 10} zero bytes in what was not counted before\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_connections_are_kept_from_piece_to_piece(fault_server: FaultServer, method: str) -> None:
    """20 pieces of 25 objects: a process opens what it needs for the first one, whatever store a piece brings along."""
    store = S3Store(
        fault_server.bucket,
        endpoint=fault_server.endpoint,
        region=fault_server.region,
        access_key_id=fault_server.access_key_id,
        secret_access_key=fault_server.secret_access_key,
        client_options={"allow_http": True},
    )
    store.put_many((f"plain/{number:03}", b"x" * 100) for number in range(500))
    pieces = [*store.plan([(f"plain/{number:03}", 100) for number in range(500)], bytes=2500)]
    before = len(fault_server.requests())
    with pool(method) as executor:
        assert len([*run(read, pieces, executor=executor)]) == len(pieces) == 20
    asked = fault_server.requests()[before:]
    assert len(asked) == 500
    assert len({request["connection"] for request in asked}) <= 2 * 26  # obstore has 26 in a process


@pytest.mark.parametrize("executor", ["dask", 4, object(), None])
def test_what_is_no_executor(store: LocalStore, manifest: Manifest, tmp_path: Path, executor: Any) -> None:
    with pytest.raises(TypeError, match=r"executor = .*give what has submit\(\)"):
        run(read, plan(store), executor=executor, manifest=manifest)
    assert not [*(tmp_path / "job").iterdir()]
