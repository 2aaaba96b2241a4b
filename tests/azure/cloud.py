"""Microsoft's token services and the platforms that give out tokens, in this process: each takes only what its
documentation allows.

A token tells whose it is, so that two clients that were given the same one are known to be the same.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from tests import token_services
from tests.token_services import RefusedError, Request, require

HOSTS = ("login.microsoftonline.com", "login.microsoftonline.us")
BLOBS = "account.blob.core.windows.net"
TENANT = "11111111-2222-3333-4444-555555555555"
APP = "66666666-7777-8888-9999-000000000000"
SECRET = "planted~client/secret+with&signs"
SUBJECT = "planted-subject-token"
IDENTITY_HEADER = "planted-identity-header"
ARC_KEY = "planted-arc-key"
PASSWORD = "planted-password"
SESSION = "planted-session"
RESOURCE = "https://storage.azure.com"
LIFE = 3600
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

KEY = rsa.generate_private_key(65537, 2048)


def certificate(key: rsa.RSAPrivateKey, days: int = 1) -> x509.Certificate:
    """Return a certificate of a key, signed by itself."""
    from datetime import UTC, datetime, timedelta

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "application")])
    now, day = datetime.now(UTC), timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    return builder.sign(key, SHA256())


CERTIFICATE = certificate(KEY)


def pem(key: rsa.RSAPrivateKey = KEY, password: str = "") -> bytes:
    """Return a key and the certificate, as PEM."""
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption) + CERTIFICATE.public_bytes(Encoding.PEM)


def pfx(password: str = PASSWORD) -> bytes:
    """Return key and certificate as PKCS #12."""
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return pkcs12.serialize_key_and_certificates(b"app", KEY, CERTIFICATE, None, encryption)


Answer = tuple[int, dict[str, str], Any]


def token(identity: str, **more: object) -> Answer:
    """Return a token that tells whose it is."""
    end = int(time.time()) + LIFE
    fields = {"access_token": f"planted-token:{identity}", "token_type": "Bearer", "resource": RESOURCE}
    return 200, {}, {**fields, "expires_in": LIFE, "expires_on": str(end), **more}


