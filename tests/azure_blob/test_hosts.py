"""What each form of URL comes to on the wire: the host, the container, the key, and whose token for what."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from objstore.exceptions import BaseError
from objstore.store import AzureStore, from_url
from tests.azure_fake import Asked, Fake, Reply, fake_azure
from tests.tls_proxy import Proxy, standing_in

PUBLIC, CHINA, US = "login.microsoftonline.com", "login.chinacloudapi.cn", "login.microsoftonline.us"
STORAGE = "https://storage.azure.com/.default"
ONELAKE = "fabric.microsoft.com"
WORKSPACE = "c047b3e34e89407a98d7cf9949ae92a3.zc0"
KEY = base64.b64encode(b"key").decode()
APPLICATION = {"client_id": "app", "client_secret": "planted", "tenant_id": "tenant"}


class Place(NamedTuple):
    """Where requests of a URL go."""

    host: str
    path: str = "/c/p/k"
    authority: str = PUBLIC
    account: str = "a"


BLOBS = Place("a.blob.core.windows.net")
CLOUDS = {"core.windows.net": PUBLIC, "core.chinacloudapi.cn": CHINA, "core.usgovcloudapi.net": US}
SCHEMES = ("az", "adl", "azure", "abfs", "abfss", "wasb", "wasbs")

PLACES: dict[str, Place] = {
    **{f"{scheme}://c/p": BLOBS for scheme in SCHEMES},
    **{
        f"{scheme}://c@a.{kind}.{cloud}/p": Place(f"a.blob.{cloud}", authority=authority)
        for scheme in SCHEMES
        for kind in ("blob", "dfs")
        for cloud, authority in CLOUDS.items()
    },
    **{
        f"https://a.{kind}.{cloud}/c/p": Place(f"a.blob.{cloud}", authority=authority)
        for kind in ("blob", "dfs")
        for cloud, authority in CLOUDS.items()
    },
    "https://A.Blob.Core.Windows.Net/c/p": BLOBS,
    "abfss://c@a.z12.dfs.storage.azure.net/p": Place("a.z12.blob.storage.azure.net"),
    "https://a.z07.blob.storage.azure.net/c/p": Place("a.z07.blob.storage.azure.net"),
    "https://a-secondary.blob.core.windows.net/c/p": Place("a-secondary.blob.core.windows.net"),
    "https://a-secondary.dfs.core.chinacloudapi.cn/c/p": Place(
        "a-secondary.blob.core.chinacloudapi.cn", authority=CHINA
    ),
    f"abfss://My%20space@onelake.dfs.{ONELAKE}/x.Lakehouse/Files": Place(
        f"onelake.blob.{ONELAKE}", "/My%20space/x.Lakehouse/Files/k", account="onelake"
    ),
    f"https://onelake.blob.{ONELAKE}/w.x/p": Place(f"onelake.blob.{ONELAKE}", "/w.x/p/k", account="onelake"),
    f"https://westus-onelake.dfs.{ONELAKE}/w/p": Place(
        f"westus-onelake.blob.{ONELAKE}", "/w/p/k", account="onelake"
    ),
    f"https://api.onelake.{ONELAKE}/w/p": Place(f"api.onelake.{ONELAKE}", "/w/p/k", account="onelake"),
    f"https://uksouth-api.onelake.{ONELAKE}/w/p": Place(f"uksouth-api.onelake.{ONELAKE}", "/w/p/k", account="onelake"),
    **{
        f"https://{WORKSPACE}.{kind}.{ONELAKE}/w/p": Place(
            f"{WORKSPACE}.{'blob' if kind == 'dfs' else kind}.{ONELAKE}", "/w/p/k", account=WORKSPACE
        )
        for kind in ("blob", "dfs", "onelake")
    },
}  # fmt: skip
HOSTS = sorted({PUBLIC, CHINA, US, "login.example", "private.example", *(place.host for place in PLACES.values())})


def answers(asked: Asked) -> Reply:
    if asked.headers["host"].startswith("login."):
        return Reply(200, {}, b'{"access_token": "planted-token", "token_type": "Bearer", "expires_in": 3600}')
    return Reply(200, {"ETag": '"0x1"', "Last-Modified": "Fri, 27 Nov 2026 07:00:00 GMT"}, b"body")


@pytest.fixture(scope="module")
def fake() -> Iterator[Fake]:
    with fake_azure(answers) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(fake: Fake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with standing_in(dict.fromkeys(HOSTS, fake.url), tmp_path_factory.mktemp("tls")) as running:
        yield running


@pytest.fixture(autouse=True)
def _forgotten(fake: Fake) -> None:
    fake.asked.clear()


def by(proxy: Proxy) -> dict[str, object]:
    return {"proxy_url": proxy.url, "root_certificate": Path(proxy.certificates).read_bytes()}


def of(url: str) -> dict[str, str]:
    """Return the account, where the URL does not name it."""
    return {} if "@" in url or url.startswith("https:") else {"account_name": "a"}


@pytest.mark.parametrize("url", PLACES)
def test_a_token_is_asked_for_and_used(fake: Fake, proxy: Proxy, url: str) -> None:
    store = from_url(url, client_options=by(proxy), **of(url), **APPLICATION)
    assert store.get("k").bytes() == b"body"
    asking, reading = fake.asked
    place = PLACES[url]
    assert (asking.headers["host"], asking.target) == (place.authority, "/tenant/oauth2/v2.0/token")
    assert parse_qs(asking.body.decode())["scope"] == [STORAGE]
    assert (reading.headers["host"], reading.target) == (place.host, place.path)
    assert reading.headers["authorization"] == "Bearer planted-token"


@pytest.mark.parametrize("url", PLACES)
def test_a_key_signs_in_the_name_of_the_account(fake: Fake, proxy: Proxy, url: str) -> None:
    place = PLACES[url]
    store = from_url(url, client_options=by(proxy), **of(url), account_key=KEY)
    store.get("k")
    (reading,) = fake.asked
    assert (reading.headers["host"], reading.target) == (place.host, place.path)
    lines = [f"{name}:{reading.headers[name]}\n" for name in ("x-ms-date", "x-ms-version")]
    ranges = reading.headers.get("range", "")
    text = "GET" + "\n" * 11 + f"{ranges}\n{''.join(lines)}/{place.account}{place.path}"
    signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()
    assert reading.headers["authorization"] == f"SharedKey {place.account}:{signature}"
    signed = urlsplit(store.sign("GET", "k", timedelta(hours=1)))
    assert (signed.netloc, signed.path, "sig" in dict(parse_qsl(signed.query))) == (place.host, place.path, True)


def test_an_authority_that_is_given_counts(fake: Fake, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://a.blob.core.chinacloudapi.cn/c"
    from_url(url, client_options=by(proxy), authority_host="login.example", **APPLICATION).get("k")
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", f"https://{US}/")
    from_url(url, client_options=by(proxy), **{**APPLICATION, "client_id": "another"}).get("k")
    assert [asked.headers["host"] for asked in fake.asked if "oauth2" in asked.target] == ["login.example", US]


def test_stores_of_two_clouds_share_no_token(fake: Fake, proxy: Proxy) -> None:
    same = {**APPLICATION, "client_id": "shared"}
    for cloud in ("core.windows.net", "core.usgovcloudapi.net", "core.windows.net"):
        from_url(f"abfss://c@a.blob.{cloud}/p", client_options=by(proxy), **same).get("k")
    assert [asked.headers["host"] for asked in fake.asked if "oauth2" in asked.target] == [PUBLIC, US]


def test_an_endpoint_of_ones_own(fake: Fake, proxy: Proxy) -> None:
    store = AzureStore(
        "c", account_name="a", endpoint="https://private.example/above", client_options=by(proxy), **APPLICATION
    )
    store.get("k")
    asking, reading = fake.asked
    assert (asking.headers["host"], reading.headers["host"], reading.target) == (
        PUBLIC,
        "private.example",
        "/above/c/k",
    )


def test_a_connection_string_of_another_cloud(fake: Fake, proxy: Proxy) -> None:
    text = f"AccountName=a;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn"
    AzureStore("c", connection_string=text, prefix="p", client_options=by(proxy)).get("k")
    assert [(asked.headers["host"], asked.target) for asked in fake.asked] == [
        ("a.blob.core.chinacloudapi.cn", "/c/p/k")
    ]


def test_two_places_that_contradict_each_other(proxy: Proxy) -> None:
    with pytest.raises(BaseError, match="twice"):
        from_url("https://a.blob.core.windows.net/c", account_name="b", client_options=by(proxy))
