"""The fake on loopback: the interfaces for blobs and for files over HTTP, and faults on demand."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.azure_blob.objects import (
    MOST_AT_ONCE,
    MOST_IN_A_BLOCK,
    Blob,
    Container,
    RefusedError,
    blob_of,
    check_body,
    crc64,
    md5,
    parents,
)
from tests.listener import Listener

NEWEST = "2026-10-06"
OF_KEYED_SOURCES = "2026-02-06"
MOST_IN_A_BATCH = 256
MOST_SUMMED = 4 << 20
ANSWERS = {
    "rscc": "Cache-Control",
    "rscd": "Content-Disposition",
    "rsce": "Content-Encoding",
    "rscl": "Content-Language",
    "rsct": "Content-Type",
}
ACCOUNT, KEY = "strictaccount", base64.b64encode(b"the key of the strict account").decode()


class Answer(NamedTuple):
    """The answer to a request; None as a body: none, and the connection ends."""

    status: int = 200
    body: bytes | None = b""
    headers: Mapping[str, str] = MappingProxyType({})


class Call(NamedTuple):
    """A request that came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    target: str

    @property
    def line(self) -> str:
        """Method, path and query."""
        return f"{self.method} {self.path}?{'&'.join(f'{name}={value}' for name, value in self.query.items())}"

    @property
    def container(self) -> str:
        """The name of the container."""
        return self.path.split("/")[1]

    @property
    def key(self) -> str:
        """The name of the blob."""
        return self.path.partition("/")[2].partition("/")[2]


class Fault(NamedTuple):
    """What happens to the next request whose line has a text in it: the answer, and whether it is carried out."""

    line: str
    answer: Answer
    acts: bool = False


class StrictServer:
    """The fake, running.

    Args:
        page: How many entries a page of a listing has.
        step: How many paths the interface for files renames or deletes by one request.
    """

    name = "strictazure"
    account_name = ACCOUNT
    account_key = KEY
    running: ClassVar[dict[str, StrictServer]] = {}

    def __init__(self, page: int = 5000, step: int = 5000) -> None:
        self.containers: dict[str, Container] = {}
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.page = page
        self.step = step
        self.around = ("", "")  # what markers of listings begin and end with
        self.endpoint = ""
        self.signatures: dict[str, str] = {}

    def make(self, name: str, *, hierarchical: bool = False, versioned: bool = False) -> Container:
        """Make a container."""
        self.containers[name] = Container(hierarchical=hierarchical, versioned=versioned)
        return self.containers[name]

    def marker(self, name: str) -> str:
        """Return what asks for the page behind a name."""
        begin, end = self.around
        return f"{begin}{base64.b64encode(name.encode()).decode()}{end}"

    def unmarked(self, marker: str) -> str:
        """Return the name in a marker, which has to come back as it was given."""
        begin, end = self.around
        try:
            name = base64.b64decode(marker.removeprefix(begin).removesuffix(end), validate=True).decode()
        except ValueError:
            raise RefusedError(400, "InvalidQueryParameterValue") from None
        if marker != self.marker(name):
            raise RefusedError(400, "InvalidQueryParameterValue")
        return name

    def lines(self, part: str = "") -> list[str]:
        """Return method and target of the requests that came, those with a text in them."""
        return [call.line for call in self.calls if part in call.line]

    def answer(self, call: Call) -> Answer:
        """Answer a request."""
        self.calls.append(call)
        fault = next((fault for fault in self.faults if fault.line in call.line), None)
        if fault is None:
            return self.act(call)
        self.faults.remove(fault)
        if fault.acts:
            self.act(call)
        return fault.answer

    def act(self, call: Call) -> Answer:
        """Carry a request out."""
        files = ".dfs." in call.headers.get("host", "")
        try:
            _check_version(call)
            self._check_signature(call)
            container = self.containers.get(call.container)
            if container is None:
                raise RefusedError(404, "FilesystemNotFound" if files else "ContainerNotFound")
            with container.lock:
                return _files(self, container, call) if files else _blobs(self, container, call)
        except RefusedError as refused:
            return _refusal(refused, files)

    def _check_signature(self, call: Call) -> None:
        """Judge who asks: Shared Key as the vendor's own client signs; tokens and signed URLs are only to be there."""
        given = call.headers.get("authorization", "")
        if given.startswith("SharedKey "):
            if given != _shared_key(call):
                raise RefusedError(403, "AuthenticationFailed")
        elif not (given.startswith("Bearer ") or "sig" in call.query):
            raise RefusedError(401, "NoAuthenticationInformation")

    def read_source(self, call: Call) -> tuple[Blob, bytes]:
        """Return what a copy is to be made of, and its bytes, as its URL and its headers say."""
        url = urlsplit(call.headers["x-ms-copy-source"])
        query = dict(parse_qsl(url.query))
        same = (
            call.headers.get("authorization", "").startswith(("SharedKey", "Bearer"))
            and "x-ms-blob-type" not in call.headers
        )
        if not (same or "sig" in query or "x-ms-copy-source-authorization" in call.headers):
            raise RefusedError(403, "CannotVerifyCopySource")
        _, name, key = unquote(url.path).split("/", 2)
        blob = self.containers[name].find(key, query)
        if blob.data is None:
            raise RefusedError(409, "ResourceTypeMismatch")
        if blob.key and call.headers.get("x-ms-source-encryption-key") != blob.key:
            raise RefusedError(409, "BlobUsesCustomerSpecifiedEncryption")
        if call.headers.get("x-ms-source-if-match", blob.e_tag) != blob.e_tag:
            raise RefusedError(412, "SourceConditionNotMet")
        if "x-ms-source-range" not in call.headers:
            return blob, blob.data
        start, end = map(int, call.headers["x-ms-source-range"].removeprefix("bytes=").split("-"))
        return blob, blob.data[start : end + 1]


