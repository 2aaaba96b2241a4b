"""Bars: what `progress=True` draws, by rich, on a terminal or in a notebook.

All bars of a process are in one display on standard error, which is there as long as one of them is. No thread draws
it: it is drawn anew when an operation tells how far it is.

Its one invariant: where it is neither a terminal nor a notebook, nothing is written.
"""

from __future__ import annotations

import time
from functools import cache, partial, wraps
from threading import Lock
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from objstore.settings.extras import missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress as Rows
    from rich.progress import TaskID

    from objstore.plans.effects import Plan
    from objstore.types import Progress

P = ParamSpec("P")
T = TypeVar("T")

DRAWN_EVERY = 0.1
"""How often the display is drawn anew at the most, in seconds."""


class Bar:
    """The bar of one operation; to call it tells how far that is.

    Args:
        name: What the operation is called.
        counting: Whether nobody knows how much there is: what is found is counted.

    Raises:
        ImportError: rich is not installed.
    """

    def __init__(self, name: str, *, counting: bool = False) -> None:
        self._display = _display()
        self._name = name
        self._counting = counting
        self._task: TaskID | None = None
        self._complete = self._ends_itself = self._over = False

    def __call__(self, done: int, total: int, size: int) -> None:
        """Draw how far it is."""
        if self._display is None or self._over:
            return
        if self._task is None:
            self._task = self._display.add(self._name)
        self._complete = done >= total and not self._counting
        unknown = self._counting or (total == 1 and not self._complete)
        self._display.update(self._task, done, None if unknown else total, size)
        if self._complete and self._ends_itself:
            self.end()

    def hand_on(self) -> None:
        """Have it end by itself: the operation is over, and what it returned may go on telling."""
        self._ends_itself = True
        if self._complete:
            self.end()

    def end(self) -> None:
        """Leave it as it is."""
        self._over = True
        if self._display is not None and self._task is not None:
            self._display.end(self._task)
        self._task = None

    def __del__(self) -> None:
        """Leave it: whoever told it is gone."""
        if hasattr(self, "_over"):
            self.end()


class _Display:
    """The bars of this process on one console."""

    def __init__(self, begin: Callable[[], Rows]) -> None:
        self._begin = begin
        self._rows: Rows | None = None
        self._open: dict[TaskID, float] = {}  # since when
        self._drawn = 0.0
        self._lock = Lock()

    def add(self, name: str) -> TaskID:
        """Add a bar."""
        with self._lock:
            if self._rows is None:
                self._rows = self._begin()
                self._rows.start()
            task = self._rows.add_task(name, total=None, counts="", moved="")
            self._open[task] = time.monotonic()
            return task

    def update(self, task: TaskID, done: int, total: int | None, size: int) -> None:
        """Set how far a bar is; how much is done of how much there is, and how many bytes."""
        from rich.filesize import decimal

        with self._lock:
            if self._rows is None or task not in self._open:
                return
            now = time.monotonic()
            rate = size / max(now - self._open[task], 0.001)
            moved = f"{decimal(size)}, {decimal(int(rate))}/s" if size else ""
            counts = f"{done:,}" if total is None else f"{done:,}/{total:,}"
            self._rows.update(task, completed=done, total=total, counts=counts, moved=moved)
            if now - self._drawn >= DRAWN_EVERY:
                self._drawn = now
                self._rows.refresh()

    def end(self, task: TaskID) -> None:
        """Leave a bar as it is; with the last one the display ends."""
        with self._lock:
            if self._rows is None or self._open.pop(task, None) is None:
                return
            self._rows.stop_task(task)
            if not self._open:
                self._rows.stop()
                self._rows = None


@cache
def _display() -> _Display | None:
    """Return where bars are drawn; None where nobody sees them.

    Raises:
        ImportError: rich is not installed.
    """
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError as error:
        raise missing("progress=True needs rich", "progress") from error

    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        return None
    fields = ("{task.description}", "{task.fields[counts]}", "{task.fields[moved]}")
    name, counts, moved = map(TextColumn, fields)
    return _Display(
        lambda: Progress(name, BarColumn(), counts, moved, TimeElapsedColumn(), console=console, auto_refresh=False)
    )


# --- how operations take them


def called(progress: Progress | bool | None, name: str = "", *, counting: bool = False) -> Progress | None:
    """Return what is to be called: of True, which `drawn` has not replaced, a bar with a name.

    Raises:
        TypeError: It is none.
        ImportError: It is True, and rich is not installed.
    """
    if progress is None or progress is False:
        return None
    if progress is True:
        return Bar(name, counting=counting)
    if not callable(progress):
        raise TypeError(f"progress = {progress!r}: give True for a bar, or a function that takes three numbers")
    return progress


def drawn(plan: Callable[P, Plan[T]]) -> Callable[P, Plan[T]]:
    """Have an operation draw a bar while it is under way, where `progress` is True: its two functions look for this.

    To surround every call would cost each of them, and hardly one draws.
    """
    plan.with_bar = partial(_with_bar, plan)  # type: ignore[attr-defined]
    return plan


def _with_bar(plan: Callable[..., Plan[T]], *args: Any, **kwargs: Any) -> Plan[T]:
    bar = Bar(plan.__name__.lstrip("_"))
    try:
        result = yield from plan(*args, **{**kwargs, "progress": bar})
    except BaseException:
        bar.end()
        raise
    bar.hand_on()
    return result


class Shown(Protocol):
    """What tells how far it is while its caller takes what comes."""

    _told: Progress | None


S = TypeVar("S", bound=Shown)


def shown(step: Callable[Concatenate[S, P], Plan[T]]) -> Callable[Concatenate[S, P], Plan[T]]:
    """Have a bar end with a step that fails, or that brings nothing more."""

    @wraps(step)
    def taken(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Plan[T]:
        item = None
        try:
            item = yield from step(self, *args, **kwargs)
            return item
        finally:
            if not item:
                end(self._told)

    return taken


def end(told: Progress | None) -> None:
    """End a bar."""
    if isinstance(told, Bar):
        told.end()
