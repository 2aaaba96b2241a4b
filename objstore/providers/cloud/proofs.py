"""Whether services look at the conditions of writes: what is known of some, and how others prove it, once in a process.

A service that knows no such condition ignores it: it answers the write as done, and what another has put there is gone
without a word. So a service of which nobody has said anything proves itself with the first write of each kind: by a
request under a condition that cannot hold. Who looks at conditions refuses that (412), and changes nothing. What it
does to a service that ignores them decides which request it is:

- What must hold is looked at first (HEAD). So what an ignored condition replaces was put there in the moment between,
  and would have been lost without a proof too; the error says so.
- Where one version may be replaced, the bytes go first under an ETag that nothing has. Who ignores that has made the
  write once, as it would have been made anyway.
- Where nothing may be replaced, no condition fails until something is there: the same bytes go once more under the same
  one. If they are taken, the object may have been deleted in between, so they go a third time: only who takes them each
  time ignores the condition. What another writes in these moments is lost on such a service, and the error says so.
- At the end of an upload in parts, the object is copied onto itself in parts (UploadPartCopy): it stays what it is.

Nothing is written under a key of our own. A verdict is of a place, a condition, and of PutObject or
CompleteMultipartUpload: services have some and lack others. Several who prove it at a time come to the same: a refusal
proves it for all, and an answer that was lost proves nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from objstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.interface.values import WriteOptions
    from objstore.plans.effects import Plan
    from objstore.types import PutResult

T = TypeVar("T")

KNOWN = {
    "r2.cloudflarestorage.com": "https://developers.cloudflare.com/r2/api/s3/conditional-operations/",
    "cwobject.com": "https://docs.coreweave.com/products/storage/object-storage/buckets/conditional-requests",
    "cwlota.com": "https://docs.coreweave.com/products/storage/object-storage/buckets/conditional-requests",
}
"""The hosts, beside Amazon's, of which their makers say that If-None-Match and If-Match count, for PutObject and for
CompleteMultipartUpload, and where they say so."""

NOBODYS = '"00000000000000000000000000000000"'
"""An ETag that no object has: that of an MD5 sum nobody has ever seen."""

REFUSED = 412
NOT_IMPLEMENTED = 501

SAID_OTHERWISE = (404, 409)
"""How some services refuse a condition: where nothing is there that could be replaced, or something that may not be. Of
a write that was just taken, or whose object was just seen, that can mean nothing else."""

_SHOWN: dict[Condition, bool] = {}


def is_known(host: str) -> bool:
    """Tell whether conditions are known to count on a host."""
    return any(host == name or host.endswith(f".{name}") for name in KNOWN)


class Condition(NamedTuple):
    """A kind of condition of the writes to a place.

    Args:
        place: What stands in front of the keys there.
        header: The header that says what must hold.
        in_parts: Whether it goes with the end of an upload.
    """

    place: str
    header: str
    in_parts: bool

    @property
    def shown(self) -> bool | None:
        """Whether the service looks at it; None: it has not shown yet. Who ignores it with a PUT has it nowhere."""
        shown = _SHOWN.get(self)
        if shown is None and self.in_parts and _SHOWN.get(self._replace(in_parts=False)) is False:
            return False
        return shown

    def ignored(self) -> NotSupportedError:
        """Return the error of a write that is not sent: the service was seen to ignore the condition."""
        return NotSupportedError(f"The write needs {self}, which the service has shown to ignore", hint=HINT)

    def unsent(self) -> NotSupportedError:
        """Return the error of a write that is not sent, as one before it failed that was to prove the condition."""
        return NotSupportedError(
            f"It was not sent: another write failed by which the service was to prove that it looks at {self}",
            hint=HINT,
        )

    def __str__(self) -> str:
        """Return what it is."""
        return f"{self.header} {'at the end of an upload in parts' if self.in_parts else 'of a PUT'}"


HINT = (
    "conditional_put='disabled' has such writes refused before anything is sent; if the service has them all the same, "
    "conditional_put='etag' says so, and nothing is asked of it."
)


def cannot_hold(options: WriteOptions) -> WriteOptions:
    """Return the same with a condition that does not hold, once the object is there."""
    return options if options.mode == "create" else replace(options, mode={"e_tag": NOBODYS})


def noted(condition: Condition, write: Plan[T]) -> Plan[T]:
    """Write; where the condition is refused, the service has shown that it looks at it."""
    try:
        return (yield from write)
    except BaseError as error:
        if _is_refusal(error, REFUSED):
            _SHOWN[condition] = True
        elif error.status == NOT_IMPLEMENTED:
            _add(error, f"If it is {condition} that the service lacks: {HINT}")
        raise


def is_refused(condition: Condition, write: Plan[object]) -> Plan[bool]:
    """Tell whether a write is refused whose condition cannot hold: then the service looks at it."""
    try:
        yield from write
    except BaseError as error:
        if not _is_refusal(error, REFUSED, *SAID_OTHERWISE):
            raise unproved(condition, error) from None
        _SHOWN[condition] = True
        return True
    return False


def _is_refusal(error: BaseError, *statuses: int) -> bool:
    """Tell whether a service has refused a condition: a lost answer is no refusal, whatever there is now.

    Where an answer before that left open whether it was done, what was done then is what is refused to be replaced.
    """
    refused = error.status in statuses or error.code == "PreconditionFailed"
    return isinstance(error, (AlreadyExistsError, PreconditionError)) and refused


def _add(error: BaseError, words: str) -> None:
    """Add sentences to those of an error."""
    error.args = (f"{str(error).removesuffix('.')}. {words}",)


def unasked(condition: Condition, error: BaseError) -> BaseError:
    """Say of an error that it kept a write from being sent that the service is to prove itself by."""
    if not isinstance(error, (AlreadyExistsError, PreconditionError)):
        _add(error, f"It is asked before the service proves that it looks at {condition}. {HINT}")
    return error


def unproved(condition: Condition, error: BaseError) -> BaseError:
    """Say of an error that it is that of a proof."""
    _add(error, f"The request was to prove that the service looks at {condition}. {HINT}")
    error.maybe_applied = True
    return error


def put_first(
    condition: Condition, put: Callable[[WriteOptions], Plan[PutResult]], options: WriteOptions
) -> Plan[PutResult]:
    """Write an object by one request, and have the service prove that it looks at the condition.

    Args:
        condition: The condition.
        put: Writes it, once.
        options: How it is to be written.

    Raises:
        NotSupportedError: The service ignores the condition.
    """
    if options.mode != "create":
        if not (yield from is_refused(condition, put(cannot_hold(options)))):
            raise overruled(condition)
        return (yield from put(options))
    result = yield from noted(condition, put(options))
    for _ in range(2):
        if (yield from is_refused(condition, put(options))):
            return result
    raise overruled(condition)


def overruled(condition: Condition) -> NotSupportedError:
    """Note that a service ignores a condition, and return the error of the write that showed it."""
    _SHOWN[condition] = False
    return NotSupportedError(
        f"The service ignores {condition}: it took what it had to refuse. The object is written, and may have replaced "
        "what another has put there since it was looked at",
        hint=HINT,
        maybe_applied=True,
    )
