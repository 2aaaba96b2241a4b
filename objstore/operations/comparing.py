"""Two places compared, object by object: what would have to be done for the one to be as the other.

Both listings are read along with each other, in order, so that it takes the same memory for any number of objects.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from objstore.interface.values import ANY
from objstore.operations.objects import DEFAULT_CHUNK, get
from objstore.operations.ordered import Entry, Ordered
from objstore.operations.results import Stream
from objstore.types import SyncAction

if TYPE_CHECKING:
    from objstore.interface.store import BaseStore
    from objstore.interface.values import Sums
    from objstore.plans.effects import Plan

Compare: TypeAlias = Literal["time", "size", "checksum"]
"""By what two objects are taken for the same."""


class Side(NamedTuple):
    """One of two places that are compared.

    Args:
        store: The store, which takes paths as the keys they are.
        prefix: What the keys there begin with.
    """

    store: BaseStore
    prefix: str

    @property
    def address(self) -> str:
        """What tells it from other places."""
        return self.store.provider.address + self.prefix


class Step(NamedTuple):
    """What is found at a name: the object of the source, and that of the target; None where there is none."""

    name: str
    ours: Entry | None
    theirs: Entry | None


class Merge:
    """The names of two places, in order.

    Args:
        source: The one place.
        target: The other; None where there is nothing yet.
    """

    def __init__(self, source: Side, target: Side | None) -> None:
        self._ours = Ordered(source.store.provider, source.prefix)
        self._theirs = None if target is None else Ordered(target.store.provider, target.prefix)

    def next(self) -> Plan[Step | None]:
        """Return the next name, with what is there in each place; None at the end."""
        ours = yield from self._ours.peek()
        theirs = None if self._theirs is None else (yield from self._theirs.peek())
        if ours is None and theirs is None:
            return None
        name = min(entry.name for entry in (ours, theirs) if entry is not None)
        ours = ours if ours is not None and ours.name == name else None
        theirs = theirs if theirs is not None and theirs.name == name else None
        if ours is not None:
            self._ours.take()
        if theirs is not None and self._theirs is not None:
            self._theirs.take()
        return Step(name, ours, theirs)

    def is_source_over(self) -> Plan[bool]:
        """Tell whether the source has no more objects."""
        return (yield from self._ours.peek()) is None

    def close(self) -> None:
        """Let go of what they have on the disk."""
        self._ours.close()
        if self._theirs is not None:
            self._theirs.close()


def is_newer(ours: Entry, theirs: Entry) -> bool:
    """Tell whether an object may have been modified after its copy was made: a time in whole seconds may be any in that
    second, and where nobody says when it was, it may have been at any."""
    may_be_later = 1 if ours.modified.is_integer() else 0
    return not ours.modified or ours.modified + may_be_later > theirs.modified


def has_same_bytes(source: Side, target: Side, name: str) -> Plan[bool]:
    """Tell whether two objects of one size are the same: by the checksums that both services tell, where these are of
    one kind, else by reading both."""
    ours, theirs = (yield from _sums(source, name)), (yield from _sums(target, name))
    if ours is not None and theirs is not None and ours.algorithm == theirs.algorithm:
        return ours.whole == theirs.whole
    return (yield from _digest(source, name)) == (yield from _digest(target, name))


def _sums(side: Side, name: str) -> Plan[Sums | None]:
    """Return what the service tells of the checksum of a whole object."""
    sums = (yield from side.store.provider.look(side.prefix + name, ANY)).sums
    return sums if sums is not None and sums.whole is not None else None


def _digest(side: Side, name: str) -> Plan[bytes]:
    path = side.store.path(side.prefix + name)
    stream = (yield from get(side.store, path, options={"read_ahead": DEFAULT_CHUNK})).stream(DEFAULT_CHUNK)
    found = hashlib.sha256()
    try:
        while pieces := (yield from stream.next_pieces()):
            for piece in pieces:
                found.update(piece)
    finally:
        stream.close()
    return found.digest()


class Comparison:
    """How two places are compared.

    Args:
        source: The one place.
        target: The other; None where there is nothing yet.
        delete: Whether what only the target has is to be deleted.
        compare: By what objects are taken for the same.
    """

    def __init__(self, source: Side, target: Side | None, delete: bool, compare: Compare) -> None:
        self._source = source
        self._target = target
        self._delete = delete
        self._compare = compare
        self._merge = Merge(source, target)
        self._is_empty = True

    def next(self) -> Plan[Step | None]:
        """Return the next name at which there is something to do, or nothing to be done; None at the end.

        Raises:
            ValueError: All of the target would be deleted, for there is nothing in the source.
        """
        while (step := (yield from self._merge.next())) is not None:
            self._is_empty = self._is_empty and step.ours is None
            if step.ours is not None:
                return step
            if self._delete:
                if self._is_empty and (yield from self._merge.is_source_over()):
                    raise ValueError(
                        f"there is nothing at {self._source.address}, and delete=True would delete all there is at the "
                        "target: if that is meant, delete_prefix does it"
                    )
                return step
        return None

    def is_same(self, step: Step) -> Plan[bool]:
        """Tell whether an object of the source is at the target already."""
        ours, theirs = step.ours, step.theirs
        if ours is None or theirs is None or ours.size != theirs.size:
            return False
        if self._compare == "checksum" and self._target is not None:
            return (yield from has_same_bytes(self._source, self._target, step.name))
        return self._compare == "size" or not is_newer(ours, theirs)

    def close(self) -> None:
        """Let go of what it has on the disk."""
        self._merge.close()


class SyncActions(Stream[SyncAction]):
    """What would be done, as it is found out. Iterate it synchronously or asynchronously."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison

    def next_item(self) -> Plan[SyncAction | None]:
        """Return the next action; None at the end."""
        step = yield from self._comparison.next()
        if step is None:
            self._comparison.close()
            return None
        if step.ours is None:
            assert step.theirs is not None
            return SyncAction("delete", step.name, step.theirs.size)
        same = yield from self._comparison.is_same(step)
        return SyncAction("same" if same else "copy", step.name, step.ours.size)
