"""What errors say: what failed, where, and what to do about it; programs and people act on these words."""

from __future__ import annotations

import errno
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objstore.arrow import ArrowFileSystemHandler
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
from objstore.http.words import read_words
from objstore.store import AzureStore, GCSStore, HTTPStore, LocalStore, MemoryStore, S3Store, from_url
from tests.listener import Listener


@contextmanager
def answering(status: int, code: str = "", message: str = "so it is", document: str = "") -> Iterator[str]:
    """Run a service that answers everything with one status, and with one of S3's error codes and its message."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle(self) -> None:
            with suppress(ConnectionError):
                super().handle()

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = (
                f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
                if code
                else document.encode()
            )
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PROPFIND = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = Listener(("127.0.0.1", 0), Handler)
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


def gcs_at(origin: str, **options: Any) -> GCSStore:
    return GCSStore("shelf", base_url=origin, skip_signature=True, **options, **OPTIONS)


def azure_at(origin: str, **options: Any) -> AzureStore:
    return AzureStore("shelf", account_name="acc", endpoint=origin, skip_signature=True, **options, **OPTIONS)


def web_at(origin: str) -> HTTPStore:
    return HTTPStore(origin + "/shelf", **OPTIONS)


@pytest.mark.parametrize(
    ("status", "code", "message", "setting"),
    [
        (400, "InvalidArgument", "Unsupported header 'x-amz-tagging' received for this API call.", "disable_tagging"),
        (501, "NotImplemented", "Header 'x-amz-tagging' with value 'a=b' not implemented", "disable_tagging"),
        (501, "NotImplemented", "A header implies functionality that is not implemented", "disable_tagging"),
        (400, "AuthorizationHeaderMalformed", "the region is wrong", "Give the region"),
    ],
)
def test_a_header_that_a_service_does_not_know_is_answered_by_a_setting(
    status: int, code: str, message: str, setting: str
) -> None:
    """The first two are Backblaze's and Cloudflare's words."""
    with answering(status, code, message) as origin, pytest.raises(BaseError, match=setting):
        s3_at(origin).put("key", b"1", tags={"a": "b"}, use_multipart=False)
    with answering(403, "AccessDenied", message) as origin, pytest.raises(BaseError) as denied:
        s3_at(origin).put("key", b"1", use_multipart=False)
    assert setting not in str(denied.value)


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
    with answering(status, code) as origin, pytest.raises(kind, match=re.escape(words)) as caught:
        call(s3_at(origin))
    assert str(caught.value).count(words) == 1


def test_a_service_that_cannot_go_on_with_a_listing_is_told_of() -> None:
    """It knows the first version of ListObjects alone, whose pages go on by a marker."""
    entry = "<Contents><Key>a</Key><LastModified>2020-01-01T00:00:00.000Z</LastModified><Size>1</Size></Contents>"
    listing = f"<ListBucketResult><IsTruncated>true</IsTruncated>{entry}</ListBucketResult>"
    with answering(200, document=listing) as origin, pytest.raises(BaseError, match="without ListObjectsV2"):
        s3_at(origin).list().collect()


@pytest.mark.parametrize(
    ("settings", "call", "words"),
    [
        ({"checksum_algorithm": "crc32"}, lambda s: s.put("a", b"1"), "leave out checksum_algorithm"),
        ({"checksum_algorithm": "sha256"}, lambda s: s.put_many({"a": b"1"}), "leave out checksum_algorithm"),
        ({"checksum_algorithm": "crc32"}, lambda s: s.begin_upload("a"), "leave out checksum_algorithm"),
        ({}, lambda s: s.put("a", b"1", tags={"b": "c"}), "disable_tagging=True"),
        ({"conditional_put": "etag"}, lambda s: s.put("a", b"1", mode="create"), "conditional_put='disabled'"),
        ({"conditional_put": "etag"}, lambda s: s.put("a", b"1", mode={"e_tag": '"e"'}), "conditional_put='disabled'"),
        ({"conditional_delete": "etag"}, lambda s: s.delete("a", if_match='"e"'), "conditional_delete"),
        ({"response_checksum_validation": "when_supported"}, lambda s: s.get("a"), "response_checksum_validation"),
        ({"server_side_encryption": "aws:kms"}, lambda s: s.put("a", b"1"), "server_side_encryption"),
        ({"server_side_encryption": "AES256"}, lambda s: s.begin_upload("a"), "server_side_encryption"),
        *(
            ({"request_payer": True}, call, "request_payer")
            for call in (
                lambda s: s.get("a"),
                lambda s: s.put("a", b"1"),
                lambda s: s.delete("a"),
                lambda s: s.list().collect(),
            )
        ),
        ({}, lambda s: s.put("a", b"1", attributes={"Storage-Class": "GLACIER"}), "Storage-Class"),
        (
            {"checksum_algorithm": "crc32"},
            lambda s: s.put("a", b"1", attributes={"Object-Lock-Legal-Hold": "ON"}),
            "Object-Lock",
        ),
    ],
)
def test_an_error_of_a_service_that_lacks_something_names_the_setting(
    settings: dict[str, Any], call: Callable[[S3Store], Any], words: str
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, NotImplemented."""
    with answering(501, "NotImplemented") as origin, pytest.raises(NotSupportedError, match=re.escape(words)):
        call(s3_at(origin, **settings))
    with answering(400, "InvalidArgument") as origin, pytest.raises(BaseError) as caught:
        call(s3_at(origin, **settings))
    assert words not in str(caught.value), "that may be refused for many reasons"


