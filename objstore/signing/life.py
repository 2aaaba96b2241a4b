"""For how long a signed URL is good: never longer than what signs it, which nobody would be told of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

LONGEST = timedelta(days=7)
"""How long a URL is good at the most: Amazon and Google take no more, and keys that never end need some end."""


def life_of(expires_in: timedelta | None, ends: datetime | None, what: str, longest: timedelta = LONGEST) -> timedelta:
    """Return for how long a URL is to be good, in whole seconds.

    Args:
        expires_in: What was asked for; None for as long as what signs it is good.
        ends: When that ends, aware; None for never.
        what: What it is called, for the message.
        longest: How long what it signs is good at the most, if nothing is asked for.

    Raises:
        ValueError: It would outlive what signs it, or that ends now.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    if expires_in is not None:
        if ends is not None and now + expires_in > ends:
            raise ValueError(
                f"The URL would be good until {_time(now + expires_in)}. {what} that signs it ends at {_time(ends)}: "
                "give a shorter expires_in, or expires_in='credential'."
            )
        return expires_in
    left = longest if ends is None else min(longest, ends - now)
    if left < timedelta(seconds=1):
        raise ValueError(f"{what} that would sign the URL ends at {_time(ends)}: have another one.")
    return timedelta(seconds=int(left.total_seconds()))


def _time(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
