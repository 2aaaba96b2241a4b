"""No secret shows in anything that prints an object, its attributes or the variables of a traceback."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import pickle
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from objstore.exceptions import BaseError
from objstore.settings.masked import Hidden, HiddenBytes, hide
from objstore.store import AzureStore, GCSStore, HTTPStore, MemoryStore, S3Store
from tests.google_credentials.environments import SERVICE_ACCOUNT
from tests.shown import shown_by, shown_of

SECRET = "planted-secret-that-is-longer-than-what-is-cut-off-by-those-who-print-the-variables-of-tracebacks"
KEY = base64.b64encode(b"planted-key-of-thirty-two-bytes!").decode()
HTTPS = {"proxy_url": f"http://user:{SECRET}@proxy.example:1", "default_headers": {"X-Api-Key": SECRET}}
ACCOUNT: dict[str, Any] = {"account_name": "a"}
APPLICATION = {**ACCOUNT, "client_id": "i", "tenant_id": "t"}
FABRIC = {
    "fabric_workload_host": "h",
    "fabric_cluster_identifier": "c",
    "fabric_token_service_url": "https://f.example",
}
PLANTED = (SECRET, SECRET[:20], KEY, base64.b64encode(f"u:{SECRET}".encode()).decode()[8:-4], KEY[:20])


def provide() -> dict[str, Any]:
    return {"access_key_id": "k", "secret_access_key": SECRET, "token": SECRET, "expires_at": None}


def provide_wrongly() -> dict[str, Any]:
    return {"access_key_id": "k", "secret_access_key": SECRET, "token": f"{SECRET} {SECRET}", "expires_at": None}


STORES: dict[str, Callable[[], Any]] = {
    "s3": lambda: S3Store(
        "bucket", region="r", access_key_id="k", secret_access_key=SECRET, session_token=SECRET, client_options=HTTPS
    ),
    "s3 with a key": lambda: S3Store(
        "bucket", region="r", access_key_id="k", secret_access_key=SECRET, sse_customer_key_base64=KEY
    ),
    "s3 with a provider": lambda: S3Store("bucket", region="r", credential_provider=provide),
    "gcs": lambda: GCSStore("b", bearer_token=SECRET, encryption_key=KEY, client_options=HTTPS),
    "gcs by hmac": lambda: GCSStore("b", access_key_id="k", secret_access_key=SECRET),
    "gcs by a key": lambda: GCSStore("b", service_account_key=json.dumps(SERVICE_ACCOUNT)),
    "azure by key": lambda: AzureStore("c", account_key=KEY, encryption_key=KEY, client_options=HTTPS, **ACCOUNT),
    "azure by sas": lambda: AzureStore("c", sas_key=f"sv=1&sig={SECRET}", **ACCOUNT),
    "azure by string": lambda: AzureStore("c", connection_string=f"AccountName=a;AccountKey={KEY}"),
    "azure by token": lambda: AzureStore("c", token=SECRET, **ACCOUNT),
    "azure by secret": lambda: AzureStore("c", client_secret=SECRET, **APPLICATION),
    "azure by certificate": lambda: AzureStore(
        "c", client_certificate_path="/none", client_certificate_password=SECRET, **APPLICATION
    ),
    "azure by fabric": lambda: AzureStore("c", fabric_session_token=SECRET, **FABRIC, **ACCOUNT),
    "http by password": lambda: HTTPStore(f"https://u:{SECRET}@s.example/", client_options=HTTPS),
    "http by user": lambda: HTTPStore("https://s.example/", username="u", password=SECRET),
    "http by token": lambda: HTTPStore("https://s.example/", bearer_token=SECRET),
}


@pytest.mark.parametrize("name", STORES)
def test_nothing_that_a_store_is_made_of_shows_a_secret(name: str) -> None:
    store = STORES[name]()
    if name.startswith(("s3", "gcs by", "azure by key")):
        store.sign("DELETE", "a", timedelta(minutes=1))
    shown = shown_of(store)
    secrets = (*PLANTED, *SERVICE_ACCOUNT["private_key"].split("\n")[1:-2])
    assert not [secret for secret in secrets if secret in shown]
    assert "***" in shown
    assert pickle.loads(pickle.dumps(store)) == store


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


STOPPED: dict[str, Callable[[str], Any]] = {
    "s3": lambda url: S3Store(
        "bucket",
        region="r",
        endpoint=url,
        access_key_id="k",
        secret_access_key=SECRET,
        session_token=SECRET,
        client_options={"allow_http": True, "default_headers": {"X-Api-Key": SECRET}},
    ),
    "gcs": lambda url: GCSStore(
        "b",
        bearer_token=SECRET,
        base_url=url,
        client_options={"allow_http": True, "default_headers": {"X-Api-Key": SECRET}},
    ),
    "azure": lambda url: AzureStore("c", account_name="a", account_key=KEY, endpoint=url, allow_http=True),
    "azure by sas": lambda url: AzureStore(
        "c", account_name="a", sas_key=f"sv=1&sig={SECRET}", endpoint=url, allow_http=True
    ),
    "azure by fabric": lambda url: AzureStore(
        "c",
        account_name="a",
        fabric_session_token=SECRET,
        allow_http=True,
        **{**FABRIC, "fabric_token_service_url": f"{url}/token"},
    ),
    "http": lambda url: HTTPStore(url, username="u", password=SECRET, client_options={"allow_http": True}),
}


@pytest.mark.parametrize("name", STOPPED)
def test_the_traceback_of_a_cancelled_task_shows_no_secret(name: str, silent: str) -> None:
    """Its functions have what they are about to send in their variables."""

    async def stopped() -> asyncio.CancelledError:
        store = STOPPED[name](silent)
        task = asyncio.ensure_future(store.get_async("a"))
        await asyncio.wait([task], timeout=0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return caught.value

    shown = shown_by(asyncio.run(stopped()))
    assert not [secret for secret in PLANTED if secret in shown]
    assert "Cancelled" in shown


def test_the_traceback_of_a_faulty_provider_shows_no_secret() -> None:
    with pytest.raises(BaseError, match="token empty, or with characters") as caught:
        S3Store("bucket", region="r", credential_provider=provide_wrongly).get("a")
    assert SECRET[:20] not in shown_by(caught.value)


def test_what_is_hidden_is_what_it_was() -> None:
    text, data = Hidden("secret"), HiddenBytes(b"secret")
    assert (text, data, f"{text}", str(text)) == ("secret", b"secret", "secret", "secret")
    assert (repr(text), repr(data), repr(text[:2]), repr(data[:2]), data[0]) == (
        "'***'",
        "b'***'",
        "'***'",
        "b'***'",
        115,
    )
    assert (type(copy.deepcopy(text)), type(pickle.loads(pickle.dumps(data)))) == (Hidden, HiddenBytes)
    ends = datetime.now(UTC)
    whole = {"key": [text, ("a", 1)], "ends": ends}
    assert hide({"key": ["secret", ("a", 1)], "ends": ends}) == whole
    assert "secret" not in repr(hide({"key": ["secret", (b"secret", 1)], "ends": ends}))


def test_options_that_differ_in_what_is_hidden_are_others() -> None:
    """What is sent together has the same options, and no repr tells whether it has."""
    store = MemoryStore()
    keys = ["one", "two", "three"]
    store.put_many([(key, b"", {"attributes": {"mark": Hidden(key)}}) for key in keys])
    assert [str(store.get(key).attributes["mark"]) for key in keys] == keys
