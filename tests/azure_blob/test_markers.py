"""Markers of listings come back as the service gave them, whatever is in them."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from objstore.store import AzureStore
from tests.azure_blob.objects import Container
from tests.azure_blob.opened import opened
from tests.azure_blob.server import StrictServer
from tests.azure_fake import Asked, Fake, Reply, fake_azure
from tests.conformance.conftest import open_container
from tests.servers import AzureServer

KEYS = [f"{folder}/k{at}" for folder in ("a", "b") for at in range(5)]
ODD = [
    "==", "+", "/", "%", "%3D", "%2B", "&", "&marker=x", "?", "#", " ", "  two  ", "'", '"', "<>", "]]>", "\n", "\nk9",
    "\r\n", "\\", ";", ",", "ü", "日本", "\U0001f600", "\u2028", "2!76!MDAwMDA!", "x" * 3000,
]  # fmt: skip


@pytest.fixture(scope="module")
def container(strict: StrictServer) -> Container:
    return strict.make("marked", versioned=True)


@pytest.fixture(scope="module")
def store(strict: StrictServer, container: Container) -> AzureStore:
    http = {"allow_http": True}
    store = opened("marked", endpoint=strict.endpoint, client_options=http, retry_config={"max_retries": 0})
    store.put_many([(key, b"") for key in KEYS])
    return store


@pytest.fixture(autouse=True)
def _plain(strict: StrictServer) -> Iterator[None]:
    strict.calls.clear()
    yield
    strict.around = ("", "")


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: ascii(odd)[:20])
def test_whatever_is_in_a_marker(strict: StrictServer, store: AzureStore, odd: str) -> None:
    strict.around = (odd, odd)
    assert [meta["path"] for meta in store.list().collect()] == KEYS
    assert [meta["path"] for meta in store.list(offset="a/k2").collect()] == KEYS[3:]
    assert [meta["path"] for meta in store.list(max_concurrency=4).collect()] == KEYS
    assert [meta["path"] for page in store.list_level("b") for meta in page["objects"]] == KEYS[5:]
    assert [meta["path"] for meta in store.list_versions().collect()] == KEYS
    asked = [call.query["marker"] for call in strict.calls if "marker" in call.query]
    assert len(asked) >= 10
    assert all(marker.startswith(odd) and marker.endswith(odd) for marker in asked)


# --- Azurite's own, over pages of two

NAMES = ["=", "a b", "a%2Fb", "a&b=c", "a+b", "a/b", "a<b>", "a?b#c", "k=", "k==", "ü", "日本", "\u2028x"]


@pytest.fixture(scope="module")
def paging(azurite: AzureServer) -> Iterator[Fake]:
    """Stand in front of Azurite and ask for pages of two: signatures of URLs do not cover that."""

    def answers(asked: Asked) -> Reply:
        more = "&maxresults=2" if "comp=list" in asked.target else ""
        behind = http.client.HTTPConnection(urlsplit(azurite.endpoint).netloc)
        sent = {name: value for name, value in asked.headers.items() if name != "host"}
        behind.request(asked.method, asked.target + more, asked.body, sent)
        answer = behind.getresponse()
        body = answer.read()
        behind.close()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in ("transfer-encoding", "date")}
        return Reply(answer.status, kept, body)

    with fake_azure(answers) as running:
        yield running


def test_those_of_azurite(azurite: AzureServer, paging: Fake) -> None:
    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    direct = open_container(azurite, raw_keys=True)
    name = direct.config["container_name"]
    direct.put_many([(key, b"") for key in NAMES])
    sas: Any = generate_container_sas(
        azurite.account_name,
        name,
        azurite.account_key,
        permission=ContainerSasPermissions(read=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    store = AzureStore(
        name,
        account_name=azurite.account_name,
        endpoint=f"{paging.url}/{azurite.account_name}",
        sas_key=sas,
        raw_keys=True,
        client_options={"allow_http": True},
    )
    assert sorted(meta["path"] for meta in store.list().collect()) == sorted(NAMES)
    assert len([asked for asked in paging.asked if "marker=" in asked.target]) == 6
    for offset in NAMES:
        found = [meta["path"] for meta in store.list(offset=offset).collect()]
        assert sorted(found) == sorted(name for name in NAMES if name > offset)
