"""The forms in which the objects of a listing are given: dicts, and Arrow record batches and tables.

This is the only module that needs arro3-core, and it asks for it when Arrow is asked for.

Its one invariant: both forms come straight from the rows of a `Listing`, neither by way of the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Generic, TypeVar

from objstore._core import Listing
from objstore.settings.extras import missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from arro3.core import RecordBatch, Table

    from objstore.types import ObjectMeta

T = TypeVar("T")
W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Form(Generic[T, W]):
    """One way to give objects.

    Args:
        cut: Give the rows of a page from a start to a stop, with a prefix cut off their keys.
        join: Make one piece of several, or an empty one of none.
        gather: Make the whole of all pieces of one level.
    """

    cut: Callable[[Listing, str, int, int | None], T]
    join: Callable[[list[T]], T]
    gather: Callable[[list[T]], W]


def _joined(pieces: list[list[ObjectMeta]]) -> list[ObjectMeta]:
    return pieces[0] if len(pieces) == 1 else [*chain.from_iterable(pieces)]


DICTS = Form(Listing.objects, _joined, _joined)


@cache
def arrow() -> Form[RecordBatch, Table]:
    """Return the form of Arrow.

    Raises:
        ImportError: arro3-core is not installed.
    """
    try:
        from arro3.core import RecordBatch, Table
    except ImportError as error:
        raise missing("return_arrow needs arro3-core", "arrow") from error

    def cut(listing: Listing, prefix: str, start: int, stop: int | None) -> RecordBatch:
        return RecordBatch.from_arrow(listing.arrow(prefix, start, stop))

    def gather(pieces: list[RecordBatch]) -> Table:
        return Table.from_batches(pieces or [cut(Listing.of(()), "", 0, None)])

    def join(pieces: list[RecordBatch]) -> RecordBatch:
        if len(pieces) > 1:
            return gather(pieces).combine_chunks().to_batches()[0]
        return pieces[0] if pieces else cut(Listing.of(()), "", 0, None)

    return Form(cut, join, gather)