@pytest.mark.parametrize(
    ("message", "words"),
    [("x-amz-tagging is not known", "disable_tagging"), ("no x-amz-checksum-crc32 here", "checksum_algorithm")],
)
def test_the_setting_is_that_of_the_header_that_is_named(message: str, words: str) -> None:
    with answering(400, "InvalidRequest", message) as origin, pytest.raises(BaseError, match=f"out.* {words}"):
        s3_at(origin, checksum_algorithm="crc32").put("a", b"1", tags={"b": "c"})


def test_a_hint_is_given_once() -> None:
    with answering(501, "NotImplemented") as origin, pytest.raises(NotSupportedError) as caught:
        s3_at(origin).delete(["a", "b", "c"])
    assert str(caught.value).count("disable_bulk_delete") == 1


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


TOGETHER = ("1 more", "begin_upload")
"""What only S3 does by one request, or by one at all."""

ELSEWHERE: list[tuple[Callable[[Any], Any], list[str]]] = [
    (call, words) for call, words in PLACES if not {*words, *call.__code__.co_names} & {*TOGETHER}
] + [
    (lambda s: s.head_many(["dir/a"]), ["'below/dir/a'"]),
    (lambda s: s.get_ranges("dir/a", starts=[0], ends=[5]), ["'below/dir/a'"]),
    (lambda s: s.put_many([("dir/a", b"1")]), ["'below/dir/a'"]),
    (lambda s: s.upload(__file__, "dir/a"), ["'below/dir/a'"]),
    (lambda s: s.copy_many([("dir/a", "dir/b")]), ["dir/a'", "dir/b'"]),
    (lambda s: s.exists("dir/a"), ["'below/dir/a'"]),
    (lambda s: [*s.walk("dir/b")], ["'below/dir/b/'"]),
    (lambda s: s.sync(MemoryStore(), prefix="dir/b"), ["'below/dir/b/'"]),
]


