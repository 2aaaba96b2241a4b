"""What S3 knows of objects beside their bytes: locks, which are given to it, and the state of archived ones.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from objstore.exceptions import ConfigurationError
from objstore.http.client import parse_http_date
from objstore.interface.values import LOCKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.types import RestoreState

MODE, UNTIL, HOLD = LOCKS

ARCHIVED = "InvalidObjectState"
"""The error code of an object that must be restored before it is read."""

_KINDS = {MODE: ("GOVERNANCE", "COMPLIANCE"), HOLD: ("ON", "OFF")}
_FIELD = re.compile(r'([a-z-]+)="([^"]*)"')


def check_locks(attributes: Mapping[str, str], *, summed: bool) -> None:
    """Raise if attributes lock an object in no way that S3 knows.

    Args:
        attributes: What is to be stored with it.
        summed: Whether a checksum goes with it, which S3 wants of all that it locks.

    Raises:
        ValueError: A value is none, or half of a retention is missing.
        ConfigurationError: No checksum goes with it.
    """
    given = {name: attributes[name] for name in LOCKS if name in attributes}
    if not given:
        return
    for name, kinds in _KINDS.items():
        if name in given and given[name] not in kinds:
            raise ValueError(f"the attribute {name} = {given[name]!r}: give one of {', '.join(kinds)}")
    if (MODE in given) != (UNTIL in given):
        raise ValueError(f"a retention has two attributes, {MODE} and {UNTIL}, and only one is given: give both")
    if UNTIL in given and not _is_time(given[UNTIL]):
        raise ValueError(f"the attribute {UNTIL} = {given[UNTIL]!r}: give a time such as 2030-01-31T00:00:00Z")
    if not summed:
        raise ConfigurationError(
            f"{min(given)} needs a checksum of what is written, and none is sent",
            hint="Give the setting checksum_algorithm.",
        )


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def restore_state(text: str) -> RestoreState:
    """Return what x-amz-restore says of an archived object."""
    told = dict(_FIELD.findall(text))
    return {"ongoing": told.get("ongoing-request") == "true", "expiry": parse_http_date(told.get("expiry-date", ""))}


def restored(state: RestoreState | None) -> str:
    """Return a sentence on how far an archived object is restored."""
    if state is None:
        return "No restore is under way."
    if state["ongoing"]:
        return "A restore is under way."
    return "A restore has ended since: read it again."