def _check_version(call: Call) -> None:
    version = call.headers.get("x-ms-version", call.query.get("sv", ""))
    if not re.fullmatch(r"20\d\d-\d\d-\d\d", version) or version > NEWEST:
        raise RefusedError(400, "InvalidHeaderValue")
    if any(name.startswith("x-ms-source-encryption-") for name in call.headers) and version < OF_KEYED_SOURCES:
        raise RefusedError(400, "UnsupportedHeader")


def _shared_key(call: Call) -> str:
    """Return the header that the vendor's client would have sent."""
    from azure.core.pipeline import PipelineContext, PipelineRequest
    from azure.core.pipeline.transport import HttpRequest
    from azure.storage.blob._shared.authentication import SharedKeyCredentialPolicy

    headers = {name: value for name, value in call.headers.items() if name not in ("authorization", "host")}
    headers["byte_range"] = headers.get("range", "")  # what the vendor's client looks for, and never sends
    request = HttpRequest(call.method, f"http://{ACCOUNT}{call.target}", headers=headers)
    policy = SharedKeyCredentialPolicy(ACCOUNT, KEY)
    policy.on_request(PipelineRequest(request, PipelineContext(None)))  # type: ignore[arg-type]
    return str(request.headers["Authorization"])


def _refusal(refused: RefusedError, files: bool) -> Answer:
    if refused.status == 304:
        return Answer(304, b"", {"x-ms-error-code": refused.code})
    if files:
        body = json.dumps({"error": {"code": refused.code, "message": f"Because: {refused.code}"}})
    else:
        body = f"<?xml version='1.0'?><Error><Code>{refused.code}</Code><Message>{refused.code}</Message></Error>"
    return Answer(refused.status, body.encode(), {"x-ms-error-code": refused.code})


# --- the interface for blobs


