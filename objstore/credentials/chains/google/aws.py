"""What proves to Google who we are at AWS: a signed question to AWS, "who am I?", that Google asks in our place.

https://cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds,
https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

from objstore.credentials.aws import Credential
from objstore.credentials.web import NEARBY, json_object, sendable
from objstore.exceptions import UnauthenticatedError
from objstore.settings.masked import Hidden
from objstore.signing.sigv4 import EMPTY_PAYLOAD, authorization, canonical_query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.credentials.chains.google.document import Document
    from objstore.credentials.web import Web
    from objstore.plans.effects import Plan

_WHAT = "The metadata server of AWS"
_HOUR = "300"
"""For how many seconds the session with the metadata server is to be good."""


class AwsSubject:
    """The question, signed by the credential of the environment or of the machine.

    Args:
        source: What the file says of AWS.
        audience: For whom the signature is good.
        web: How to ask.

    Raises:
        ConfigurationError: It is of another version, or incomplete.
    """

    def __init__(self, source: Document, audience: str, web: Web) -> None:
        if source.text("environment_id") != "aws1":
            raise source.refusal("has another environment_id than aws1")
        self._question = source.url("regional_cred_verification_url", allow_http=False)
        self._audience = audience
        self._web = web
        self._urls = {
            name: source.url(name, allow_http=web.allow_http, near=True)
            for name in ("region_url", "url", "imdsv2_session_token_url")
            if name in source
        }

    def token(self) -> Plan[str]:
        """Sign the question."""
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        credential = _from_environment()
        session = {} if region and credential else (yield from self._session())
        region = region or (yield from self._region(session))
        return self._signed(region, credential or (yield from self._credential(session)))

    def _signed(self, region: str, credential: Credential) -> str:
        url = urlsplit(self._question.replace("{region}", region))
        now = datetime.now(UTC)
        headers = {
            "host": url.netloc,
            "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"),
            "x-goog-cloud-target-resource": self._audience,
        }
        if credential.token:
            headers["x-amz-security-token"] = credential.token
        headers["Authorization"] = authorization(
            "POST",
            f"{url.path or '/'}?{canonical_query(parse_qsl(url.query))}",
            headers,
            payload_hash=EMPTY_PAYLOAD,
            credential=credential,
            region=region,
            service=url.netloc.split(".")[0].removesuffix("-fips"),
            now=now,
        )
        asked = {"url": url.geturl(), "method": "POST", "headers": _pairs(headers)}
        return Hidden(quote(json.dumps(asked, separators=(",", ":"), sort_keys=True)))

    def _session(self) -> Plan[dict[str, str]]:
        """Return the header of a session with the metadata server (IMDSv2), if the file says how to have one."""
        if "imdsv2_session_token_url" not in self._urls:
            return {}
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": _HOUR}
        token = yield from self._ask("PUT", self._urls["imdsv2_session_token_url"], headers)
        return {"X-aws-ec2-metadata-token": sendable(_WHAT, token)}

    def _region(self, session: Mapping[str, str]) -> Plan[str]:
        if "region_url" not in self._urls:
            raise UnauthenticatedError("There is no region of AWS", hint="Set AWS_REGION.")
        zone = yield from self._ask("GET", self._urls["region_url"], session)
        return sendable(_WHAT, zone)[:-1]

    def _credential(self, session: Mapping[str, str]) -> Plan[Credential]:
        """Return the credential of the machine's role."""
        if "url" not in self._urls:
            raise UnauthenticatedError("There is no credential of AWS", hint="Set AWS_ACCESS_KEY_ID and its secret.")
        url = self._urls["url"].rstrip("/")
        role = sendable(_WHAT, (yield from self._ask("GET", url, session)))
        reply = yield from self._web.ask(_WHAT, "GET", f"{url}/{quote(role)}", headers=session, limits=NEARBY)
        fields = json_object(_WHAT, reply)
        key, secret, token = (sendable(_WHAT, fields.get(name)) for name in ("AccessKeyId", "SecretAccessKey", "Token"))
        return Credential(key, secret, token)

    def _ask(self, method: str, url: str, headers: Mapping[str, str]) -> Plan[str]:
        reply = yield from self._web.ask(_WHAT, method, url, headers=headers, limits=NEARBY)
        return bytes(reply.body).decode(errors="replace").strip()


def _from_environment() -> Credential | None:
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    return Credential(key, secret, os.environ.get("AWS_SESSION_TOKEN") or None) if key and secret else None


def _pairs(headers: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": name, "value": value} for name, value in headers.items()]
