"""Keys that the service gives to those who have an access token, to sign URLs by (Get User Delegation Key).

https://learn.microsoft.com/rest/api/storageservices/get-user-delegation-key
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from objstore._core import Buffer
from objstore.exceptions import CorruptResponseError
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.http.xml import build, parse
from objstore.signing.azure import DelegationKey
from objstore.signing.sigv4 import canonical_query

if TYPE_CHECKING:
    from objstore.http.service import Service
    from objstore.plans.effects import Plan

LONGEST = timedelta(days=7)
"""How long such a key is good, at the most."""

USUAL = timedelta(hours=12)
"""For how long one is asked for, where no URL has to be good for longer: it serves many."""

SPARE = timedelta(minutes=5)
"""How much later than the URL that it is asked for a key ends; and how wrong the clock of this machine may be."""

_TARGET = "/?" + canonical_query([("comp", "userdelegationkey"), ("restype", "service")])


class DelegationKeys:
    """The delegation keys of an account: one is used as long as it lasts.

    Args:
        service: Who gives them.
        above: The path of the account below its origin, as emulators have it.
    """

    def __init__(self, service: Service, above: str) -> None:
        self._service = service
        self._target = f"{above}{_TARGET}".encode()
        self._key: DelegationKey | None = None

    def key(self, expires_in: timedelta | None) -> Plan[DelegationKey]:
        """Return a key that is good for so long; None: for as long as there are any.

        Raises:
            ValueError: No key is good for so long.
        """
        now = datetime.now(UTC)
        expires_in = LONGEST - 2 * SPARE if expires_in is None else expires_in
        if expires_in > LONGEST - SPARE:
            raise ValueError(
                f"The URL would be good until {now + expires_in:%Y-%m-%d %H:%M:%S} UTC. A user delegation key that "
                f"signs it ends at {now + LONGEST - SPARE:%Y-%m-%d %H:%M:%S} UTC at the latest: "
                "give a shorter expires_in."
            )
        known = self._key
        if known is None or known.expires_at is None or now + expires_in > known.expires_at - SPARE:
            known = self._key = yield from self._ask(now, min(max(expires_in + 2 * SPARE, USUAL), LONGEST))
        return known

    def _ask(self, now: datetime, life: timedelta) -> Plan[DelegationKey]:
        times = [("Start", _text(now - SPARE)), ("Expiry", _text(now + life - SPARE))]
        exchange = Exchange(self._service, Shape("POST", {"Content-Type": "application/xml"}), lambda _: "")
        exchange.add(self._target, body=Buffer(build("KeyInfo", times)))
        root = parse(bytes((yield from exchange.only()).body), "UserDelegationKey")
        expiry = root.find_text("SignedExpiry")
        try:
            ends = datetime.fromisoformat(expiry)
        except ValueError:
            raise CorruptResponseError(f"The user delegation key ends at {expiry!r}, which is no time") from None
        return DelegationKey(
            oid=root.find_text("SignedOid"),
            tid=root.find_text("SignedTid"),
            start=root.find_text("SignedStart"),
            expiry=expiry,
            service=root.find_text("SignedService"),
            version=root.find_text("SignedVersion"),
            value=root.find_text("Value"),
            expires_at=ends,
        )


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