def _blobs(server: StrictServer, container: Container, call: Call) -> Answer:
    comp, method = call.query.get("comp", ""), call.method
    if not call.key:
        if comp == "list" and method == "GET":
            return _list(server, container, call)
        if comp == "batch" and method == "POST":
            return _batch(server, container, call)
        raise RefusedError(400, "InvalidQueryParameterValue")
    if method in ("GET", "HEAD"):
        return _read(container, call) if not comp else _told(container, call, comp)
    if method == "DELETE":
        container.delete(call.key, call.headers, call.query)
        return Answer(202)
    if method == "PUT":
        return _write(server, container, call, comp)
    raise RefusedError(405, "UnsupportedHttpVerb")


def _facts(container: Container, blob: Blob) -> dict[str, str]:
    facts = {"ETag": blob.e_tag, "Last-Modified": blob.modified}
    if blob.version:
        facts["x-ms-version-id"] = blob.version
    return facts


def _read(container: Container, call: Call) -> Answer:
    blob = container.find(call.key, call.query)
    headers = call.headers
    if blob.key and headers.get("x-ms-encryption-key") != blob.key:
        raise RefusedError(409, "BlobUsesCustomerSpecifiedEncryption")
    if headers.get("if-match", blob.e_tag) not in (blob.e_tag, "*"):
        raise RefusedError(412, "ConditionNotMet")
    if blob.e_tag in [tag.strip() for tag in headers.get("if-none-match", "").split(",")]:
        raise RefusedError(304, "ConditionNotMet")
    _check_times(blob, headers)
    data = blob.data or b""
    facts = {
        **_facts(container, blob),
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        **blob.headers,
    }
    facts |= {f"x-ms-meta-{name}": value for name, value in blob.metadata.items()}
    if blob.tags:
        facts["x-ms-tag-count"] = str(blob.tags.count("&") + 1)
    facts["x-ms-access-tier"] = blob.tier or "Hot"
    facts |= {} if blob.tier else {"x-ms-access-tier-inferred": "true"}
    if container.hierarchical:
        facts["x-ms-resource-type"] = "directory" if blob.data is None else "file"
    facts |= {name: call.query[given] for given, name in ANSWERS.items() if given in call.query}
    if blob.data is None:
        facts["x-ms-meta-hdi_isfolder"] = "true"
    if call.method == "HEAD":
        return Answer(200, b"", {**facts, "Content-Length": str(len(data))})
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("x-ms-range", headers.get("range", "")))
    if found is None:
        return Answer(200, data, facts)
    start, end = int(found[1]), min(int(found[2] or len(data)), len(data) - 1)
    if start >= len(data):
        raise RefusedError(416, "InvalidRange")
    part = data[start : end + 1]
    if "x-ms-range-get-content-crc64" in headers:
        if not found[2] or int(found[2]) - start + 1 > MOST_SUMMED:
            raise RefusedError(400, "InvalidHeaderValue")
        facts["x-ms-content-crc64"] = crc64(part)
    return Answer(206, part, {**facts, "Content-Range": f"bytes {start}-{end}/{len(data)}"})


def _check_times(blob: Blob, headers: Mapping[str, str]) -> None:
    modified = parsedate_to_datetime(blob.modified)
    since, until = headers.get("if-modified-since"), headers.get("if-unmodified-since")
    if since and "if-none-match" not in headers and modified <= parsedate_to_datetime(since):
        raise RefusedError(304, "ConditionNotMet")
    if until and "if-match" not in headers and modified > parsedate_to_datetime(until):
        raise RefusedError(412, "ConditionNotMet")


def _told(container: Container, call: Call, comp: str) -> Answer:
    """Answer a question about a blob: its tags, or its blocks."""
    if comp == "tags":
        rows = dict(parse_qsl(container.find(call.key, call.query).tags))
        tags = "".join(f"<Tag><Key>{escape(k)}</Key><Value>{escape(v)}</Value></Tag>" for k, v in rows.items())
        return Answer(200, f"<Tags><TagSet>{tags}</TagSet></Tags>".encode())
    if comp != "blocklist":
        raise RefusedError(400, "InvalidQueryParameterValue")
    blob, known = container.blobs.get(call.key), container.blocks.get(call.key, {})
    if blob is None and not known:
        raise RefusedError(404, "BlobNotFound")
    made = [(id, 0) for id in blob.blocks] if blob is not None else []
    kinds = {"Committed": made, "Uncommitted": [(id, len(data)) for id, data in known.items()]}
    text = "".join(
        f"<{kind}Blocks>{''.join(f'<Block><Name>{id}</Name><Size>{size}</Size></Block>' for id, size in rows)}"
        f"</{kind}Blocks>"
        for kind, rows in kinds.items()
        if call.query.get("blocklisttype", "committed") in (kind.lower(), "all")
    )
    return Answer(200, f"<BlockList>{text}</BlockList>".encode(), _facts(container, blob) if blob else {})


