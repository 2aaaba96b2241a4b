"""The service on loopback: sessions with an end, and signatures that botocore judges.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from botocore.auth import S3ExpressAuth, S3ExpressQueryAuth, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.aws_chunked import unframed
from tests.azure_fake import Asked, Reply, fake_azure
from tests.s3_express.bucket import NAMESPACE, Ask, Directory, RefusedError, Stored, document, query_of

REGION = "us-west-2"
KEY, SECRET = "AKIDEXAMPLE", "SecretOfTheAccount"
CONTROL = f"s3express-control.{REGION}.amazonaws.com"
PAGE_OF_BUCKETS = 2
MADE = "2026-01-02T03:04:05.000Z"


class Session(NamedTuple):
    """A session, as it was asked for."""

    bucket: str
    secret: str
    token: str
    asked: Mapping[str, str]


class Express:
    """The service.

    Args:
        page: How many entries a page of a listing has.
    """

    name = "strictexpress"

    def __init__(self, page: int = 3) -> None:
        self.buckets: dict[str, Directory] = {}
        self.sessions: dict[str, Session] = {}
        self.begun: list[Session] = []
        self.life = timedelta(minutes=5)
        self.calls: list[tuple[str, Asked]] = []
        self.lost: list[str] = []
        self.url = ""
        self._page = page
        self._lock = threading.Lock()

    def make(self, bucket: str) -> Directory:
        """Make a bucket."""
        self.buckets[bucket] = Directory(self._page)
        return self.buckets[bucket]

    def forget(self) -> None:
        """Forget what came, and all that is there."""
        self.buckets.clear()
        self.end_sessions()
        self.begun.clear()
        self.calls.clear()
        self.life = timedelta(minutes=5)

    def end_sessions(self) -> None:
        """Have all sessions end."""
        self.sessions.clear()

    def lines(self, part: str = "") -> list[str]:
        """Return method and target of the requests that came, those with a text in them."""
        return [line for _, asked in self.calls if part in (line := f"{asked.method} {asked.target}")]

    def answer(self, asked: Asked) -> Reply:
        """Answer a request."""
        with self._lock:
            host = asked.headers["host"]
            self.calls.append((host, asked))
            try:
                reply = self._act(host, asked)
            except RefusedError as refused:
                inside = f"<Error><Code>{refused.code}</Code><Message>{refused.message}</Message></Error>"
                return Reply(refused.status, {"Content-Type": "application/xml"}, inside.encode())
            line = f"{asked.method} {asked.target}"
            if lost := next((each for each in self.lost if each in line), None):
                self.lost.remove(lost)
                return Reply(body=None)
            return reply

    def _act(self, host: str, asked: Asked) -> Reply:
        path, _, query = asked.target.partition("?")
        parameters, key = query_of(query), unquote(path[1:])
        bucket = key if host == CONTROL else host.partition(".")[0]
        if host.startswith("127."):
            bucket, _, key = key.partition("/")
        by_key = _by_key(asked, parameters, host)
        session = self._check(host, asked, parameters, bucket, by_key)
        if host == CONTROL:
            return self._control(asked, bucket, parameters)
        if bucket not in self.buckets:
            raise RefusedError(404, "NoSuchBucket")
        if "session" in parameters:
            return self._begin(bucket, asked.headers)
        if asked.method == "HEAD" and not key:
            return Reply()
        ask = Ask(asked.method, key, parameters, *unframed(asked.headers, asked.body))
        if "x-amz-copy-source" in asked.headers:
            return self.buckets[bucket].copy(ask, self._source(asked.headers["x-amz-copy-source"]))
        if session is not None and any(name.startswith("x-amz-server-side") for name in asked.headers):
            raise RefusedError(400, "InvalidRequest", "the session says how objects are encrypted")
        read_only = session is not None and session.asked.get("x-amz-create-session-mode") == "ReadOnly"
        if read_only and asked.method not in ("GET", "HEAD"):
            raise RefusedError(403, "AccessDenied")
        return self.buckets[bucket].answer(ask)

    def _source(self, named: str) -> Stored:
        bucket, _, key = unquote(named).lstrip("/").partition("/")
        found = self.buckets[bucket].objects.get(key)
        if found is None:
            raise RefusedError(404, "NoSuchKey")
        return found

    # --- sessions

    def _begin(self, bucket: str, headers: Mapping[str, str]) -> Reply:
        number = len(self.begun)
        told = {name: value for name, value in headers.items() if name.startswith(("x-amz-create", "x-amz-server"))}
        session = Session(bucket, f"secret{number}", f"token{number}+/=", told)
        self.begun.append(session)
        self.sessions[f"SESSION{number}"] = session
        ends = (datetime.now(UTC) + self.life).strftime("%Y-%m-%dT%H:%M:%SZ")
        inside = (
            f"<Credentials><SessionToken>{session.token}</SessionToken><SecretAccessKey>{session.secret}"
            f"</SecretAccessKey><AccessKeyId>SESSION{number}</AccessKeyId><Expiration>{ends}</Expiration></Credentials>"
        )
        return document("CreateSessionResult", inside)

    def _check(
        self, host: str, asked: Asked, parameters: Mapping[str, str], bucket: str, by_key: bool
    ) -> Session | None:
        """Refuse what is not signed as it has to be; return the session that it is signed by."""
        proof = _proof(asked, parameters)
        name = proof.credential.split("/")[0]
        if name == KEY:
            _compare(asked, proof, S3SigV4QueryAuth if proof.in_url else S3SigV4Auth, KEY, SECRET, host)
            return None
        session = self.sessions.get(name)
        if session is None:
            raise RefusedError(400, "ExpiredToken")
        token = parameters.get("X-Amz-S3session-Token") or asked.headers.get("x-amz-s3session-token")
        if by_key or session.bucket != bucket or token != session.token or "x-amz-security-token" in asked.headers:
            raise RefusedError(403, "AccessDenied")
        _compare(asked, proof, S3ExpressQueryAuth if proof.in_url else S3ExpressAuth, name, session.secret, host)
        return session

    # --- buckets

    def _control(self, asked: Asked, bucket: str, parameters: Mapping[str, str]) -> Reply:
        if not bucket:
            return self._list(parameters)
        if asked.method == "DELETE":
            if bucket not in self.buckets:
                raise RefusedError(404, "NoSuchBucket")
            if self.buckets[bucket].objects:
                raise RefusedError(409, "BucketNotEmpty")
            del self.buckets[bucket]
            return Reply(204)
        if bucket in self.buckets:
            raise RefusedError(409, "BucketAlreadyOwnedByYou")
        _check_description(asked.body, bucket)
        self.make(bucket)
        return Reply()

    def _list(self, parameters: Mapping[str, str]) -> Reply:
        begin = int(parameters.get("continuation-token", "0"))
        names = sorted(self.buckets)
        rows = [
            f"<Bucket><BucketRegion>{REGION}</BucketRegion><CreationDate>{MADE}</CreationDate><Name>{name}</Name></Bucket>"
            for name in names[begin : begin + PAGE_OF_BUCKETS]
        ]
        end = begin + PAGE_OF_BUCKETS
        rest = f"<ContinuationToken>{end}</ContinuationToken>" if end < len(names) else ""
        return document("ListAllMyDirectoryBucketsResult", f"<Buckets>{''.join(rows)}</Buckets>{rest}")


def _check_description(body: bytes, bucket: str) -> None:
    """Refuse a bucket that is not made in the zone of its name."""
    told = {(part.tag, child.tag): child.text for part in ElementTree.fromstring(body) for child in part}
    wanted = {
        ("Location", "Name"): bucket.split("--")[-2],
        ("Location", "Type"): "AvailabilityZone",
        ("Bucket", "DataRedundancy"): "SingleAvailabilityZone",
        ("Bucket", "Type"): "Directory",
    }
    if told != {(f"{NAMESPACE}{part}", f"{NAMESPACE}{child}"): text for (part, child), text in wanted.items()}:
        raise RefusedError(400, "InvalidRequest", f"{told}")


class Proof(NamedTuple):
    """What a request says of its signature."""

    credential: str
    signed: list[str]
    signature: str
    time: str
    in_url: bool


def _proof(asked: Asked, parameters: Mapping[str, str]) -> Proof:
    if "X-Amz-Signature" in parameters:
        names = ("Credential", "SignedHeaders", "Signature", "Date")
        credential, bound, signature, when = (parameters[f"X-Amz-{name}"] for name in names)
        return Proof(credential, bound.split(";"), signature, when, True)
    text = asked.headers.get("authorization")
    if text is None:
        raise RefusedError(403, "AccessDenied")
    fields = dict(part.split("=", 1) for part in text.partition(" ")[2].split(", "))
    signed, time = fields["SignedHeaders"].split(";"), asked.headers["x-amz-date"]
    return Proof(fields["Credential"], signed, fields["Signature"], time, False)


def _compare(asked: Asked, proof: Proof, kind: type[SigV4Auth], name: str, secret: str, host: str) -> None:
    """Refuse a signature that botocore would not have made."""
    more = {"identity_cache": None} if issubclass(kind, S3ExpressAuth) else {}
    auth = kind(Credentials(name, secret), "s3express", REGION, **more)
    unsigned = {each for each in asked.headers if each.startswith("x-amz-")} - {*proof.signed}
    headers = {each: asked.headers[each] for each in proof.signed if each != "host"}
    target = "&".join(part for part in asked.target.split("&") if not part.startswith("X-Amz-Signature="))
    request = AWSRequest(asked.method, f"https://{host}{target}", headers, asked.body)
    request.context["timestamp"] = proof.time
    right = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    if unsigned or right != proof.signature or proof.credential != auth.scope(request):
        raise RefusedError(403, "SignatureDoesNotMatch", f"{asked.method} {asked.target}")


def _by_key(asked: Asked, parameters: Mapping[str, str], host: str) -> bool:
    """Tell whether a request is one of those that no session is good for."""
    at_bucket = (
        urlsplit(asked.target).path.count("/") == 1 if host[:4] == "127." else urlsplit(asked.target).path == "/"
    )
    copies = "x-amz-copy-source" in asked.headers
    return host == CONTROL or copies or "session" in parameters or (asked.method == "HEAD" and at_bucket)


@contextmanager
def express(page: int = 3) -> Iterator[Express]:
    """Run the service until the block is left."""
    service = Express(page)
    with fake_azure(service.answer) as fake:
        service.url = fake.url
        yield service
