"""Jobs that outlast their credentials: reads, writes and parts for a minute, signed by keys that end every 20 seconds.

Usage: python -m tests.aws.long_jobs [SECONDS [LIFE]]; prints what each job has cost.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from objstore.store import S3Store
from tests.listener import Listener

AT_ONCE = 4
PAUSE = 0.02
BODY = bytes(1000)
ENDED = b"<Error><Code>ExpiredToken</Code><Message>ended</Message></Error>"
_INITIATED = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
_COMPLETED = '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>'


@dataclass
class Counts:
    """What a service has seen.

    Args:
        life: For how many seconds its credentials are good.
        fetches: When one was asked for.
        served: How many requests came with one that was good.
        refused: How many did not.
    """

    life: float
    fetches: list[float] = field(default_factory=list)
    served: int = 0
    refused: int = 0


class Handler(BaseHTTPRequestHandler):
    """A bucket, and the endpoint of a container whose keys are called by the time of their end."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def do_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        counts, url = self.server.counts, urlsplit(self.path)
        if url.path == "/container":
            counts.fetches.append(time.monotonic())
            self.answer(200, _credential(counts.life))
            return
        key = re.search(r"Credential=UNTIL(\d+)/", self.headers.get("Authorization", ""))
        if key is None or int(key[1]) <= time.time() * 1000:
            counts.refused += 1
            self.answer(400, ENDED)
            return
        counts.served += 1
        time.sleep(PAUSE)
        self.answer(200, self.document(parse_qs(url.query, keep_blank_values=True), body))

    do_GET = do_PUT = do_POST = do_DELETE = do_any  # noqa: N815  # the names are http.server's

    def document(self, query: dict[str, list[str]], body: bytes) -> bytes:
        """Return what a bucket answers."""
        if "uploads" in query:
            return _INITIATED.encode()
        if self.command == "POST":
            return _COMPLETED.encode()
        return BODY if self.command == "GET" else b""

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"e"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(Listener):
    """The services, at an address of this machine."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        super().__init__(("127.0.0.1", 0), Handler)


def _credential(life: float) -> bytes:
    end = datetime.now(UTC) + timedelta(seconds=life)
    name = f"UNTIL{int(end.timestamp() * 1000)}"
    pair = f'"AccessKeyId": "{name}", "SecretAccessKey": "s", "Token": "t"'
    return f'{{{pair}, "Expiration": "{end.isoformat()}"}}'.encode()


@contextmanager
def bucket(life: float) -> Iterator[tuple[Counts, S3Store]]:
    """Serve a bucket whose keys live so many seconds; the endpoint of the keys is in the environment meanwhile."""
    counts = Counts(life)
    with Server(counts) as server:
        thread = Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{url}/container"
        try:
            yield counts, S3Store("bucket", region="us-east-1", endpoint=url, allow_http=True, unsigned_payload=False)
        finally:
            server.shutdown()
            thread.join()
            del os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]


def get_many(store: S3Store, seconds: float) -> None:
    """Read as many objects as it takes."""
    count = int(seconds / PAUSE * AT_ONCE)
    assert store.get_many([str(number) for number in range(count)], max_concurrency=AT_ONCE) == [BODY] * count


def put_many(store: S3Store, seconds: float) -> None:
    """Write as many objects, each signed with the hash of its bytes."""
    count = int(seconds / PAUSE * AT_ONCE)
    store.put_many([(str(number), b"%d" % number) for number in range(count)], max_concurrency=AT_ONCE)


def put(store: S3Store, seconds: float) -> None:
    """Write one object of parts whose bytes come slowly."""

    def chunks() -> Iterator[bytes]:
        for _ in range(int(seconds * 5)):
            time.sleep(0.2)
            yield bytes(5 << 20)

    store.put("large", chunks(), chunk_size=5 << 20, max_concurrency=AT_ONCE)


JOBS: tuple[Callable[[S3Store, float], None], ...] = (get_many, put_many, put)


def main(seconds: float = 60, life: float = 20) -> None:
    """Run all jobs, one after the other."""
    for job in JOBS:
        with bucket(life) as (counts, store):
            began = time.monotonic()
            job(store, seconds)
            took = time.monotonic() - began
            within = sum(at - began <= seconds for at in counts.fetches)
            when = ", ".join(f"{at - began:.1f}" for at in counts.fetches)
            print(
                f"{job.__name__}: {took:.1f} s, {counts.served} served, {counts.refused} refused, "
                f"{within} fetches in {seconds:g} s (at {when})"
            )


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