def _write(server: StrictServer, container: Container, call: Call, comp: str) -> Answer:
    headers, key = call.headers, call.key
    if comp == "snapshot":
        moment, blob = container.moment(), container.find(key, {})
        blob.snapshots[moment] = Blob(blob.data, blob.headers, blob.metadata, e_tag=blob.e_tag, modified=blob.modified)
        return Answer(201, b"", {**_facts(container, blob), "x-ms-snapshot": moment})
    if comp == "block":
        data = server.read_source(call)[1] if "x-ms-copy-source" in headers else call.body
        if len(data) > MOST_IN_A_BLOCK:
            raise RefusedError(413, "RequestBodyTooLarge")
        check_body(data, headers)
        container.put_block(key, call.query["blockid"], data)
        return Answer(201, b"", {"x-ms-content-crc64": crc64(data)})
    if comp == "blocklist":
        ids = [element.text or "" for element in ElementTree.fromstring(call.body)]
        blob = blob_of(container.assemble(key, ids), headers)
        blob.blocks = ids
        return Answer(201, b"", _facts(container, container.write(key, blob, headers)))
    if comp:
        raise RefusedError(400, "InvalidQueryParameterValue")
    if "x-ms-copy-source" in headers:
        return _copy(server, container, call)
    if headers.get("x-ms-blob-type") != "BlockBlob":
        raise RefusedError(400, "MissingRequiredHeader")
    if len(call.body) > MOST_AT_ONCE:
        raise RefusedError(413, "RequestBodyTooLarge")
    check_body(call.body, headers)
    blob = container.write(key, blob_of(call.body, headers), headers)
    return Answer(201, b"", {**_facts(container, blob), "Content-MD5": md5(call.body)})


def _copy(server: StrictServer, container: Container, call: Call) -> Answer:
    """Copy a blob by one request: Copy Blob, or Put Blob From URL where its type is named."""
    source, data = server.read_source(call)
    by_url = "x-ms-blob-type" in call.headers
    if source.key and not by_url:
        raise RefusedError(409, "BlobUsesCustomerSpecifiedEncryption")
    made = blob_of(data, call.headers)
    copied = Blob(data, dict(source.headers), dict(source.metadata), made.tags, made.tier, made.key)
    if made.headers or made.metadata:
        copied.headers, copied.metadata = made.headers, made.metadata
    blob = container.write(call.key, copied, call.headers)
    told = {} if by_url else {"x-ms-copy-id": "1", "x-ms-copy-status": "success"}
    return Answer(201 if by_url else 202, b"", {**_facts(container, blob), **told})


