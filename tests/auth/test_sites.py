"""Credential providers of NASA Earthdata and the Planetary Computer.

Neither service can be run here; a server on loopback answers as their references say.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from objstore.auth.earthdata import (
    DEFAULT_EARTHDATA_HOST,
    NasaEarthdataAsyncCredentialProvider,
    NasaEarthdataCredentialProvider,
)
from objstore.auth.planetary_computer import (
    PlanetaryComputerAsyncCredentialProvider,
    PlanetaryComputerCredentialProvider,
)
from objstore.credentials import azure
from objstore.credentials.aws import Credential
from objstore.exceptions import UnauthenticatedError
from objstore.store import AzureStore
from tests.auth.conftest import ask
from tests.site import Answer, Site

pytest.importorskip("aiohttp_retry")
pytest.importorskip("dotenv")
pytest.importorskip("requests")

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

EARTHDATA = [NasaEarthdataCredentialProvider, NasaEarthdataAsyncCredentialProvider]
KEY = {"accessKeyId": "A", "secretAccessKey": "B", "sessionToken": "C", "expiration": "2026-01-01 12:00:00+00:00"}
LOGIN = "/oauth/authorize?client_id=x"
BASIC = "Basic " + base64.b64encode(b"user:word").decode()


def close(provider: Any) -> None:
    closed = provider.close()
    if inspect.isawaitable(closed):
        asyncio.run(closed)  # type: ignore[arg-type]


@pytest.fixture(params=EARTHDATA)
def earthdata(request: pytest.FixtureRequest, site: Site) -> Iterator[Callable[..., Any]]:
    """Makes providers of each kind in turn, with the site in the place of NASA's."""
    made = []

    def make(**arguments: Any) -> Any:
        made.append(request.param(f"{site.url}/s3credentials", **{"host": "127.0.0.1", **arguments}))
        return made[-1]

    yield make
    for provider in made:
        close(provider)


def test_a_token_of_earthdata(earthdata: Callable[..., Any], site: Site) -> None:
    site.answers["/s3credentials"] = [Answer(body=KEY)]
    provider = earthdata(auth="the-token")
    assert provider.config == {"region": "us-west-2"}
    assert Credential.from_mapping(ask(provider)) == Credential("A", "B", "C", NOON)
    assert site.seen[0].headers["authorization"] == "Bearer the-token"


def test_a_token_that_earthdata_does_not_accept(earthdata: Callable[..., Any], site: Site) -> None:
    site.answers["/s3credentials"] = [Answer(307, location=f"{site.url}{LOGIN}")]
    with pytest.raises(UnauthenticatedError, match="does not accept the token") as caught:
        ask(earthdata(auth="the-token"))
    assert caught.value.status == 401
    assert "the-token" not in str(caught.value)
    assert len(site.seen) == 1


@pytest.mark.parametrize("location", [LOGIN, "{url}" + LOGIN])
def test_a_password_of_earthdata(earthdata: Callable[..., Any], site: Site, location: str) -> None:
    site.answers["/s3credentials"] = [Answer(302, location=location.format(url=site.url)), Answer(body=KEY)]
    site.answers["/oauth/authorize"] = [Answer(302, location=f"{site.url}/s3credentials?code=1")]
    assert ask(earthdata(auth=("user", "word")))["access_key_id"] == "A"
    assert "authorization" not in site.seen[0].headers
    assert site.seen[1].headers["authorization"] == BASIC
    assert [seen.path for seen in site.seen] == ["/s3credentials", LOGIN, "/s3credentials?code=1"]


def test_a_password_goes_to_no_other_host(earthdata: Callable[..., Any], site: Site) -> None:
    site.answers["/s3credentials"] = [Answer(302, location=f"{site.url}{LOGIN}")]
    site.answers["/oauth/authorize"] = [Answer(body="<html>Log in!</html>")]
    with pytest.raises(UnauthenticatedError, match="user and password") as caught:
        ask(earthdata(auth=("user", "word"), host="elsewhere.example"))
    assert caught.value.status == 401
    assert all("authorization" not in seen.headers for seen in site.seen)


