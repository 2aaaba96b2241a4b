"""What errors say: what failed, where, and what to do about it; programs and people act on these words."""

from __future__ import annotations

import errno
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objstore.auth.planetary_computer import PlanetaryComputerCredentialProvider
from objstore.exceptions import (
    BaseError,
    GenericError,
    LocalFileError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    UnknownConfigurationKeyError,
)
from objstore.fsspec import FsspecStore
from objstore.store import AzureStore, GCSStore, HTTPStore, LocalStore, MemoryStore, S3Store, from_url


@contextmanager
def answering(status: int, code: str = "") -> Iterator[str]:
    """Run a service that answers everything with one status, and with one of S3's error codes."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with suppress(ConnectionError):
                super().handle()

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = f"<Error><Code>{code}</Code><Message>so it is</Message></Error>".encode() if code else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PROPFIND = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


OPTIONS: dict[str, Any] = {"client_options": {"allow_http": True}, "retry_config": {"max_retries": 0}}


def s3_at(origin: str, **options: Any) -> S3Store:
    return S3Store(
        "shelf",
        endpoint=origin,
        region="eu-west-1",
        access_key_id="id",
        secret_access_key="hidden",
        **options,
        **OPTIONS,
    )


def gcs_at(origin: str) -> GCSStore:
    return GCSStore("shelf", base_url=origin, skip_signature=True, **OPTIONS)


def azure_at(origin: str) -> AzureStore:
    return AzureStore("shelf", account_name="acc", endpoint=origin, skip_signature=True, **OPTIONS)


def web_at(origin: str) -> HTTPStore:
    return HTTPStore(origin + "/shelf", **OPTIONS)


@pytest.mark.parametrize(
    ("open_at", "bucket", "container"),
    [(s3_at, "shelf", "bucket"), (gcs_at, "shelf", "bucket"), (azure_at, "shelf", "container"), (web_at, None, "")],
)
def test_an_error_of_a_service_says_where(open_at: Callable[[str], Any], bucket: str | None, container: str) -> None:
    with answering(403) as origin:
        store = open_at(origin)
        for call in (lambda: store.get("some/key"), lambda: store.put("some/key", b"1", use_multipart=False)):
            with pytest.raises(PermissionDeniedError) as caught:
                call()
            error = caught.value
            assert (error.store, error.bucket, error.path) == (type(store).__name__, bucket, "some/key")
            assert error.url is not None
            assert error.url.startswith(f"{origin}/")
            assert "?" not in error.url
            assert origin in str(error)
            assert "'some/key'" in str(error)
            assert bucket is None or f"{container} 'shelf'" in str(error)


def test_what_is_at_a_url_itself_is_named_by_its_path() -> None:
    with answering(404) as origin, pytest.raises(NotFoundError, match="GET '/dir/page' failed") as caught:
        HTTPStore(f"{origin}/dir/page?signature=hidden", **OPTIONS).get("")
    assert "hidden" not in str(caught.value)


def test_the_url_of_an_error_has_no_query() -> None:
    with answering(403) as origin:
        store = HTTPStore(f"{origin}/shelf?token=hidden", **OPTIONS)
        with pytest.raises(PermissionDeniedError) as caught:
            store.get("a b")
    assert caught.value.url == f"{origin}/shelf/a%20b"
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "call", "kind", "words"),
    [
        (501, "NotImplemented", lambda s: s.delete(["a", "b"]), NotSupportedError, "disable_bulk_delete=True"),
        (403, "InvalidObjectState", lambda s: s.get("a"), PermissionDeniedError, "must be restored"),
        (404, "NoSuchBucket", lambda s: s.get("a"), NotFoundError, "bucket's name"),
        (403, "SignatureDoesNotMatch", lambda s: s.get("a"), PermissionDeniedError, "secret_access_key and region"),
    ],
)
def test_an_error_of_s3_says_what_to_do(
    status: int, code: str, call: Callable[[S3Store], Any], kind: type[BaseError], words: str
) -> None:
    with answering(status, code) as origin, pytest.raises(kind, match=re.escape(words)):
        call(s3_at(origin))


PLACES: list[tuple[Callable[[S3Store], Any], list[str]]] = [
    (lambda s: s.get("dir/a"), ["'below/dir/a'"]),
    (lambda s: s.head("dir/a"), ["'below/dir/a'"]),
    (lambda s: s.put("dir/a", b"1"), ["'below/dir/a'"]),
    (lambda s: s.list("dir/b").collect(), ["'below/dir/b/'"]),
    (lambda s: s.list_with_delimiter("dir/b"), ["'below/dir/b/'"]),
    (lambda s: s.glob("dir/b*").collect(), ["'below/dir/b'"]),
    (lambda s: s.delete_prefix("dir/b"), ["'below/dir/b/'"]),
    (lambda s: s.delete(["dir/a", "dir/b"]), ["'below/dir/a'", "1 more"]),
    (lambda s: s.get_many(["dir/a"]), ["'below/dir/a'"]),
    (lambda s: s.copy("dir/a", "dir/b"), ["dir/a'", "dir/b'"]),
    (lambda s: s.copy("dir/a", "dir/b", to_store=MemoryStore()), ["dir/a'", "dir/b'"]),
    (lambda s: s.rename("dir/a", "dir/b"), ["dir/a'", "dir/b'"]),
    (lambda s: s.begin_upload("dir/a"), ["'below/dir/a'"]),
    (lambda s: s.open("dir/a").read(), ["'below/dir/a'"]),
]


@pytest.mark.parametrize(("call", "words"), PLACES)
@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (404, "NoSuchBucket"), (400, "Odd")])
def test_an_error_names_bucket_endpoint_and_what_it_was_about(
    status: int, code: str, call: Callable[[S3Store], Any], words: list[str]
) -> None:
    with answering(status, code) as origin, pytest.raises(BaseError) as caught:
        call(s3_at(origin, prefix="below"))
    error = caught.value
    assert (error.store, error.bucket) == ("S3Store", "shelf")
    assert all(word in str(error) for word in ["'shelf'", origin, *words])
    assert (error.url or "").startswith(f"{origin}/shelf")
    assert "?" not in (error.url or "?")
    assert "hidden" not in f"{error!r} {vars(error)}"


def ten_bytes() -> MemoryStore:
    store = MemoryStore()
    store.put("a", bytes(10))
    return store


WORDS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: S3Store("bucket", config={"aws_region": "a", "region": "b"}), ValueError, "Duplicate key"),
    (lambda: MemoryStore().get_range("a", start=3, end=3), ValueError, "Invalid range"),
    (lambda: MemoryStore().get_ranges("a", starts=[3], ends=[3]), ValueError, "Invalid range"),
    (lambda: S3Store("bucket", client_options={"root_certificate": b"x"}), ValueError, "No certificates found"),
    (lambda: S3Store("bucket", client_options={"root_certificate": BAD_PEM}), ValueError, "No certificates found"),
    (lambda: from_url("bucket/x"), ValueError, "relative URL without a base"),
    (lambda: PlanetaryComputerCredentialProvider(AT, container_name="c"), ValueError, "Cannot pass container_name"),
    (lambda: PlanetaryComputerCredentialProvider(AT, account_name="a"), ValueError, "Cannot pass account_name"),
    (lambda: FsspecStore("s3").cat("gs://bucket/x"), ValueError, r"Expected protocol to be s3\. Got gs"),
    (lambda: MemoryStore().get_ranges("a", starts=[1, 4], lengths=[3, 0]), ValueError, "Invalid range"),
    (lambda: ten_bytes().open_reader("a", size=50).read(), OSError, "the object has no 50 bytes"),
    (lambda: ten_bytes().open("a", size=50).read(), OSError, "the object has no 50 bytes"),
    (lambda: S3Store("bucket", client_options={"allow_htp": True}), UnknownConfigurationKeyError, "mean 'allow_http'"),  # type: ignore[arg-type]
    (lambda: MemoryStore().get("none"), FileNotFoundError, "'none'"),
    (lambda: MemoryStore().put("", b"1"), ValueError, "it is empty"),
]
BAD_PEM = b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"
AT = "https://account.blob.core.windows.net/container/prefix"


@pytest.mark.parametrize(("call", "kind", "words"), WORDS)
def test_programs_match_on_these_words(call: Callable[[], Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        call()


def test_a_credential_that_has_ended_warns() -> None:
    ended = datetime.now(UTC) - timedelta(hours=1)
    credential: Any = {"access_key_id": "id", "secret_access_key": "hidden", "token": None, "expires_at": ended}
    with answering(403, "ExpiredToken") as origin:
        store = S3Store("shelf", endpoint=origin, region="r", credential_provider=lambda: credential, **OPTIONS)
        with pytest.warns(UserWarning, match=r"The credential ended 1:00:0\d") as told, pytest.raises(BaseError):
            store.get("a")
    assert "hidden" not in str(told[0].message)


def test_tls_to_a_plain_port_says_so() -> None:
    with answering(200) as origin:
        store = HTTPStore(origin.replace("http:", "https:"), **OPTIONS)
        with pytest.raises(GenericError, match="If the server speaks plain HTTP there"):
            store.get("a")


@pytest.mark.parametrize(
    ("setting", "meant"),
    [("region_name", "region"), ("bucket_nam", "bucket_name"), ("aws_secret_access_ky", "aws_secret_access_key")],
)
def test_a_setting_that_is_not_there_suggests_one(setting: str, meant: str) -> None:
    with pytest.raises(UnknownConfigurationKeyError, match=f"Did you mean '{meant}'"):
        S3Store("shelf", **{setting: "x"})


STORES: list[Any] = [MemoryStore(), S3Store("shelf", skip_signature=True, region="eu-west-1")]
UNFIT: list[tuple[Any, str]] = [
    (np.asfortranarray(np.ones((3, 4))), "ascontiguousarray"),
    (np.ones((4, 4)).T[::2], "ascontiguousarray"),
    (memoryview(bytearray(8))[::2], "ascontiguousarray"),
    (np.array([b"one", b"two"], dtype=object), "holds Python objects"),
    (np.zeros(2, dtype=[("O", "i4"), ("b", "O")]), "holds Python objects"),
]


@pytest.mark.parametrize("store", STORES)
def test_text_that_names_no_file_says_how_it_is_stored(store: Any) -> None:
    with pytest.raises(FileNotFoundError, match=r"\.encode\(\)"):
        store.put("key", "some text")


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(("array", "words"), UNFIT)
def test_an_array_that_cannot_be_stored_says_how_it_can(store: Any, array: Any, words: str) -> None:
    def write() -> None:
        with store.open_writer("key") as file:
            file.write(array)

    for call in (
        lambda: store.put("key", array),
        lambda: store.put("key", [array]),
        lambda: store.put_many([("key", array)]),
        write,
    ):
        with pytest.raises(TypeError, match=words):
            call()


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(("array", "words"), UNFIT)
def test_an_array_that_cannot_be_filled_says_what_can(store: Any, array: Any, words: str) -> None:
    before = bytes(array)
    for out in (array, [array], [bytearray(8), array]):
        with pytest.raises(ValueError, match=words):
            store.get_many([("key", 0, 8), ("other", 0, 8)][: len(out)], out=out)
        with pytest.raises(ValueError, match=words):
            [*store.iter_many([("key", 0, 8), ("other", 0, 8)][: len(out)], out=out)]
    assert bytes(array) == before


def test_a_reader_fills_no_array_of_objects() -> None:
    store = MemoryStore()
    store.put("key", bytes(100))
    with store.open_reader("key") as reader:
        for array, words in UNFIT:
            with pytest.raises(TypeError, match=words):
                reader.readinto(array)


def test_arrays_of_any_number_are_stored_and_filled() -> None:
    store = MemoryStore()
    for array in (
        np.ones(3, dtype=[("O", "i4"), ("b", ">f8")]),
        np.ones((3, 4)).T.T,
        np.asfortranarray(np.ones((3, 4))).T,
    ):
        store.put("key", array)
        back = np.zeros_like(array)
        store.get_many([("key", 0, array.nbytes)], out=back)
        assert (back == array).all()


def test_a_missing_path_says_nothing_of_text() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        MemoryStore().put("key", Path("not/there"))
    assert "encode" not in str(caught.value)


def test_a_coroutine_without_asyncio_says_what_it_needs() -> None:
    coroutine = web_at("http://127.0.0.1:1").get_async("key")
    with pytest.raises(RuntimeError, match="need asyncio"):
        coroutine.send(None)


# --- errors of this machine


def test_a_missing_file_has_its_errno(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        LocalStore(tmp_path).get("key")
    assert caught.value.errno == errno.ENOENT


def test_a_full_disk_is_an_os_error(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path], capture_output=True)
    if mounted.returncode:
        pytest.skip("a file system of a fixed size needs the right to mount one")
    try:
        store = LocalStore(tmp_path)
        with pytest.raises(LocalFileError, match="No space left") as caught:
            store.put("key", bytes(1 << 20))
        assert (isinstance(caught.value, OSError), caught.value.errno) == (True, errno.ENOSPC)
        assert store.list().collect() == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)
