"""All that may come to be shown of an object or of an error: by a debugger, a log, `pprint`, `pytest -l` or rich.

Used to see that no planted secret is among it.
"""

from __future__ import annotations

import gc
import os
import pprint
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType, TracebackType
from typing import Any

import rich.pretty

OURS = str(Path(__file__).parents[1] / "objstore")


def shown_of(root: object) -> str:
    """Return the reprs of all objects that can be reached from one, and what shows its attributes."""
    found = {id(one): one for one in _reachable(root)}
    told = [repr(one) for one in found.values()]
    for one in found.values():
        if hasattr(one, "__dict__") and not callable(one):
            told += [pprint.pformat(vars(one)), rich.pretty.pretty_repr(vars(one), max_string=8)]
    return "\n".join(told)


def shown_by(error: BaseException) -> str:
    """Return the traceback of an error with the variables of our functions, as text and as rich has them."""
    cut = error.with_traceback(_ours(error.__traceback__))
    plain = traceback.TracebackException.from_exception(cut, capture_locals=True).format()
    frames = [frame for frame, _ in traceback.walk_tb(cut.__traceback__)]
    return "".join([*plain, *(rich.pretty.pretty_repr(frame.f_locals, max_string=8) for frame in frames)])


def _ours(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback from our first function on: what the caller has in its variables is its own."""
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(OURS):
        trace = trace.tb_next
    return trace


def _reachable(root: object) -> Iterator[object]:
    todo, seen = [root], set()
    while todo:
        one = todo.pop()
        if id(one) in seen or one is os.environ or isinstance(one, ModuleType | type | CodeType | FrameType):
            continue
        seen.add(id(one))
        yield one
        todo += _parts(one)


def _parts(one: Any) -> list[object]:
    """Return what Python's own tools find in an object; what is compiled shows nothing."""
    if isinstance(one, FunctionType):
        return [*(one.__closure__ or ()), *(one.__defaults__ or ()), *(one.__kwdefaults__ or {}).values()]
    if type(one).__module__ == "objstore._core":
        return []
    return list(gc.get_referents(one))
