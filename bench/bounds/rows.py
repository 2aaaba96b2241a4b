"""The rows, each with what it is to keep within."""

from __future__ import annotations

from dataclasses import dataclass

SIZE = 200_000_000
READERS, PACE = 50, 4_000_000
"""How many streams are read beside each other, and how many bytes a second each of them takes."""

SLOWLY_S = 12
"""How long they go on."""

OBJECTS, WINDOW = 24, 256 << 20
DESCRIPTORS = 1024
COROUTINES, THREADS = 2_000, 400


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    title: str
    bound: int
    """MiB, or descriptors."""
    calls: int = 0
    """How many calls there are, none of which is to fail."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a library held at the most in a row, and how many calls failed."""

    most: int
    failed: int


ROWS = (
    Row("readers", f"{READERS} slow readers of 200 MB", 500),
    Row("window", f"iter_many, {OBJECTS} x 200 MB, window of 256 MiB", (WINDOW + 2 * SIZE) >> 20),
    Row("coroutines", f"{COROUTINES:,} coroutines at ulimit -n {DESCRIPTORS}", DESCRIPTORS, COROUTINES),
    Row("threads", f"{THREADS} blocking threads at ulimit -n {DESCRIPTORS}", DESCRIPTORS, THREADS),
)


def key_of(index: int) -> str:
    """Return the key of one of the large objects."""
    return f"large/{index}"
