"""A function carried out on many pieces by an executor that somebody else has made."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from objstore._distributed.engines import executor_of, is_executor
from objstore._distributed.manifest import JobError, Record
from objstore.operations.bars import called, end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor, Future

    from objstore._distributed.engines import ExecutorInput
    from objstore._distributed.manifest import Manifest
    from objstore.results import Piece
    from objstore.types import Progress

T = TypeVar("T")

LOOK = 1.0
"""After how many seconds a runner that waits looks whether its lease is to be renewed."""


class Done(NamedTuple, Generic[T]):
    """A piece that is done, and what the function returned."""

    piece: Piece
    value: T


def run(
    function: Callable[[Piece], T],
    pieces: Iterable[Piece],
    *,
    executor: ExecutorInput,
    manifest: Manifest | None = None,
    most_in_flight: int = 64,
    new_executors: int = 3,
    progress: Progress | bool | None = None,
) -> Iterator[Done[T]]:
    """Carry out a function on pieces by an executor, and give the results as they come.

    A piece whose worker was lost is given out again: so the function must do no harm when it does one twice.

    Args:
        function: What to do with a piece; it must be picklable where the executor has other processes.
        pieces: The pieces, as of `store.plan`; they are taken as they are given out.
        executor: Whatever has the interface of ``concurrent.futures``, which stays open; a Client of Dask; or a
            function that makes an executor, which is shut down at the end, and made anew when a lost worker has broken
            it.
        manifest: Where to say what is done. A piece that it has is not done again; a piece is there once the caller has
            come for the next result.
        most_in_flight: How many pieces are given out at a time.
        new_executors: How often a broken executor is replaced.
        progress: True draws a bar; a function is called with how many pieces are done, how many have been planned so
            far, and the bytes of those done.

    Returns:
        An iterator of ``(piece, value)``, in the order in which they come. Closed early, it gives no more work out.

    Raises:
        JobError: Another runner is at it, the manifest is of another job or plan, or the executor is broken for good.
    """
    told = called(progress, "run")
    name = _name(function)
    job = Job(function, name, iter(pieces), executor, manifest, most_in_flight, new_executors, told)
    return job.results()


def _name(function: Any) -> str:
    """Return what a function is called in every process."""
    while isinstance(function, partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


class Job(Generic[T]):
    """A job under way: the arguments are those of `run`, and what the manifest calls it."""

    def __init__(
        self,
        function: Callable[[Piece], T],
        name: str,
        pieces: Iterator[Piece],
        executor: ExecutorInput,
        manifest: Manifest | None = None,
        most_in_flight: int = 64,
        new_executors: int = 3,
        progress: Progress | bool | None = None,
    ) -> None:
        if most_in_flight < 1:
            raise ValueError(f"most_in_flight = {most_in_flight}: give at least 1")
        self._function = function
        self._name = name
        self._pieces = pieces
        self._make: Any = None if is_executor(executor) else executor
        self._given = executor
        self._manifest = manifest
        self._most = most_in_flight
        self._left = new_executors
        self._progress = called(progress, name.partition(" ")[0])
        self._record: Record | None = None
        self._flying: dict[Future[T], Piece] = {}
        self._lost: list[Piece] = []
        self._planned = self._planned_size = self._done = self._done_size = 0

    def results(self) -> Iterator[Done[T]]:
        """Yield the results, and clean up whatever ends this."""
        self._record = None if self._manifest is None else Record(self._manifest, self._name)
        try:
            self._executor = self._new_executor()
            try:
                yield from self._work()
            finally:
                self._stop()
        finally:
            if self._record is not None:
                self._record.write(last=True)
        if self._record is not None:
            self._record.check(self._planned, self._planned_size)

    def _new_executor(self) -> Executor:
        return executor_of(self._given if self._make is None else self._make())

    def _work(self) -> Iterator[Done[T]]:
        self._give_out()
        while self._flying:
            ready, _ = wait(self._flying, LOOK, FIRST_COMPLETED)
            for future in ready:
                piece = self._flying.pop(future)
                try:
                    result = Done(piece, future.result())
                except BrokenExecutor as error:
                    self._replace(piece, error)
                    break
                except Exception as error:
                    self._tell(error)
                    raise
                yield result
                self._finish(piece)
            if self._record is not None:
                self._record.renew()
            self._give_out()

    def _give_out(self) -> None:
        """Give out pieces that were lost, and the next ones, as many as may be in flight."""
        while len(self._flying) < self._most:
            piece = self._lost.pop() if self._lost else self._next()
            if piece is None:
                return
            try:
                self._flying[self._executor.submit(self._function, piece)] = piece
            except BrokenExecutor as error:
                self._replace(piece, error)

    def _next(self) -> Piece | None:
        """Return the next piece that is not done."""
        for piece in self._pieces:
            self._planned += 1
            self._planned_size += piece.size
            if self._record is None or not self._record.has(piece):
                return piece
            self._note(piece)
        return None

    def _finish(self, piece: Piece) -> None:
        if self._record is not None:
            self._record.add(piece)
        self._note(piece)

    def _note(self, piece: Piece) -> None:
        self._done += 1
        self._done_size += piece.size
        if self._progress is not None:
            self._progress(self._done, self._planned, self._done_size)

    def _tell(self, error: Exception) -> None:
        """Say with what ends the job where that is which is done."""
        if self._record is not None:
            error.add_note(f"{self._record} has what is done: run the job again, and it goes on")

    def _replace(self, piece: Piece, error: BrokenExecutor) -> None:
        """Make a new executor for a broken one, and take back all that the broken one had and has not done."""
        if self._make is None or self._left == 0:
            told = "" if self._record is None else f": {self._record} has what is done, run the job again"
            raise JobError(f"a worker was lost, and the executor is broken{told}") from error
        self._left -= 1
        self._stop()
        lost = [future for future in self._flying if future.cancelled() or future.exception() is not None]
        self._lost += [piece, *map(self._flying.pop, lost)]
        self._executor = self._new_executor()

    def _stop(self) -> None:
        """Give no more work out; what was begun is waited for where the executor is ours."""
        end(self._progress)
        for future in self._flying:
            future.cancel()
        if self._make is not None:
            self._executor.shutdown()
