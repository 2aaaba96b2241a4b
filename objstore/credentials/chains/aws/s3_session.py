"""Sessions of directory buckets (S3 Express One Zone): a key for one bucket, which its service gives for five minutes.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from objstore.credentials.chains.aws.answers import credential
from objstore.credentials.shared import derived
from objstore.credentials.sigv4 import SigV4
from objstore.exceptions import CorruptResponseError, UnauthenticatedError
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.http.xml import Element, parse
from objstore.signing.sigv4 import SESSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore._core import Reply
    from objstore.credentials.aws import Credential
    from objstore.http.service import Service
    from objstore.plans.effects import Plan

NAME = "s3_express_session"
"""What the source is called where a store tells of itself."""

_NAMES = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")


class Sessions:
    """The service that gives sessions for one bucket.

    Args:
        service: The bucket's, which knows us by our own key.
        base: The path of the bucket there, percent-encoded.
        headers: What a session is asked for.
    """

    name = NAME
    refresh_threshold = timedelta(minutes=1)

    def __init__(self, service: Service, base: str, headers: Mapping[str, str]) -> None:
        self._service = service
        self._target = f"{base or '/'}?session=".encode()
        self._headers = headers

    def fetch(self) -> Plan[Credential]:
        """Have a session begin (CreateSession)."""
        yield from self._service.refresh()
        shape = Shape("GET", self._headers)
        exchange = Exchange(self._service, shape, lambda _: "", detail=lambda _: " session", keep_head=True)
        exchange.add(self._target)
        return _read((yield from exchange.only()))


def session(key: SigV4, service: Service, base: str, headers: Mapping[str, str], told: object) -> SigV4:
    """Return who we are to a directory bucket: whoever has a session, which stores share that would ask for the same.

    Args:
        key: Our own key.
        service: The bucket's, which knows us by that.
        base: The path of the bucket there, percent-encoded.
        headers: What a session is asked for.
        told: All else that it depends on: plain values.
    """
    all_told = [service.origin, key.region, base, headers, told]
    sessions = derived(key.credentials, all_told, lambda: Sessions(service, base, headers))
    return SigV4(sessions, key.region, key.service, SESSION)


def _read(reply: Reply) -> Credential:
    """Read a CreateSessionResult."""
    try:
        document = parse(bytes(reply.body), "CreateSessionResult")
    except CorruptResponseError:
        raise UnauthenticatedError(
            "The bucket gave no session: its answer cannot be read", status=reply.status
        ) from None
    found = next(iter(document.find_all("Credentials")), Element("", "", []))
    return credential("The session of the bucket", {child.tag: child.text for child in found.children}, _NAMES)
