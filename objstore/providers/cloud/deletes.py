"""Many objects deleted by few requests: what an answer says was not deleted, and may be tried again, is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from objstore.plans.effects import Sleep
from objstore.providers.cloud.documents import Tries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from objstore.exceptions import BaseError
    from objstore.http.retry import Failure, Policy
    from objstore.plans.effects import Plan


class Undeleted(NamedTuple):
    """Why an object was not deleted: the error, and the failure in the reply, where that said so."""

    error: BaseError
    failure: Failure | None = None


def delete_again(
    policy: Policy, keys: Sequence[str], delete: Callable[[Sequence[str]], Plan[dict[str, Undeleted]]]
) -> Plan[dict[str, BaseError]]:
    """Delete objects, and those again that a reply says to try again; return what failed, by key.

    Args:
        policy: What is tried again, and when.
        keys: The objects.
        delete: Sends the requests, once.
    """
    tries = Tries(policy)
    errors: dict[str, BaseError] = {}
    left = keys
    while True:
        failed = yield from delete(left)
        errors |= {key: each.error for key, each in failed.items()}
        again = {
            key: each.failure for key, each in failed.items() if each.failure and each.failure.row.again != "never"
        }
        wait = tries.wait(max(again.values(), key=lambda failure: failure.row.throttled), safe=True) if again else None
        if wait is None:
            return errors
        for key in again:
            del errors[key]
        left = [*again]
        yield Sleep(wait)