def test_a_netrc_file_is_weaker_than_what_is_given(earthdata: Callable[..., Any], site: Site, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login nobody password x\n")
    site.answers["/s3credentials"] = [Answer(body=KEY)]
    ask(earthdata(auth="the-token"))
    assert site.seen[0].headers["authorization"] == "Bearer the-token"


def test_an_earthdata_session_that_goes_on(earthdata: Callable[..., Any], site: Site) -> None:
    site.answers["/s3credentials"] = [Answer(body=KEY)]
    assert ask(earthdata(auth=("user", "word")))["token"] == "C"


@pytest.mark.parametrize(
    ("variables", "netrc", "header"),
    [
        ({"EARTHDATA_TOKEN": "t", "EARTHDATA_USERNAME": "user", "EARTHDATA_PASSWORD": "word"}, "", "Bearer t"),
        ({"EARTHDATA_USERNAME": "user", "EARTHDATA_PASSWORD": "word"}, "login nobody password x", BASIC),
        ({"EARTHDATA_USERNAME": "nobody"}, "login user password word", BASIC),
    ],
)
def test_where_earthdata_users_come_from(
    earthdata: Callable[..., Any],
    site: Site,
    variables: dict[str, str],
    netrc: str,
    header: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "netrc").write_text(f"machine login.localhost {netrc}\n" if netrc else "")
    for name, value in {**variables, "EARTHDATA_HOST": "login.localhost"}.items():
        monkeypatch.setenv(name, value)
    provider = earthdata(host=None)
    if header.startswith("Bearer"):
        assert provider._headers == {"Authorization": header}
    else:
        assert provider._login("https://login.localhost/x")[1] == {"Authorization": header}


def test_the_usual_host_of_earthdata(earthdata: Callable[..., Any]) -> None:
    provider = earthdata(host=None, auth=("user", "word"))
    assert provider._login(f"https://{DEFAULT_EARTHDATA_HOST}/x")[1] == {"Authorization": BASIC}
    assert provider._login("https://urs.earthdata.nasa.gov.evil.example/x")[1] == {}


def test_a_closed_provider_is_of_no_use(earthdata: Callable[..., Any]) -> None:
    provider = earthdata(auth="t")
    close(provider)
    with pytest.raises(ValueError, match="was closed"):
        ask(provider)
    with pytest.raises(ValueError, match="was closed"):
        _ = provider.session


def test_the_callers_session_is_used_and_left_open(site: Site) -> None:
    import aiohttp
    import requests

    site.answers["/s3credentials"] = [Answer(body=KEY)]
    url = f"{site.url}/s3credentials"
    with requests.Session() as session:
        session.headers["X-Mine"] = "1"
        provider = NasaEarthdataCredentialProvider(url, auth="t", session=session)
        provider.close()
        assert provider.session is session
        assert provider()["token"] == "C"

    async def use() -> None:
        async with aiohttp.ClientSession(headers={"X-Mine": "2"}) as session:
            provider = NasaEarthdataAsyncCredentialProvider(url, auth="t", session=session)
            await provider.close()
            assert provider.session is session
            assert (await provider())["token"] == "C"
            assert not session.closed

    asyncio.run(use())
    assert [seen.headers["x-mine"] for seen in site.seen] == ["1", "2"]


def test_what_fails_for_a_moment_is_tried_again(earthdata: Callable[..., Any], site: Site) -> None:
    site.answers["/s3credentials"] = [Answer(503), Answer(body=KEY)]
    assert ask(earthdata(auth="t"))["token"] == "C"
    assert len(site.seen) == 2


PLANETARY = [PlanetaryComputerCredentialProvider, PlanetaryComputerAsyncCredentialProvider]
TOKEN = {"msft:expiry": "2026-01-01T12:00:00Z", "token": "sv=1&sig=a%2Bb%3D"}


@pytest.mark.parametrize("kind", PLANETARY)
def test_a_signature_of_the_planetary_computer(kind: Any, site: Site) -> None:
    site.answers["/sas/a/c"] = [Answer(503), Answer(body=TOKEN)]
    provider = kind("https://a.blob.core.windows.net/c/p/q/", sas_url=f"{site.url}/sas", subscription_key="key")
    found = azure.from_mapping(ask(provider))
    assert found == azure.SharedAccess((("sv", "1"), ("sig", "a+b=")), NOON)
    assert site.seen[-1].headers["ocp-apim-subscription-key"] == "key"
    assert site.seen[-1].headers["user-agent"].startswith("objstore/")
    store = AzureStore(credential_provider=provider)
    assert repr(store) == 'AzureStore(container_name="c", account_name="a", prefix="p/q")'


@pytest.mark.parametrize("kind", PLANETARY)
@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"url": "https://a.blob.core.windows.net/c"}, ("a", "c", None)),
        ({"url": "https://a.blob.core.windows.net/c/p"}, ("a", "c", "p")),
        ({"url": "abfs://c/p/q.zarr", "account_name": "a"}, ("a", "c", "p/q.zarr")),
        ({"url": "abfs://c@a.dfs.core.windows.net/p"}, ("a", "c", "p")),
        ({"account_name": "a", "container_name": "c"}, ("a", "c", None)),
    ],
)
def test_places_of_the_planetary_computer(kind: Any, arguments: Any, place: tuple[str, str, str | None]) -> None:
    provider = kind(**arguments)
    account, container, prefix = place
    assert provider.config == {"account_name": account, "container_name": container}
    assert provider.prefix == prefix


