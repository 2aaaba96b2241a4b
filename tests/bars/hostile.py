"""Replies that lie, contradict themselves or never end: bytes that are wrong and no error, crashes, hangs, memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from tests.bars.children import children
from tests.bars.figures import Figures
from tests.bars.library import Library, right_bytes
from tests.faults.client import FaultServer

FORMS = ("whole", "streamed", "ranged", "ranges")
LYING = (
    "reset-first", "cut-by-reset", "cut-by-fin", "cut-without-etag", "short-range", "wrong-content-range",
    "cut-then-wide", "ignored-range", "wide-range", "replaced-object", "replaced-in-body",
)  # fmt: skip
"""Scenarios over generated objects: what is read is one version of them."""
FIVE_BYTES = ("extra-bytes",)
"""Scenarios whose only right body is these five bytes."""
UNREADABLE = (
    "cut-chunks", "garbled-chunks", "huge-chunk", "until-the-end", "two-lengths", "negative-length",
    "overflowing-length", "not-http",
)  # fmt: skip
"""Scenarios with nothing right to read."""
UNLISTABLE = (
    "list-html", "list-empty-body", "list-cut", "list-bomb", "list-external-entity", "list-nul", "list-negative-size"
)  # fmt: skip
DEADLY = (
    "huge-length", "endless-head", "endless-line", "endless-interim", "endless-body", "endless-error", "not-http",
    *UNREADABLE,
)  # fmt: skip
DEADLY_LISTS = ("list-loop", "list-deep", "list-endless", *UNLISTABLE)
ROUNDS = 6
FEW_RETRIES = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}
"""What is no hang must end within the limit, and the tries of some scenarios take seconds each."""


class Question(NamedTuple):
    """Something to ask, and every answer that is not wrong; an error is none."""

    name: str
    ask: Callable[[], Any]
    right: tuple[Any, ...] = ()


def silently_wrong(library: Library, server: FaultServer) -> Figures:
    """Count the answers that are wrong and no error; say which."""
    questions = [*wrong_reads(library, server), *wrong_lists(library, server), *wrong_writes(library, server)]
    with ThreadPoolExecutor(16) as pool:
        wrong = [name for name in pool.map(wrong_answer, questions) if name]
    print("; ".join(wrong), file=sys.stderr)
    return {"silently wrong": len(wrong)}


def wrong_answer(question: Question) -> str | None:
    """Ask; return the question's name if the answer is wrong."""
    try:
        answer = question.ask()
    except BaseException:  # obstore's panics are no Exception
        return None
    return None if answer in question.right else question.name


def wrong_reads(library: Library, server: FaultServer) -> Iterator[Question]:
    store = library.store(server)
    for scenario, form in product((*LYING, *FIVE_BYTES, *UNREADABLE), FORMS):
        ask = partial(getattr(library, form), store, f"{scenario}/{form}")
        right: tuple[bytes, ...] = ()
        if scenario in LYING:
            right = tuple(right_bytes(form, version) for version in (1, 2))
        elif scenario in FIVE_BYTES:
            right = (b"abcde",)
        yield Question(f"{scenario}/{form}", ask, right)
    yield Question("second-reply", partial(reads_behind, library, server), (True,))


def reads_behind(library: Library, server: FaultServer) -> bool:
    """Whether what is read on the connection of a reply that had another behind it is right."""
    store = library.store(server)
    with suppress(Exception):
        library.whole(store, "second-reply/a")
    return all(library.whole(store, f"plain/{number}") == right_bytes("whole") for number in range(20))


def wrong_lists(library: Library, server: FaultServer) -> Iterator[Question]:
    store = library.store(server)
    for scenario in UNLISTABLE:
        yield Question(scenario, partial(library.listed, store, f"{scenario}/"))


def wrong_writes(library: Library, server: FaultServer) -> Iterator[Question]:
    """Yield what the server refuses in a reply of status 200."""
    store, functions = library.store(server), library.functions
    yield Question("denied copy", partial(functions.copy, store, "plain/a", "denied-in-200/copy"))
    yield Question("denied delete", partial(functions.delete, store, ["denied-in-200/a", "denied-in-200/b"]))
    put = partial(functions.put, store, "denied-in-200/parts", bytes(12 << 20), use_multipart=True, chunk_size=5 << 20)
    yield Question("denied complete", put)


def flipped_bit(library: Library, server: FaultServer) -> Figures:
    """Read a body that its checksum does not fit."""
    try:
        library.whole(library.store(server), "flipped-bit/a")
    except Exception:
        return {"found": 1}
    return {"found": 0}


def mixed_versions(library: Library, server: FaultServer) -> Figures:
    """Read ranges of an object that is replaced after the first."""
    store = library.store(server)
    right = tuple(right_bytes("ranges", version) for version in (1, 2))
    asked = [Question("mixed", partial(library.ranges, store, f"replaced-object/{n}"), right) for n in range(ROUNDS)]
    return {"mixed": sum(wrong_answer(question) is not None for question in asked)}


def deadly(library: Library, server: FaultServer) -> Figures:
    """Ask each question in a process of its own, and look how it ends."""

    def asked(form: str, key: str) -> None:
        with suppress(BaseException):
            getattr(library, form)(library.store(server, retry_config=FEW_RETRIES), key)
        os._exit(0)

    work = {scenario: partial(asked, "whole", f"{scenario}/a") for scenario in DEADLY}
    work |= {scenario: partial(asked, "listed", f"{scenario}/") for scenario in DEADLY_LISTS}
    ends = children(work, at_once=6, limit=30)
    told = [f"{name}: {end.what}, {end.memory >> 20} MiB" for name, end in ends.items() if end.bad or end.memory >> 27]
    print("; ".join(told), file=sys.stderr)
    return {
        "crashes": sum(end.what == "crash" for end in ends.values()),
        "hangs": sum(end.what == "hang" for end in ends.values()),
        "most memory": max(end.memory for end in ends.values()) / (1 << 20),
    }
