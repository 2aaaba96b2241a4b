"""Keys, as the fake checks them: HMAC keys that sign requests, and customers' keys that encrypt objects.

https://cloud.google.com/storage/docs/authentication/signatures
https://cloud.google.com/storage/docs/encryption/customer-supplied-keys
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from tests.gcs.messages import Call
from tests.gcs.objects import RefusedError

OWN = "x-goog-encryption-"
_AUTHORIZATION = re.compile(
    r"GOOG4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/auto/storage/goog4_request, SignedHeaders=(\S+), Signature=(\S+)"
)


def check_signature(call: Call, name: str, secret: str) -> None:
    """Raise if a request is not signed by a key, or a header of Google's is not signed."""
    found = _AUTHORIZATION.fullmatch(call.headers["Authorization"] or "")
    if found is None or found[1] != name:
        raise RefusedError(403, "InvalidSecurity", "The provided security credentials are not valid.")
    names = found[3].split(";")
    loose = [each.lower() for each in call.headers if each.lower().startswith("x-goog-") and each.lower() not in names]
    path, _, query = call.target.partition("?")
    lines = "".join(f"{each}:{' '.join(call.headers[each].split())}\n" for each in names)
    payload = call.headers["x-goog-content-sha256"]
    request = f"{call.method}\n{path}\n{query}\n{lines}\n{found[3]}\n{payload}"
    time = call.headers["x-goog-date"]
    scope = f"{found[2]}/auto/storage/goog4_request"
    text = f"GOOG4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    if loose or "host" not in names or signed(secret, scope, text) != found[4] or not time.startswith(found[2]):
        raise RefusedError(403, "SignatureDoesNotMatch", "The request signature does not match.")
    if payload not in ("UNSIGNED-PAYLOAD", hashlib.sha256(call.body).hexdigest()):
        raise RefusedError(400, "XAmzContentSHA256Mismatch", "The body is another.")


def signed(secret: str, scope: str, text: str) -> str:
    """Return the signature of a text."""
    key = b"GOOG4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def key_of(call: Call, prefix: str = OWN) -> str | None:
    """Return the SHA-256 of the customer's key that comes with a request; None for none.

    Raises:
        RefusedError: It is not whole.
    """
    told = {name: call.headers[prefix + name] for name in ("algorithm", "key", "key-sha256")}
    if set(told.values()) == {None}:
        return None
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(told["key"])).digest()).decode()
    if told["algorithm"] != "AES256" or told["key-sha256"] != digest:
        raise RefusedError(400, "customerEncryptionKeyIsIncorrect", "The encryption key is not whole.")
    return digest


def check_key(wanted: str | None, call: Call, prefix: str = OWN) -> None:
    """Raise if a request does not come with the key that an object is encrypted with."""
    if key_of(call, prefix) != wanted:
        raise RefusedError(400, "resourceIsEncryptedWithCustomerEncryptionKey", "The key is another, or missing.")