@pytest.mark.parametrize("kind", PLANETARY)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "must be known"),
        ({"account_name": "a"}, "must be known"),
        ({"url": "abfs://c/p"}, "must be known"),
        ({"url": "https://a.blob.core.windows.net"}, "must be known"),
        ({"url": "https://a.blob.core.windows.net/c", "account_name": "a"}, "Cannot pass account_name"),
        ({"url": "https://a.blob.core.windows.net/c", "container_name": "c"}, "Cannot pass container_name"),
        ({"url": "https://h/c"}, "of the kind http"),
        ({"url": "s3://b/c"}, "of the kind s3"),
    ],
)
def test_places_that_are_none(kind: Any, arguments: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        kind(**arguments)


@pytest.mark.parametrize("kind", PLANETARY)
def test_assets_of_a_catalogue(kind: Any) -> None:
    options = {"xarray:storage_options": {"account_name": "a"}}
    table = {"table:storage_options": {"account_name": "a"}}
    for asset in (
        {"href": "abfs://c/p", **options},
        {"href": "abfs://c/p", "extra_fields": table},
        SimpleNamespace(href="abfs://c/p", extra_fields=options),
        SimpleNamespace(href="https://a.blob.core.windows.net/c/p", extra_fields=table),
        {"href": "https://a.blob.core.windows.net/c/p"},
    ):
        provider = kind.from_asset(asset)
        assert type(provider) is kind
        assert (provider.config["account_name"], provider.prefix) == ("a", "p")


@pytest.mark.parametrize("kind", PLANETARY)
def test_settings_of_the_planetary_computer(kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def settings() -> tuple[str, str | None]:
        provider = kind(account_name="a", container_name="c")
        return provider._request_url, provider._headers.get("Ocp-Apim-Subscription-Key")

    assert settings() == ("https://planetarycomputer.microsoft.com/api/sas/v1/token/a/c", None)
    (tmp_path / ".planetarycomputer").mkdir()
    (tmp_path / ".planetarycomputer" / "settings.env").write_text(
        "PC_SDK_SUBSCRIPTION_KEY=of-file\nPC_SDK_SAS_URL=https://of-file\n"
    )
    assert settings() == ("https://of-file/a/c", "of-file")
    monkeypatch.setenv("PC_SDK_SUBSCRIPTION_KEY", "of-environment")
    assert settings() == ("https://of-file/a/c", "of-environment")
