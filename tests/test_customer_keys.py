"""Objects encrypted with the caller's own key (SSE-C), on a real server behind a proxy that speaks TLS for it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from objstore.exceptions import BaseError, ConfigurationError
from objstore.store import S3Store
from tests.servers import S3Server
from tests.tls_proxy import standing_in

HOST = "s3.example.com"
KEYS = {name: base64.b64encode(name.encode() * 32).decode() for name in "ab"}
PART = 5 << 20
LARGE = bytes(range(256)) * (PART // 256) + b"end"

Make = Callable[[str | None], S3Store]


@pytest.fixture(scope="module")
def behind_tls(ministack: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Return what makes a store with a key of the caller's, or without one."""
    bucket = ministack.make_bucket("customer-keys")
    with standing_in({HOST: ministack.endpoint}, tmp_path_factory.mktemp("tls")) as proxy:

        def make(key: str | None, **settings: str) -> S3Store:
            return S3Store(
                bucket,
                endpoint=f"https://{HOST}",
                region=ministack.region,
                access_key_id=ministack.access_key_id,
                secret_access_key=ministack.secret_access_key,
                sse_customer_key_base64=None if key is None else KEYS[key],
                copy_if_not_exists="multipart",
                client_options={"proxy_url": proxy.url, "root_certificate": Path(proxy.certificates).read_bytes()},
                retry_config={"max_retries": 0},
            )

        yield make


def test_objects_are_read_with_their_key_alone(behind_tls: Make) -> None:
    store = behind_tls("a")
    store.put("one", b"secret")
    store.put("parts", LARGE, chunk_size=PART)
    assert store.get("one").bytes() == b"secret"
    assert store.head("parts")["size"] == len(LARGE)
    assert store.get("parts").bytes() == LARGE
    assert store.get_many([("one", 0, 3), ("parts", PART, None)]) == [b"sec", b"end"]
    for other in (behind_tls("b"), behind_tls(None)):
        with pytest.raises(BaseError):
            other.get("one").bytes()


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_copy_is_read_with_the_key_of_its_source(behind_tls: Make, overwrite: bool) -> None:
    """Without `overwrite` it is made of parts."""
    store = behind_tls("a")
    store.put("source", b"secret")
    target = f"copy-{overwrite}"
    store.copy("source", target, overwrite=overwrite)
    assert store.get(target).bytes() == b"secret"
    with pytest.raises(BaseError):
        behind_tls(None).get(target).bytes()


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize(("source", "target"), [("a", "b"), ("a", None), (None, "a")])
def test_a_copy_to_another_store_is_encrypted_as_that_store_says(
    behind_tls: Make, source: str | None, target: str | None, overwrite: bool
) -> None:
    path = f"{source}-{target}-{overwrite}"
    behind_tls(source).put("from-" + path, b"secret")
    behind_tls(source).copy("from-" + path, path, to_store=behind_tls(target), overwrite=overwrite)
    assert behind_tls(target).get(path).bytes() == b"secret"
    with pytest.raises(BaseError):
        behind_tls(source).get(path).bytes()


@pytest.mark.parametrize("endpoint", ["http://s3.example.com", "http://127.0.0.1:9000", "http://localhost:9000"])
def test_a_key_is_never_sent_in_the_clear(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="in the clear") as caught:
        S3Store("bucket", endpoint=endpoint, allow_http=True, sse_customer_key_base64=KEYS["a"])
    assert KEYS["a"] not in str(caught.value)


CUSTOMER_KEY = "x-amz-server-side-encryption-customer-key"
HOUR = timedelta(hours=1)
DOORS: dict[str, Callable[[str, dict[str, str]], object]] = {
    "default_headers": lambda url, headers: there(url, default_headers=headers),
    "sign": lambda url, headers: there(url).sign("PUT", "a", HOUR, headers=headers),
    "sign_post": lambda url, headers: there(url).sign_post("a", HOUR, fields=headers),
}


def there(url: str, **options: Any) -> S3Store:
    who = {"access_key_id": "k", "secret_access_key": "s", "region": "us-east-1"}
    return S3Store("bucket", endpoint=url, client_options={"allow_http": True, **options}, **who)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "header", [CUSTOMER_KEY, CUSTOMER_KEY.upper(), CUSTOMER_KEY.replace("x-amz-", "x-amz-copy-source-")]
)
def test_a_key_in_a_header_is_not_sent_in_the_clear_either(door: str, header: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{header}.* sent in the clear to http://127") as caught:
        DOORS[door]("http://127.0.0.1:9000", {header: KEYS["a"]})
    assert KEYS["a"] not in str(caught.value)
    assert DOORS[door]("https://s3.example.com", {header: KEYS["a"]})