@dataclass
class Cloud:
    """All services.

    Args:
        machine: What the metadata service does: ``good``, ``none`` (no identity), ``slow`` (404 twice, then good).
        arc: The file that Arc names.
        old_agent: Whether Arc's agent knows the machine's own identity only.
        seen: The requests.
    """

    machine: str = "good"
    arc: str = ""
    old_agent: bool = False
    seen: list[Request] = field(default_factory=list)
    tried: int = 0

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Answer a request, or say why not."""
        self.seen.append(request)
        try:
            status, headers, reply = self.service(request)
        except (RefusedError, KeyError, ValueError) as error:
            words = f"AADSTS1: {type(error).__name__} {error} {request.body.decode()} Trace ID: 1"
            status, headers, reply = 400, {}, {"error": "invalid_request", "error_description": words}
        return status, headers, reply if isinstance(reply, bytes) else json.dumps(reply).encode()

    def service(self, request: Request) -> Answer:
        """Find the service that a request is for."""
        if request.host.partition(":")[0] in HOSTS:
            return self.entra(request)
        if request.host == BLOBS:
            require(request.headers["authorization"].startswith("Bearer planted-token:"), "token")
            return 200, {"ETag": '"1"', "Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"}, b"content"
        if request.path.startswith("/proxy/"):
            request.path = request.path.removeprefix("/proxy")
            return self.entra(request, f"https://{HOSTS[0]}")
        services = {
            "/metadata/identity/oauth2/token": self.imds,
            "/app": self.app_service,
            "/arc": self.arc_agent,
            "/shell": self.cloud_shell,
            "/ml": self.machine_learning,
            "/fabric": self.service_fabric,
            "/session": self.fabric_session,
        }
        return services[request.path](request)

    def entra(self, request: Request, origin: str | None = None) -> Answer:
        """Answer as Microsoft Entra ID."""
        origin = origin or f"https://{request.host}"
        if request.path == "/common/discovery/instance":
            tenant = f"{origin}/{TENANT}"
            return (
                200,
                {},
                {"tenant_discovery_endpoint": f"{tenant}/v2.0/.well-known/openid-configuration", "metadata": []},
            )
        if request.path == f"/{TENANT}/v2.0/.well-known/openid-configuration":
            urls = {"token_endpoint": f"{origin}/{TENANT}/oauth2/v2.0/token", "issuer": f"{origin}/{TENANT}/v2.0"}
            return 200, {}, {**urls, "authorization_endpoint": f"{origin}/{TENANT}/oauth2/v2.0/authorize"}
        require(request.path == f"/{TENANT}/oauth2/v2.0/token", request.path)
        form = request.form()
        require(form["grant_type"] == "client_credentials", "grant type")
        require(form["scope"] == f"{RESOURCE}/.default", "scope")
        require(form["client_id"] == APP, "client id")
        how = self.proof(form, f"{origin}{request.path}")
        status, headers, fields = token(f"{how}:{origin}:{form['client_id']}")
        del fields["expires_on"]
        return status, headers, fields

    def proof(self, form: dict[str, str], url: str) -> str:
        """Return how an application has proved who it is."""
        if "client_secret" in form:
            if form["client_secret"] != SECRET:
                raise RefusedError(f"AADSTS7000215: Invalid client secret {form['client_secret']}")
            return "secret"
        require(form["client_assertion_type"] == JWT_BEARER, "assertion type")
        assertion = form["client_assertion"]
        return "subject" if assertion == SUBJECT else verified(assertion, url)

    def imds(self, request: Request) -> Answer:
        """Answer as the metadata service of a virtual machine."""
        if request.headers.get("metadata") != "true":
            return 400, {}, {"error": "bad_request", "error_description": "Required metadata header not specified"}
        require(request.query["api-version"] == "2018-02-01" and request.query["resource"] == RESOURCE, "query")
        self.tried += 1
        if self.machine == "none":
            return 400, {}, {"error": "invalid_request", "error_description": "Identity not found"}
        if self.machine == "slow" and self.tried < 3:
            return 404, {}, {}
        return token(f"machine:{chosen(request.query, 'client_id', 'object_id', 'msi_res_id')}")

    def app_service(self, request: Request) -> Answer:
        require(request.headers.get("metadata") == "true", "metadata")
        require(request.headers.get("x-identity-header", IDENTITY_HEADER) == IDENTITY_HEADER, "header")
        require(request.query["api-version"] == "2019-08-01" and request.query["resource"] == RESOURCE, "query")
        status, headers, fields = token(f"app:{chosen(request.query, 'client_id', 'object_id', 'mi_res_id')}")
        del fields["expires_in"]
        return status, headers, fields

    def arc_agent(self, request: Request) -> Answer:
        require(request.headers.get("metadata") == "true", "metadata")
        require(request.query["api-version"] == "2020-06-01" and request.query["resource"] == RESOURCE, "query")
        if request.headers.get("authorization") != f"Basic {ARC_KEY}":
            return 401, {"WWW-Authenticate": f"Basic realm={self.arc}"}, {}
        client = None if self.old_agent else request.query.get("client_id")
        return token(f"arc:{client}", **({"client_id": client.upper()} if client else {}))

    def cloud_shell(self, request: Request) -> Answer:
        require(request.headers.get("metadata") == "true", "metadata")
        form = request.form()
        require(form.pop("resource") == RESOURCE, "resource")
        return token(f"shell:{form}")

    def machine_learning(self, request: Request) -> Answer:
        require(request.headers.get("secret") == IDENTITY_HEADER, "secret")
        require(request.query["api-version"] == "2017-09-01" and request.query["resource"] == RESOURCE, "query")
        return token(f"ml:{chosen(request.query, 'clientid', 'object_id', 'msi_res_id')}")

    def service_fabric(self, request: Request) -> Answer:
        require(request.headers.get("secret") == IDENTITY_HEADER, "secret")
        require(request.query == {"api-version": "2019-07-01-preview", "resource": RESOURCE}, "query")
        status, headers, fields = token("service-fabric")
        return status, headers, fields

    def fabric_session(self, request: Request) -> Answer:
        headers = {name: request.headers.get(name) for name in ("x-ms-partner-token", "x-ms-cluster-identifier")}
        require(headers == {"x-ms-partner-token": SESSION, "x-ms-cluster-identifier": "cluster"}, "headers")
        require(request.headers.get("x-ms-workload-resource-moniker") == "cluster", "moniker")
        require(
            request.headers.get("x-ms-proxy-host") == "workload" and request.query == {"resource": RESOURCE}, "host"
        )
        return 200, {}, jwt({"exp": int(time.time()) + LIFE})


def jwt(claims: dict[str, object]) -> str:
    """Return a token that says when it ends."""
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.planted"


def chosen(query: dict[str, str], *names: str) -> str:
    """Return the identity that a query names, which has nothing else that is not known."""
    require(set(query) <= {"api-version", "resource", *names}, f"query {sorted(query)}")
    return ",".join(f"{name}={query[name]}" for name in names if name in query)


def verified(assertion: str, url: str) -> str:
    """Check an assertion signed with the certificate's key (RFC 7523)."""
    header, claims, signature = assertion.split(".")
    head, said = json.loads(decoded(header)), json.loads(decoded(claims))
    pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.DIGEST_LENGTH)
    kind = {"RS256": padding.PKCS1v15(), "PS256": pss}[head["alg"]]
    try:
        KEY.public_key().verify(decoded(signature), f"{header}.{claims}".encode(), kind, SHA256())
    except Exception as error:
        raise RefusedError("signature") from error
    prints = {"x5t": SHA1(), "x5t#S256": SHA256()}
    found = [name for name in prints if name in head]
    require(len(found) == 1 and decoded(head[found[0]]) == CERTIFICATE.fingerprint(prints[found[0]]), "thumbprint")
    der = base64.b64encode(CERTIFICATE.public_bytes(Encoding.DER)).decode()
    chain = head.get("x5c", [])
    require(chain in ([], [der], der), "chain")
    now = time.time()
    require(said["aud"] == url and said["iss"] == said["sub"] == APP and said["jti"], "claims")
    require(said.get("nbf", now) <= now + 5 and now < said["exp"] <= now + 3600, "time")
    return f"certificate{'+chain' if chain else ''}"


def decoded(text: str) -> bytes:
    """Read Base64 as JWTs have it."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def thumbprint(file: Path) -> str:
    """Return the thumbprint of a certificate."""
    der = x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)
    return hashlib.sha1(der).hexdigest().upper()


def serving(cloud: Cloud, address: tuple[str, int], certificates: Path | None = None) -> AbstractContextManager[str]:
    """Serve all services at an address until the block is left; give its URL."""
    return token_services.serving(cloud.answer, Request, address, certificates)
