"""Plans driven in both ways, with no network: order, values, errors and interrupts where they wait, and every
effect."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar, get_type_hints

import pytest

from objstore.plans.effects import Call, Plan, Sleep, Wait
from objstore.plans.run import arun, both, run
from tests.engine.client import SOON

T = TypeVar("T")
Drive = Callable[[Plan[Any]], Any]


def drive_async(plan: Plan[T]) -> T:
    return asyncio.run(arun(plan))


def drive_inside_a_loop(plan: Plan[T]) -> T:
    """Drive a plan synchronously from inside a running event loop."""

    async def main() -> T:
        return run(plan)

    return asyncio.run(main())


@pytest.fixture(params=[run, drive_async, drive_inside_a_loop])
def drive(request: pytest.FixtureRequest) -> Drive:
    chosen: Drive = request.param
    return chosen


def call(function: Callable[[], Any], *, quick: bool = False) -> Plan[Any]:
    return (yield Call(function, quick))


# --- order, values, errors


def test_effects_are_carried_out_in_order_and_give_their_values(drive: Drive) -> None:
    done: list[int] = []

    def inner(number: int) -> Plan[int]:
        yield Call(lambda: done.append(number))
        return (yield Call(lambda: 10 * number))

    def plan() -> Plan[list[int]]:
        assert (yield Sleep(0)) is None
        results = []
        for number in range(5):
            results.append((yield from inner(number)))
        return results

    assert drive(plan()) == [0, 10, 20, 30, 40]
    assert done == [0, 1, 2, 3, 4]


def test_a_plan_without_effects_has_a_value(drive: Drive) -> None:
    def plan() -> Plan[str]:
        return "value"
        yield

    assert drive(plan()) == "value"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, StopAsyncIteration])
@pytest.mark.parametrize("quick", [False, True])
def test_an_error_is_thrown_in_where_the_plan_waits(drive: Drive, error: type[BaseException], quick: bool) -> None:
    steps: list[str] = []

    def fail() -> None:
        raise error("planted")

    def plan() -> Plan[str]:
        try:
            yield Call(fail, quick)
        except error as caught:
            steps.append(str(caught))
        finally:
            steps.append((yield Call(lambda: "cleanup")))
        return "went on"

    assert drive(plan()) == "went on"
    assert steps == ["planted", "cleanup"]


def test_an_error_of_the_plan_reaches_the_caller_once_and_bare(drive: Drive) -> None:
    def plan() -> Plan[None]:
        yield Sleep(0)
        raise LookupError("planted")

    with pytest.raises(LookupError, match="planted") as caught:
        drive(plan())
    assert caught.value.__context__ is None


def test_an_error_that_the_plan_lets_pass_is_the_callers(drive: Drive) -> None:
    cleaned: list[str] = []

    def fail() -> None:
        raise LookupError("planted")

    def plan() -> Plan[None]:
        try:
            yield Call(fail)
        finally:
            yield Call(lambda: cleaned.append("cleaned"))

    with pytest.raises(LookupError, match="planted"):
        drive(plan())
    assert cleaned == ["cleaned"]


def test_an_error_of_the_cleanup_takes_the_place_and_names_the_first() -> None:
    def fail() -> None:
        raise LookupError("first")

    def plan() -> Plan[None]:
        try:
            yield Call(fail)
        finally:
            raise ValueError("second")

    with pytest.raises(ValueError, match="second") as caught:
        run(plan())
    assert isinstance(caught.value.__context__, LookupError)


# --- Sleep and Wait


def test_sleep_takes_its_time(drive: Drive) -> None:
    def plan() -> Plan[float]:
        begun = time.monotonic()
        yield Sleep(0.05)
        return time.monotonic() - begun

    assert 0.05 <= drive(plan()) < SOON


def test_wait_gives_the_result_of_another_thread(drive: Drive) -> None:
    future: Future[str] = Future()
    threading.Timer(0.02, future.set_result, ["done"]).start()

    def plan() -> Plan[str]:
        return (yield Wait(future))

    assert drive(plan()) == "done"


def test_wait_throws_the_error_of_another_thread(drive: Drive) -> None:
    future: Future[str] = Future()
    future.set_exception(LookupError("planted"))

    def plan() -> Plan[str]:
        try:
            return (yield Wait(future))
        except LookupError as error:
            return f"caught {error}"

    assert drive(plan()) == "caught planted"


def test_plans_on_one_loop_run_side_by_side() -> None:
    future: Future[str] = Future()

    def waits() -> Plan[str]:
        yield Sleep(0.01)
        return (yield Wait(future))

    def blocks() -> Plan[str]:
        yield Call(lambda: time.sleep(0.05))
        yield Call(lambda: future.set_result("done"), quick=True)
        return "set"

    async def main() -> list[str]:
        return await asyncio.gather(arun(waits()), arun(waits()), arun(blocks()))

    begun = time.monotonic()
    assert asyncio.run(main()) == ["done", "done", "set"]
    assert time.monotonic() - begun < SOON


# --- Call


def test_a_blocking_call_leaves_the_event_loops_thread_and_a_quick_one_does_not() -> None:
    assert run(call(threading.get_ident)) == threading.get_ident()
    assert drive_async(call(threading.get_ident)) != threading.get_ident()
    assert drive_async(call(threading.get_ident, quick=True)) == threading.get_ident()


async def slow_answer() -> str:
    await asyncio.sleep(0.01)
    return "awaited"


class Awaitable:
    """An object with ``__await__``, as asyncio knows others than coroutines."""

    def __await__(self) -> Iterator[Any]:
        return slow_answer().__await__()


@pytest.mark.parametrize("function", [slow_answer, Awaitable, lambda: Awaitable()])
@pytest.mark.parametrize("quick", [False, True])
def test_an_awaitable_is_awaited(drive: Drive, function: Callable[[], Any], quick: bool) -> None:
    assert drive(call(function, quick=quick)) == "awaited"


@pytest.mark.parametrize("quick", [False, True])
def test_the_error_of_an_awaitable_is_thrown_in(drive: Drive, quick: bool) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError("planted")

    def plan() -> Plan[str]:
        try:
            yield Call(fail, quick)
        except LookupError as error:
            return f"caught {error}"
        return "not reached"

    assert drive(plan()) == "caught planted"


def test_what_is_awaited_synchronously_may_belong_to_one_loop() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    loops: set[asyncio.AbstractEventLoop] = set()

    async def put() -> None:
        loops.add(asyncio.get_running_loop())
        await queue.put(7)

    async def get() -> int:
        loops.add(asyncio.get_running_loop())
        return await asyncio.wait_for(queue.get(), 5)

    def plan() -> Plan[int]:
        yield Call(put)
        return (yield Call(get))

    assert run(plan()) == 7
    assert drive_inside_a_loop(call(put)) is None
    assert run(call(get)) == 7
    assert len(loops) == 1


def test_many_threads_await_synchronously_at_once() -> None:
    results: list[str] = []
    threads = [threading.Thread(target=lambda: results.append(run(call(slow_answer)))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert results == ["awaited"] * 16


# --- both


def fetch(path: str, *, start: int = 0, **options: int) -> Plan[str]:
    """Fetch something."""
    yield Sleep(0)
    return f"{path}{start}{options}"


def test_both_gives_two_faces_of_one_plan() -> None:
    blocking, awaitable = both(fetch)
    assert (blocking.__name__, awaitable.__name__) == ("fetch", "fetch_async")
    assert (blocking.__qualname__, awaitable.__qualname__) == ("fetch", "fetch_async")
    assert blocking.__doc__ == awaitable.__doc__ == "Fetch something."
    assert list(inspect.signature(blocking).parameters) == ["path", "start", "options"]
    assert inspect.signature(blocking) == inspect.signature(awaitable)
    assert inspect.iscoroutinefunction(awaitable)
    assert not inspect.iscoroutinefunction(blocking)
    assert blocking("a", start=1, more=2) == "a1{'more': 2}"
    assert asyncio.run(awaitable("a", start=1, more=2)) == "a1{'more': 2}"


def test_a_coroutine_looks_for_the_loop_only_when_it_is_awaited() -> None:
    _, awaitable = both(fetch)
    coroutine = awaitable("a")  # there is no event loop here
    result: list[str] = []
    thread = threading.Thread(target=lambda: result.append(asyncio.run(coroutine)))
    thread.start()
    thread.join(10)
    assert result == ["a0{}"]


def test_a_coroutine_that_is_never_awaited_begins_nothing() -> None:
    begun: list[str] = []

    def plan() -> Plan[None]:
        begun.append("begun")
        yield Sleep(0)

    _, awaitable = both(plan)
    coroutine = awaitable()
    coroutine.close()
    assert begun == []


def test_wrong_arguments_are_refused_by_both_faces() -> None:
    blocking, awaitable = both(fetch)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        blocking()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        asyncio.run(awaitable())  # type: ignore[call-arg]


# --- calls that are to end before anything else goes on


@pytest.mark.parametrize("fails", [False, True])
def test_a_cancelled_task_waits_for_a_call_that_is_to_settle(fails: bool) -> None:
    done: list[str] = []
    begun = threading.Event()

    def work() -> None:
        begun.set()
        time.sleep(0.1)
        done.append("work")
        if fails:
            raise ValueError("too late to be of interest")

    def plan() -> Plan[None]:
        try:
            yield Call(work, settle=True)
        finally:
            done.append("cleanup")

    async def main() -> None:
        task = asyncio.ensure_future(arun(plan()))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        await asyncio.sleep(0.01)
        task.cancel()  # a second time changes nothing
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert done == ["work", "cleanup"]


def test_a_call_that_is_to_settle_is_a_call(drive: Drive) -> None:
    def fail() -> None:
        raise ValueError("as any other")

    def plan() -> Plan[int]:
        with pytest.raises(ValueError, match="as any other"):
            yield Call(fail, settle=True)
        return (yield Call(lambda: 5, settle=True))

    assert drive(plan()) == 5


def test_the_faces_say_what_they_return() -> None:
    def length(text: str, *, twice: bool = False) -> Plan[int]:
        return len(text)
        yield

    blocking, awaitable = both(length)
    assert str(inspect.signature(blocking)) == "(text: 'str', *, twice: 'bool' = False) -> 'int'"
    assert inspect.signature(awaitable) == inspect.signature(blocking)
    assert get_type_hints(awaitable)["return"] is int