def _list(server: StrictServer, container: Container, call: Call) -> Answer:
    query = call.query
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    after, start = query.get("marker", ""), query.get("startFrom", "")
    if after and start:
        raise RefusedError(400, "InvalidQueryParameterValue")
    after = server.unmarked(after) if after else ""
    entries: dict[str, str] = {}
    include = query.get("include", "").split(",")
    for key in sorted(container.blobs, key=lambda key: key.encode()):
        if not key.startswith(prefix) or key < start:
            continue
        blob, below = container.blobs[key], key.find(delimiter, len(prefix)) if delimiter else -1
        if delimiter == "/" and blob.data is None and below < 0:
            entries.setdefault(f"{key}/", f"<BlobPrefix>{_name(key + '/')}</BlobPrefix>")
        elif below >= 0:
            name = key[: below + len(delimiter)]
            entries.setdefault(name, f"<BlobPrefix>{_name(name)}</BlobPrefix>")
        else:
            entries[key] = _entry(container, key, blob, "metadata" in include)
    if not delimiter:
        entries = _with_versions(container, {key: entries.get(key, "") for key in container.keys_ever(prefix)}, include)
    names = [name for name in sorted(entries, key=lambda name: name.encode()) if name > after]
    size = min(int(query.get("maxresults", server.page)), server.page)
    page, rest = names[:size], names[size:]
    marker = escape(server.marker(page[-1]), {"\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}) if rest else ""
    rows = "".join(entries[name] for name in page)
    return Answer(
        200,
        f"<?xml version='1.0' encoding='utf-8'?><EnumerationResults><Blobs>{rows}</Blobs>"
        f"<NextMarker>{marker}</NextMarker></EnumerationResults>".encode(),
    )


def _with_versions(container: Container, entries: dict[str, str], include: list[str]) -> dict[str, str]:
    """Return the entries with the snapshots and the earlier versions of each before it, as far as they are wanted."""
    found = {}
    for key, entry in entries.items():
        live = container.blobs.get(key)
        rows = []
        if "snapshots" in include and live is not None:
            rows += [_entry(container, key, each, True, snapshot=moment) for moment, each in live.snapshots.items()]
        if "versions" in include:
            rows += [
                _entry(container, key, each, True, current=False)
                for (name, _), each in container.versions.items()
                if name == key and each is not live
            ]
        if rows or entry:
            found[key] = "".join([*rows, entry])
    return found


def _name(name: str) -> str:
    return f"<Name>{escape(name)}</Name>"


def _entry(
    container: Container, key: str, blob: Blob, metadata: bool, *, snapshot: str = "", current: bool = True
) -> str:
    kind = "directory" if blob.data is None else "file"
    told = f"<ResourceType>{kind}</ResourceType>" if container.hierarchical else ""
    version = f"<VersionId>{blob.version}</VersionId>" if blob.version and not snapshot else ""
    version += "<IsCurrentVersion>true</IsCurrentVersion>" if version and current else ""
    version += f"<Snapshot>{snapshot}</Snapshot>" if snapshot else ""
    known = {**blob.metadata, **({"hdi_isfolder": "true"} if blob.data is None else {})}
    rows = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in known.items()) if metadata else ""
    tag, size = blob.e_tag.strip('"'), len(blob.data or b"")
    return (
        f"<Blob>{_name(key)}{version}<Properties><Last-Modified>{blob.modified}</Last-Modified><Etag>{tag}</Etag>"
        f"<Content-Length>{size}</Content-Length>{told}</Properties><Metadata>{rows}</Metadata></Blob>"
    )


def _batch(server: StrictServer, container: Container, call: Call) -> Answer:
    if container.hierarchical:
        raise RefusedError(400, "FeatureNotSupportedForHierarchicalAccount")
    boundary = call.headers["content-type"].partition("boundary=")[2]
    parts = call.body.split(b"--" + boundary.encode())[1:-1]
    if len(parts) > MOST_IN_A_BATCH:
        raise RefusedError(400, "ExceedsMaxBatchRequestCount")
    answers = []
    for part in parts:
        head, _, request = part.decode().partition("\r\n\r\n")
        line, *fields = request.split("\r\n")
        method, target, _ = line.split()
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields) if name}
        answer = server.act(call_of(method, target, {**headers, "x-ms-version": NEWEST, "host": ""}, b""))
        id = re.search(r"Content-ID: *(\d+)", head)
        assert id is not None
        told = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        answers.append(
            f"--a\r\nContent-Type: application/http\r\nContent-ID: {id[1]}\r\n\r\nHTTP/1.1 {answer.status} So\r\n{told}"
            f"\r\n{(answer.body or b'').decode()}\r\n"
        )
    return Answer(202, "".join([*answers, "--a--"]).encode(), {"Content-Type": "multipart/mixed; boundary=a"})