@pytest.mark.parametrize(("call", "words"), ELSEWHERE)
@pytest.mark.parametrize(("open_at", "store"), [(gcs_at, "GCSStore"), (azure_at, "AzureStore"), (s3_at, "S3Store")])
def test_an_error_of_any_cloud_names_what_it_was_about(
    open_at: Callable[..., Any], store: str, call: Callable[[Any], Any], words: list[str]
) -> None:
    with answering(403, "AccessDenied") as origin, pytest.raises(PermissionDeniedError) as caught:
        call(open_at(origin, prefix="below"))
    error = caught.value
    assert (error.store, error.bucket) == (store, "shelf")
    assert all(word in str(error) for word in ["'shelf'", origin, *words])
    assert (error.url or "").startswith(origin)
    assert "?" not in (error.url or "?")


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
WORDS += [
    (lambda: S3Store("buc", client_options="timeout=5"), TypeError, "client_options is of the type str: give a dict"),  # type: ignore[arg-type]
    (lambda: S3Store("buc", config=["a"]), TypeError, "config is of the type list: give a dict"),  # type: ignore[arg-type]
    (lambda: MemoryStore().put("k", '{"a": 1}' * 2000), OSError, r"name too long; .*\.encode\(\)"),
    (lambda: MemoryStore().put("k", "a\0b"), ValueError, r"\.encode\(\)"),
    (lambda: MemoryStore().put_many([("k", "text")]), FileNotFoundError, r"\.encode\(\)"),
    (lambda: MemoryStore().put("k", ["text"]), TypeError, r"\.encode\(\)"),  # type: ignore[list-item]
    (lambda: MemoryStore().put("k", {"a": 1}), TypeError, "of the type dict"),  # type: ignore[dict-item]
    (lambda: MemoryStore().put("k", b"1", attributes={"Contnt-Type": "a"}), ValueError, "mean 'Content-Type'"),
    (lambda: MemoryStore().put("k", b"1", attributes={"content_type": "a"}), ValueError, "mean 'Content-Type'"),
    (lambda: MemoryStore().open_writer("k", attributes={"Cache-Controll": "a"}), ValueError, "mean 'Cache-Control'"),
    (lambda: MemoryStore().copy("k", "l", to_store="s3://b"), TypeError, "to_store = 's3://b': give a store"),  # type: ignore[arg-type]
    (lambda: MemoryStore().copy_many([], to_store=5), TypeError, "to_store = 5: give a store"),  # type: ignore[call-overload]
    (lambda: MemoryStore().get_many(None), TypeError, "None is of the type NoneType: give a list"),  # type: ignore[call-overload]
    (lambda: MemoryStore().put_many(5), TypeError, "5 is of the type int: give a list"),  # type: ignore[call-overload]
    (lambda: MemoryStore().glob("../*"), ValueError, r"'\.\.' cannot be a path"),
    (lambda: MemoryStore().list(offset=5), TypeError, "offset = 5"),  # type: ignore[call-overload]
    (lambda: MemoryStore().download_many(5, "d"), TypeError, "paths = 5"),  # type: ignore[call-overload]
    (lambda: FsspecStore("memory").cat("k", on_error="skip"), ValueError, "on_error = 'skip'"),
    (lambda: FsspecStore("memory").open("k", "wb", atributes={}), TypeError, "'atributes'"),
    (lambda: FsspecStore("s3").open("b/k", block_size=-1), ValueError, "block_size = -1"),
    (lambda: FsspecStore("s3").open("b/k", cache_type="best"), ValueError, "cache_type = 'best': give one of"),
    (lambda: FsspecStore("s3").cat("b"), ValueError, "'b' is not the path of a file. Give the key too"),
    (lambda: FsspecStore("s3").pipe({"b": b"1"}), ValueError, "'b' is not the path of a file. Give the key too"),
    (lambda: FsspecStore("s3").sign("b/k", expiration="1h"), TypeError, "expiration = '1h'"),
    (lambda: FsspecStore("https", headrs={}), UnknownConfigurationKeyError, "There are: bearer_token, password"),
    (lambda: ArrowFileSystemHandler(5), TypeError, "root is of the type int"),  # type: ignore[arg-type]
]
BAD_PEM = b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"
AT = "https://account.blob.core.windows.net/container/prefix"


@pytest.mark.parametrize(("call", "kind", "words"), WORDS)
def test_programs_match_on_these_words(call: Callable[[], Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        call()


def test_a_value_that_is_long_is_cut() -> None:
    with pytest.raises(ValueError, match="root_certificate = b'x") as caught:
        S3Store("bucket", client_options={"root_certificate": b"x" * 100_000})
    assert len(str(caught.value)) < 500
    with pytest.raises(OSError, match="too long") as named:
        MemoryStore().put("k", "x" * 100_000)
    assert len(str(named.value)) < 500


@pytest.mark.parametrize("answer", ["text", b"bytes", None])
def test_an_answer_that_is_no_dict_is_named_by_its_type(answer: Any) -> None:
    store = S3Store("bucket", region="r", credential_provider=lambda: answer)
    with pytest.raises(BaseError, match=f"returned a {type(answer).__name__}, not a dict"):
        store.get("a")


def test_an_error_about_a_bucket_itself_names_no_key() -> None:
    with answering(403) as origin:
        for open_at, kind in ((s3_at, "bucket"), (azure_at, "container")):
            with pytest.raises(BaseError, match=f"(HEAD|PUT) {kind} failed: .* {kind} 'shelf' at") as caught:
                open_at(origin).create_bucket(exist_ok=True)
            assert "''" not in str(caught.value)


def test_the_lines_that_azure_adds_to_its_messages_are_left_out() -> None:
    said = b"<Error><Code>Odd</Code><Message>So it is.\nRequestId:1\nTime:2</Message></Error>"
    assert read_words(said).message == "So it is."


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


def test_what_exists_has_its_errno(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("key", b"1")
    for call in (lambda: store.put("key", b"2", mode="create"), lambda: store.copy("key", "key", overwrite=False)):
        with pytest.raises(FileExistsError) as caught:
            call()
        assert caught.value.errno == errno.EEXIST


def test_what_cannot_be_downloaded_to_is_named() -> None:
    store = ten_bytes()
    target = Path("/proc/none")
    with pytest.raises(OSError, match=f"'{target}'") as caught:
        store.download("a", target)
    assert caught.value.filename == str(target)


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
