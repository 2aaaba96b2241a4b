"""The services of AWS that hand out credentials, on addresses of this machine: what each is told decides what it gives.

A credential's name is made of the request (which role, by whose key, for which session), so that two clients who end
with the same credential have asked the same.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.listener import Listener

ENDS = "2040-01-01T00:00:00Z"
IMDS_TOKEN = "imds-token"
SSO_TOKEN = "sso-access-token"
RENEWED = "renewed-access-token"
ROLES = "/latest/meta-data/iam/security-credentials/"


def named(*parts: str) -> str:
    """Return the name that a credential has for a request."""
    return f"ASIA{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16].upper()}"


@dataclass
class Behaviour:
    """How the services behave.

    Args:
        token_status: How the instance's service answers a request for a token.
        ends: When the instance's credential ends.
        status: How all answer that would give a credential.
        role: The role of the instance; empty for none.
        region: The region of the instance.
        seconds: How long what STS gives is good; 0 for until `ENDS`.
    """

    token_status: int = 200
    ends: str = ENDS
    status: int = 200
    role: str = "instance-role"
    region: str = "cn-north-1"
    seconds: float = 0
    wait: float = 0
    seen: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """Answer as STS, IAM Identity Center, a container's endpoint or an instance's."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_PUT(self) -> None:
        behaviour = self.server.behaviour
        behaviour.seen.append("token")
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(behaviour.token_status, IMDS_TOKEN.encode() if behaviour.token_status == 200 else b"")

    def do_GET(self) -> None:
        behaviour = self.server.behaviour
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        behaviour.seen.append(path)
        if path == "/latest/meta-data/placement/region":
            self.answer(200 if behaviour.region else 404, behaviour.region.encode())
        elif path.startswith(ROLES):
            self.instance(path.removeprefix(ROLES))
        elif path == "/federation/credentials":
            self.federation(query)
        elif path.startswith("/container"):
            by = self.headers.get("Authorization", "nobody")
            self.give({**self.fields(named("container", path, by)), "Expiration": ENDS})
        else:
            self.answer(404, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.behaviour.seen.append(urlsplit(self.path).path)
        time.sleep(self.server.behaviour.wait)
        if urlsplit(self.path).path == "/token":
            self.token(json.loads(body))
        else:
            self.role({name: values[0] for name, values in parse_qs(body.decode()).items()})

    def instance(self, role: str) -> None:
        behaviour = self.server.behaviour
        if behaviour.token_status == 200 and self.headers.get("x-aws-ec2-metadata-token") != IMDS_TOKEN:
            self.answer(401, b"")
        elif not behaviour.role:
            self.answer(404, b"")
        elif not role:
            self.answer(200, behaviour.role.encode())
        else:
            self.give({"Code": "Success", **self.fields(named("instance", role)), "Expiration": behaviour.ends})

    def federation(self, query: dict[str, list[str]]) -> None:
        token = self.headers.get("x-amz-sso_bearer_token", "")
        if token not in (SSO_TOKEN, RENEWED):
            self.answer(401, json.dumps({"message": "Session token not found or invalid"}).encode())
            return
        name = named("sso", token, query["role_name"][0], query["account_id"][0])
        fields = {"accessKeyId": name, "secretAccessKey": f"secret-{name}", "sessionToken": f"token-{name}"}
        self.give({"roleCredentials": {**fields, "expiration": 2208988800000}})

    def token(self, asked: dict[str, Any]) -> None:
        if (asked["clientId"], asked["clientSecret"], asked["refreshToken"]) != ("client", "client-secret", "refresh"):
            self.answer(400, json.dumps({"error": "invalid_grant"}).encode())
            return
        self.give({"accessToken": RENEWED, "expiresIn": 28800, "refreshToken": "refresh", "tokenType": "Bearer"})

    def role(self, asked: dict[str, str]) -> None:
        by = re.search(r"Credential=([^/]+)/\d+/([^/]+)/sts/", self.headers.get("Authorization", ""))
        session = re.sub(r"^(objstore|botocore)-session-\d+$", "usual", asked.get("RoleSessionName", ""))
        told = [asked.get(name, "") for name in ("RoleArn", "ExternalId", "DurationSeconds", "WebIdentityToken")]
        name = named(asked["Action"], *told, session, *(by.groups() if by else ("nobody",)))
        action = asked["Action"]
        if self.server.behaviour.status != 200 or "denied" in asked["RoleArn"]:
            document = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error>"
            self.answer(403, f"{document}<RequestId>r</RequestId></ErrorResponse>".encode(), "text/xml")
            return
        seconds = self.server.behaviour.seconds
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds)) if seconds else ENDS
        fields = {"AccessKeyId": name, "SecretAccessKey": f"secret-{name}", "SessionToken": f"token-{name}"}
        inner = "".join(f"<{tag}>{text}</{tag}>" for tag, text in {**fields, "Expiration": ends}.items())
        user = f"<AssumedRoleUser><Arn>{asked['RoleArn']}</Arn><AssumedRoleId>i:s</AssumedRoleId></AssumedRoleUser>"
        result = f"<{action}Result>{user}<Credentials>{inner}</Credentials></{action}Result>"
        namespace = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
        self.answer(200, f"<{action}Response {namespace}>{result}</{action}Response>".encode(), "text/xml")

    def fields(self, name: str) -> dict[str, str]:
        return {"AccessKeyId": name, "SecretAccessKey": f"secret-{name}", "Token": f"token-{name}"}

    def give(self, document: dict[str, Any]) -> None:
        self.answer(self.server.behaviour.status, json.dumps(document).encode())

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(Listener):
    """The services at one address."""

    def __init__(self, address: str, port: int, behaviour: Behaviour) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.behaviour = behaviour
        super().__init__((address, port), Handler)


@contextmanager
def services(*addresses: tuple[str, int], behaviour: Behaviour | None = None) -> Iterator[tuple[Behaviour, list[str]]]:
    """Serve at these addresses; yield how all behave, and their URLs."""
    behaviour = behaviour or Behaviour()
    with ExitStack() as stack:
        urls = []
        for address, port in addresses:
            server = stack.enter_context(Server(address, port, behaviour))
            thread = Thread(target=server.serve_forever, args=[0.02])
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            urls.append(f"http://{address}:{server.server_port}")
        yield behaviour, urls