# --- the interface for files


def _files(server: StrictServer, container: Container, call: Call) -> Answer:
    key, headers, query = call.key, call.headers, call.query
    if call.method == "PUT" and query.get("resource") == "directory":
        if headers.get("if-none-match") == "*" and key in container.blobs:
            raise RefusedError(409, "PathAlreadyExists")
        container.make_directory(key)
        return Answer(201)
    if call.method == "PUT" and "x-ms-rename-source" in headers:
        return _rename(server, container, call)
    if call.method == "DELETE":
        return _delete(server, container, call)
    raise RefusedError(400, "InvalidQueryParameterValue")


def _rename(server: StrictServer, container: Container, call: Call) -> Answer:
    """Rename a file, or so many paths of a directory: the rest is for the next request, with the token."""
    path = urlsplit(call.headers["x-ms-rename-source"]).path
    source, target = unquote(path).split("/", 2)[2], call.key
    if call.query.get("continuation", "go on") != "go on":
        raise RefusedError(400, "InvalidQueryParameterValue")
    if source not in container.blobs:
        raise RefusedError(404, "SourcePathNotFound")
    if any(above not in container.blobs for above in parents(target)):
        raise RefusedError(404, "RenameDestinationParentPathNotFound")
    if "continuation" not in call.query:
        if call.headers.get("if-none-match") == "*" and target in container.blobs:
            raise RefusedError(409, "PathAlreadyExists")
        if (wanted := call.headers.get("if-match")) and (
            target not in container.blobs or container.blobs[target].e_tag != wanted
        ):
            raise RefusedError(412, "ConditionNotMet")
        if target in container.blobs and container.blobs[target].data is None:
            raise RefusedError(409, "InvalidDestinationPath")
    below = container.below(source)
    for name in below[: server.step]:
        moved = f"{target}{name[len(source) :]}"
        for above in parents(moved):
            container.make_directory(above)
        container.blobs[moved] = container.blobs.pop(name)
    if len(below) > server.step:
        return Answer(201, b"", {"x-ms-continuation": "go on"})
    container.blobs[target] = container.blobs.pop(source)
    return Answer(201)


def _delete(server: StrictServer, container: Container, call: Call) -> Answer:
    if call.key not in container.blobs:
        raise RefusedError(404, "PathNotFound")
    below = container.below(call.key)
    if below and call.query.get("recursive") != "true":
        raise RefusedError(409, "DirectoryNotEmpty")
    for name in below[: server.step]:
        del container.blobs[name]
    if len(below) > server.step:
        return Answer(200, b"", {"x-ms-continuation": "go on"})
    del container.blobs[call.key]
    return Answer(200)


# --- over HTTP


def call_of(method: str, target: str, headers: dict[str, str], body: bytes) -> Call:
    """Return a request, taken apart."""
    path, _, query = target.partition("?")
    return Call(method, unquote(path), dict(parse_qsl(query, keep_blank_values=True)), headers, body, target)


@contextmanager
def strict_server(**options: int) -> Iterator[StrictServer]:
    """Run the fake until the block is left."""
    strict = StrictServer(**options)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = call_of(self.command, self.path, headers, body)
            twice = len(headers) < len(self.headers)  # the service would take both for one value, with a comma
            answer = _refusal(RefusedError(400, "InvalidHeaderValue"), False) if twice else strict.answer(call)
            if answer.body is None:
                self.close_connection = True
                return
            self.send_response(answer.status)
            told: dict[str, Any] = {"Content-Length": len(answer.body), "x-ms-request-id": "1", **answer.headers}
            for name, value in told.items():
                self.send_header(name, str(value))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = Listener(("127.0.0.1", 0), Handler)
    strict.endpoint = f"http://127.0.0.1:{server.server_port}"
    strict.running[strict.endpoint] = strict
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield strict
    finally:
        server.shutdown()
        server.server_close()
        del strict.running[strict.endpoint]
