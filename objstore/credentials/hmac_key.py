"""An HMAC key of Google Cloud Storage: it signs requests and URLs itself, and has no access token.

https://cloud.google.com/storage/docs/authentication/hmackeys
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from objstore.credentials.aws import Credential
from objstore.credentials.current import Credentials
from objstore.credentials.sigv4 import SigV4
from objstore.settings.masked import hide
from objstore.signing.life import LONGEST
from objstore.signing.sigv4 import GOOGLE, signing_key

if TYPE_CHECKING:
    from objstore.plans.effects import Plan

REGION, SERVICE = "auto", "storage"
"""What stands in signatures for any place of the bucket."""


class HmacKey:
    """A key that signs.

    Args:
        access_key_id: Its name.
        secret: What it signs with.
    """

    longest = LONGEST

    def __init__(self, access_key_id: str, secret: str) -> None:
        self._name = access_key_id
        self._secret = hide(secret)

    def identity(self) -> SigV4:
        """Return who we are to the XML API."""
        return SigV4(Credentials(Credential(self._name, self._secret)), REGION, SERVICE, GOOGLE)

    def email(self) -> Plan[str]:
        """Return the name of the key, which stands where that of an account would."""
        yield from ()
        return self._name

    def sign(self, data: bytes) -> Plan[bytes]:
        """Sign what a URL is good for: its second line begins with the day."""
        yield from ()
        day = data.split(b"\n")[1][:8].decode()
        return hmac.digest(signing_key(self._secret, day, REGION, SERVICE, GOOGLE), data, "sha256")
