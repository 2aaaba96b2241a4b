"""What is remembered of requests that have failed: when they last made progress, and whether one was carried out.

Its one invariant: what is known of a request outlives the sending of all requests anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from objstore._core import Reply
    from objstore.http.retry import Failure, Policy


@dataclass(slots=True)
class Trouble:
    """What is remembered of a request that has failed.

    Args:
        at: When it last brought something, or failed first.
        kept: How many bytes it had brought by then.
        attempts: After how many tries.
        mended: Whether it has been tried with another credential, by another clock or for another region.
        left_open: Whether the server may have acted on it.
        lost: Whether it may have, and has not said otherwise: then it must not be sent where twice does harm.
    """

    at: float
    kept: int = 0
    attempts: int = 0
    mended: bool = False
    left_open: bool = False
    lost: bool = False


class Troubles:
    """The requests of an exchange that have failed.

    Args:
        policy: What is tried again, and when.
        safe: Whether a request may be sent twice without harm.
    """

    def __init__(self, policy: Policy, *, safe: bool) -> None:
        self._policy = policy
        self._safe = safe
        self._known: dict[int, Trouble] = {}

    def note(self, reply: Reply, failure: Failure, asked: float) -> Trouble:
        """Return what is known of a failed request; one that brought more than before has made progress.

        Where the server has been silent to all, those that waited for their first try meanwhile have failed as long.

        Args:
            reply: How it failed.
            failure: What that means.
            asked: Since when it has been there to be sent.
        """
        known = self._known.get(reply.index)
        if known is None:
            silent_since = self._policy.silent_since
            began = self._policy.clock() if silent_since is None else max(silent_since, asked)
            known = self._known[reply.index] = Trouble(began, reply.kept)
        elif reply.kept > known.kept:
            known.at, known.kept, known.attempts = self._policy.clock(), reply.kept, reply.attempts - 1
        left_open = reply.lost or (reply.error is None and _may_be_done(reply, failure))
        known.left_open |= left_open
        known.lost |= reply.lost or (left_open and not failure.row.may_repeat)
        return known

    def delay(self, reply: Reply, failure: Failure, *, answered: bool) -> tuple[float, bool] | None:
        """Return how many seconds to wait before a failed request is sent again, and whether no longer than until the
        server answers; None to let its error stand.

        Args:
            reply: How it failed.
            failure: What that means.
            answered: Whether the origin has ever answered.
        """
        if reply.lost and not self._safe:
            return None
        known, policy = self._known[reply.index], self._policy
        tries = reply.attempts - known.attempts
        wait = policy.delay(failure, tries, known.at, safe=self._safe, answered=answered)
        if wait is not None:
            return wait, False
        wait = policy.patience(failure, tries, known.at, safe=self._safe, answered=answered)
        return None if wait is None else (wait, True)

    def is_time_up(self, index: int, failure: Failure, *, answered: bool) -> bool:
        """Tell whether there is no time left for a request, in all of which the server has been silent to everybody."""
        policy, known = self._policy, self._known[index]
        silent = policy.silent_since is not None and policy.silent_since <= known.at
        given = policy.options.retry_timeout > 0 or (failure.row.patience is not None and not answered)
        return silent and given and policy.left(failure.row, known.at, answered=answered) <= 0

    def begin_anew(self, sent: dict[int, int]) -> None:
        """Count tries from the beginning; so often was each request sent before."""
        for index, known in self._known.items():
            known.at, known.kept, known.attempts = self._policy.clock(), 0, sent[index]

    def leave_open(self, index: int) -> bool:
        """Tell whether the server may have acted on a request, in a try that failed."""
        return index in self._known and self._known[index].left_open

    @property
    def allow_all_anew(self) -> bool:
        """Whether all may be sent anew: none has been carried out that must not be twice."""
        return self._safe or not any(known.lost for known in self._known.values())


def _may_be_done(reply: Reply, failure: Failure) -> bool:
    """Tell whether the server may have done what it answered so; an error in a success says that it has not."""
    return failure.row.leaves_open or (reply.status < 300 and failure.code is None)
