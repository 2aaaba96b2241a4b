"""Google's token services, and the metadata servers of Google and AWS: each takes only what its documentation allows.

A token tells whose it is, so that two clients that were given the same one are known to be the same.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests import token_services
from tests.token_services import RefusedError, require

HOSTS = (
    "oauth2.googleapis.com",
    "sts.googleapis.com",
    "iamcredentials.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "tokens.example",
)
MACHINE = ("127.0.0.1", "169.254.169.254", "metadata.google.internal")
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
IAM_SCOPE = "https://www.googleapis.com/auth/iam"
EMAIL = "me@project.iam.gserviceaccount.com"
TARGET = "target@project.iam.gserviceaccount.com"
POOL = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/p"
WORKFORCE = "//iam.googleapis.com/locations/global/workforcePools/pool/providers/p"
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
AWS_TYPE = "urn:ietf:params:aws:token-type:aws4_request"
AWS_KEY, AWS_SECRET, AWS_TOKEN = "AKIAPLANTED", "planted-aws-secret", "planted-aws-session"
CLIENT_SECRET, REFRESH_TOKEN = "planted-client-secret", "planted-refresh-token"
SUBJECT = "planted-subject-token"
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Request(token_services.Request):
    """A request, as a service sees it."""

    def told(self) -> str:
        """Return the one secret in it, or a part of that; a service says back no more than some words."""
        form = dict(parse_qs(self.body.decode()))
        fields = ("subject_token", "refresh_token", "assertion")
        secret = next((form[name][0] for name in fields if name in form), "")
        secret = secret or self.headers.get("authorization") or self.headers.get("x-proof") or "nothing"
        return f"no: {secret[:280]!r}"

    def form_of(self, *names: str) -> dict[str, str]:
        """Return the form, which has these fields at the most."""
        fields = self.form()
        require(set(fields) <= set(names), f"fields {set(fields) - set(names)}")
        return fields


@dataclass
class Cloud:
    """All services.

    Args:
        url: Where they are, in plain http on loopback.
        fails: How many of the next requests are answered with 503.
        life: For how many seconds tokens are good.
        echoes: Whether every request is refused, with all that was sent in the message.
        universe: The universe that the metadata server is of.
        renews: Whether an external user's refresh token is good for one time only.
        seen: The requests.
    """

    url: str = ""
    fails: int = 0
    life: int = 3600
    echoes: bool = False
    renews: bool = False
    universe: str = "googleapis.com"
    refresh_token: str = REFRESH_TOKEN
    seen: list[Request] = field(default_factory=list)

    def forget(self) -> None:
        """Be as in the beginning."""
        self.__dict__.update(Cloud(self.url).__dict__)

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Answer a request, or say why not."""
        self.seen.append(request)
        if self.fails:
            self.fails -= 1
            return 503, {}, b""
        if self.echoes:
            return 400, {}, json.dumps({"error": "echoed", "error_description": request.told()}).encode()
        try:
            status, headers, reply = self.service(request)(request)
        except (RefusedError, KeyError, ValueError) as error:
            words = {"error": "invalid_request", "error_description": f"{type(error).__name__} {error}"}
            return 400, {}, json.dumps(words).encode()
        body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        return status, headers, body

    def service(self, request: Request) -> Callable[[Request], tuple[int, dict[str, str], Any]]:
        services = {
            "oauth2.googleapis.com": self.token_server,
            "tokens.example": self.token_server,
            "sts.googleapis.com": self.exchange,
            "iamcredentials.googleapis.com": self.iam,
        }
        if request.host in services:
            return services[request.host]
        return self.machine if request.host.startswith(MACHINE) else self.nothing

    def nothing(self, request: Request) -> tuple[int, dict[str, str], Any]:
        return 403, {}, {"error": {"status": "PERMISSION_DENIED", "message": "no"}}

    def token(self, identity: str, **more: object) -> tuple[int, dict[str, str], Any]:
        return 200, {}, {"access_token": identity, "expires_in": self.life, "token_type": "Bearer", **more}

    def token_server(self, request: Request) -> tuple[int, dict[str, str], Any]:
        names = ("grant_type", "assertion", "client_id", "client_secret", "refresh_token", "scope")
        fields = request.form_of(*names)
        require(request.path == "/token", request.path)
        if fields["grant_type"] == "refresh_token":
            if fields["refresh_token"] != REFRESH_TOKEN or fields["client_secret"] != CLIENT_SECRET:
                return 400, {}, {"error": "invalid_grant", "error_description": f"no {fields['refresh_token']}"}
            return self.token(f"user:{fields['client_id']}")
        require(fields["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer", "grant type")
        audiences = (f"https://{request.host}/token", "https://oauth2.googleapis.com/token")
        return self.token(identity_of_jwt(fields["assertion"], *audiences))

    def exchange(self, request: Request) -> tuple[int, dict[str, str], Any]:
        require(request.path == "/v1/token", request.path)
        if "refresh_token" in parse_qs(request.body.decode()):
            fields = request.form_of("grant_type", "refresh_token")
            require(fields == {"grant_type": "refresh_token", "refresh_token": self.refresh_token}, "refresh token")
            self.refresh_token += "+" if self.renews else ""
            return self.token(f"external-user:{_client(request)}", refresh_token=self.refresh_token)
        names = ("audience", "scope", "subject_token", "subject_token_type", "requested_token_type", "grant_type")
        fields = request.form_of(*names, "options")
        require(fields["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange", "grant type")
        require(fields["requested_token_type"] == "urn:ietf:params:oauth:token-type:access_token", "requested type")
        require(fields["scope"] in (SCOPE, IAM_SCOPE), "scope")
        project = json.loads(unquote(fields.get("options", "{}"))).get("userProject", "")
        subject = _subject(fields)
        where = "workforce" if fields["audience"] == WORKFORCE else "pool"
        require(fields["audience"] in (POOL, WORKFORCE), "audience")
        identity = f"{where}:{subject}:{project}:{fields['scope']}:{_client(request)}"
        return self.token(identity, expires_in=str(self.life))

    def iam(self, request: Request) -> tuple[int, dict[str, str], Any]:
        found = re.fullmatch(r"/v1/projects/-/serviceAccounts/([^:/]+):(\w+)", request.path)
        fields = json.loads(request.body)
        require(found is not None and request.headers["content-type"] == "application/json", request.path)
        assert found is not None
        kind, token = request.headers["authorization"].split(" ", 1)
        require(kind == "Bearer", kind)
        who = identity_of_jwt(token) if token.count(".") == 2 and token.startswith("ey") else token
        chain = ">".join([who, *(fields.get("delegates") or []), unquote(found[1])])
        if found[2] == "signBlob":
            digest = hashlib.sha256(chain.encode() + base64.b64decode(fields["payload"], validate=True)).digest()
            return 200, {}, {"keyId": "k", "signedBlob": base64.b64encode(digest).decode()}
        require(found[2] == "generateAccessToken" and fields["scope"] == [SCOPE], "scope")
        seconds = int(fields["lifetime"].removesuffix("s"))
        end = datetime.now(UTC) + timedelta(seconds=seconds)
        quota = request.headers.get("x-goog-user-project", "")
        answer = {"accessToken": f"as({chain})/{quota}", "expireTime": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return 200, {}, answer

    def machine(self, request: Request) -> tuple[int, dict[str, str], Any]:
        """Answer as the metadata servers of Google and AWS, and as a URL that gives out subject tokens."""
        if request.path == "/subject":
            require(request.headers.get("x-proof") == "planted-proof", "proof")
            return 200, {}, {"value": SUBJECT}
        if request.path.startswith("/latest/"):
            return self.aws(request)
        require(request.headers.get("metadata-flavor") == "Google", "flavor")
        account = {"email": EMAIL, "scopes": [SCOPE], "aliases": ["default"]}
        found = {
            "/": b"computeMetadata/\n",
            "/computeMetadata/v1/instance/service-accounts/default/email": EMAIL.encode(),
            "/computeMetadata/v1/instance/service-accounts/default/": account,
            "/computeMetadata/v1/project/project-id": b"project",
            "/computeMetadata/v1/universe/universe-domain": self.universe.encode(),
            "/computeMetadata/v1/instance/service-accounts/default/token": {
                "access_token": f"machine:{request.query.get('scopes')}",
                "expires_in": self.life,
            },
        }
        reply = found[request.path]
        kind = "application/text" if isinstance(reply, bytes) else "application/json"
        return 200, {"Metadata-Flavor": "Google", "Content-Type": kind}, reply

    def aws(self, request: Request) -> tuple[int, dict[str, str], Any]:
        if request.path == "/latest/api/token":
            require(request.method == "PUT" and int(request.headers["x-aws-ec2-metadata-token-ttl-seconds"]) > 0, "ttl")
            return 200, {}, b"session"
        require(request.headers.get("x-aws-ec2-metadata-token") == "session", "session")
        found: dict[str, Any] = {
            "/latest/meta-data/placement/availability-zone": b"eu-west-9b",
            "/latest/meta-data/iam/security-credentials": b"role",
            "/latest/meta-data/iam/security-credentials/role": {
                "AccessKeyId": AWS_KEY,
                "SecretAccessKey": AWS_SECRET,
                "Token": AWS_TOKEN,
            },
        }
        return 200, {}, found[request.path]


def _client(request: Request) -> str:
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    if not kind:
        return ""
    name, secret = base64.b64decode(text).decode().split(":")
    require(kind == "Basic" and secret == CLIENT_SECRET, "client")
    return name


def identity_of_jwt(token: str, *audiences: str) -> str:
    """Return whose token it is: signed by the key, of now, and for one of the audiences or for what a scope says."""
    header, claims, signature = token.split(".")
    KEY.public_key().verify(_decoded(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), SHA256())
    head, said = json.loads(_decoded(header)), json.loads(_decoded(claims))
    require(head == {"alg": "RS256", "typ": "JWT", "kid": "key-id"}, f"header {head}")
    now = datetime.now(UTC).timestamp()
    require(said["iat"] <= now + 10 and now < said["exp"] <= said["iat"] + 3600, "time")
    require(said["aud"] in audiences if audiences else said["sub"] == said["iss"] and "aud" not in said, "audience")
    return f"account:{said['iss']}:{said['scope']}"


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _subject(fields: dict[str, str]) -> str:
    if fields["subject_token_type"] == JWT_TYPE:
        require(fields["subject_token"] == SUBJECT, "subject")
        return "subject"
    require(fields["subject_token_type"] == AWS_TYPE, "subject type")
    asked = json.loads(unquote(fields["subject_token"]))
    headers = {pair["key"].lower(): pair["value"] for pair in asked["headers"]}
    require(headers["x-goog-cloud-target-resource"] == fields["audience"], "target")
    key, _, region, service, _ = re.search("Credential=([^,]+)", headers["authorization"])[1].split("/")  # type: ignore[index]
    names = re.search("SignedHeaders=([^,]+)", headers["authorization"])[1].split(";")  # type: ignore[index]
    require({"host", "x-amz-date"} <= {*names} and key == AWS_KEY, "signed headers")
    token = headers.get("x-amz-security-token")
    request = AWSRequest(asked["method"], asked["url"], {name: headers[name] for name in names if name != "host"})
    request.context["timestamp"] = headers["x-amz-date"]
    judge = SigV4Auth(Credentials(key, AWS_SECRET, token), service, region)
    signature = judge.signature(judge.string_to_sign(request, judge.canonical_request(request)), request)
    require(headers["authorization"].endswith(f"Signature={signature}"), "signature")
    require(headers["host"] == urlsplit(asked["url"]).netloc, "host")
    return f"aws:{region}:{token}"


@contextmanager
def running(address: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[Cloud]:
    """Run all services until the block is left."""
    cloud = Cloud()

    with token_services.serving(cloud.answer, Request, address) as cloud.url:
        yield cloud
