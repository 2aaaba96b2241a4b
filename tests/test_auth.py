"""Credential providers made of other libraries: boto3 against a token service, the others without a network.

Earthdata and the Planetary Computer cannot be run here; a server on loopback answers as their references say.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from objstore.credentials import azure, google
from objstore.credentials.aws import Credential
from objstore.exceptions import UnauthenticatedError
from objstore.store import AzureStore, S3Store
from tests.servers import S3Server

boto3 = pytest.importorskip("boto3")
pytest.importorskip("aiohttp_retry")
pytest.importorskip("azure.identity")
pytest.importorskip("google.auth")
pytest.importorskip("requests")

from objstore.auth.azure import AzureAsyncCredentialProvider, AzureCredentialProvider  # noqa: E402
from objstore.auth.boto3 import Boto3CredentialProvider, StsCredentialProvider  # noqa: E402
from objstore.auth.earthdata import (  # noqa: E402
    DEFAULT_EARTHDATA_HOST,
    NasaEarthdataAsyncCredentialProvider,
    NasaEarthdataCredentialProvider,
)
from objstore.auth.google import GoogleAsyncCredentialProvider, GoogleCredentialProvider  # noqa: E402
from objstore.auth.planetary_computer import (  # noqa: E402
    PlanetaryComputerAsyncCredentialProvider,
    PlanetaryComputerCredentialProvider,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def ask(provider: Any) -> Any:
    """Return the credential of a provider of either kind."""
    answer = provider()
    if not inspect.isawaitable(answer):
        return answer

    async def wait() -> Any:
        return await answer

    return asyncio.run(wait())


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the home or the environment of whoever runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "*")
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("EARTHDATA_HOST", "EARTHDATA_TOKEN", "EARTHDATA_USERNAME", "EARTHDATA_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    for name in ("PC_SDK_SUBSCRIPTION_KEY", "PC_SDK_SAS_URL"):
        monkeypatch.delenv(name, raising=False)


# --- boto3


def session_of(server: S3Server) -> Any:
    return boto3.Session(
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
        region_name=server.region,
    )


def test_the_credential_of_a_session(moto: S3Server) -> None:
    provider = Boto3CredentialProvider(session_of(moto), ttl=timedelta(minutes=5))
    before = datetime.now(UTC)
    credential = Credential.from_mapping(provider())
    assert (credential.access_key_id, credential.secret_access_key) == (moto.access_key_id, moto.secret_access_key)
    assert credential.token is None
    assert credential.expires_at is not None
    assert timedelta(minutes=5) <= credential.expires_at - before < timedelta(minutes=6)
    assert provider.config == {"region": moto.region}


def test_a_store_with_the_credential_of_a_session(moto: S3Server) -> None:
    bucket = moto.make_bucket("auth-session")
    provider = Boto3CredentialProvider(session_of(moto))
    store = S3Store(bucket, endpoint=moto.endpoint, client_options={"allow_http": True}, credential_provider=provider)
    store.put("a", b"1")
    assert store.get("a").bytes() == b"1"
    assert store._settings["region"] == moto.region


def test_a_profile_and_a_session_of_botocore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.session

    (tmp_path / "config").write_text(
        "[profile other]\nregion = eu-west-3\naws_access_key_id = A\naws_secret_access_key = B\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for session in (boto3.Session(profile_name="other"), botocore.session.Session(profile="other")):
        provider = Boto3CredentialProvider(session)
        assert provider.config == {"region": "eu-west-3"}
        assert provider()["access_key_id"] == "A"


def test_a_session_without_a_credential() -> None:
    with pytest.raises(ValueError, match="finds no credential"):
        Boto3CredentialProvider(boto3.Session())
    with pytest.raises(ValueError, match="finds no credential"):
        Boto3CredentialProvider()


def test_a_credential_that_ends_sooner_is_not_kept_for_longer() -> None:
    from botocore.credentials import RefreshableCredentials

    ends = (datetime.now(UTC) + timedelta(minutes=20)).replace(microsecond=0)
    found = {"access_key": "A", "secret_key": "B", "token": "C", "expiry_time": ends.isoformat()}
    credentials = RefreshableCredentials.create_from_metadata(found, lambda: found, "custom-process")
    session = SimpleNamespace(region_name=None, get_credentials=lambda: credentials)
    provider = Boto3CredentialProvider(session)
    assert provider()["expires_at"] == ends
    assert provider.config == {}


def policy(statement: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_role_is_assumed(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto.endpoint)
    bucket = moto.make_bucket("auth-role")
    iam = moto.client("iam")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
    access = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="reader", PolicyName="s3", PolicyDocument=policy(access))
    provider = StsCredentialProvider(session_of(moto), RoleArn=role, RoleSessionName="test", DurationSeconds=900)
    credential = Credential.from_mapping(provider())
    assert credential.access_key_id != moto.access_key_id
    assert credential.token
    assert credential.expires_at is not None
    assert credential.expires_at > datetime.now(UTC)
    store = S3Store(bucket, endpoint=moto.endpoint, client_options={"allow_http": True}, credential_provider=provider)
    store.put("a", b"1")
    assert store.get("a").bytes() == b"1"


# --- google


@dataclass
class GoogleCredentials:
    """Credentials of google-auth's shape, without a network."""

    expiry: datetime | None
    token: Any = None
    asked: list[object] = field(default_factory=list)

    def refresh(self, request: object) -> None:
        self.asked.append(request)
        self.token = f"token-{len(self.asked)}"


class AsyncGoogleCredentials(GoogleCredentials):
    """The same, as google-auth has them for asyncio."""

    async def refresh(self, request: object) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().refresh(request)


@pytest.mark.parametrize("expiry", [NOON, NOON.replace(tzinfo=None), None])
@pytest.mark.parametrize(
    ("kind", "credentials"),
    [
        (GoogleCredentialProvider, GoogleCredentials),
        (GoogleAsyncCredentialProvider, GoogleCredentials),
        (GoogleAsyncCredentialProvider, AsyncGoogleCredentials),
    ],
)
def test_google_credentials_are_refreshed(kind: Any, credentials: Any, expiry: datetime | None) -> None:
    source = credentials(expiry)
    provider = kind(source, request="the request")
    assert provider.refresh_threshold == timedelta(minutes=3, seconds=45)
    ask(provider)
    found = google.from_mapping(ask(provider))
    assert (found.token, found.expires_at) == ("token-2", NOON if expiry else None)
    assert source.asked == ["the request"] * 2


@pytest.mark.parametrize("kind", [GoogleCredentialProvider, GoogleAsyncCredentialProvider])
def test_google_asks_the_token_service_of_an_authorized_user(kind: Any, site: Site) -> None:
    from google.oauth2.credentials import Credentials

    site.answers["/token"] = [Answer(body={"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})]
    source = Credentials(None, refresh_token="r", token_uri=f"{site.url}/token", client_id="i", client_secret="s")
    found = google.from_mapping(ask(kind(source)))
    assert found.token == "t"
    assert found.expires_at is not None
    assert timedelta(minutes=58) < found.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    assert "refresh_token=r" in site.seen[0].body


@pytest.mark.parametrize("kind", [GoogleCredentialProvider, GoogleAsyncCredentialProvider])
def test_google_finds_its_default_credentials(kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "the-token"}
    (tmp_path / "adc").write_text(json.dumps(user))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "adc"))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    assert kind().credentials.refresh_token == "the-token"


def test_a_token_in_bytes_is_read() -> None:
    source = GoogleCredentials(NOON, token=b"t")
    source.refresh = lambda request: None  # type: ignore[method-assign]
    assert GoogleCredentialProvider(source, request="r")()["token"] == "t"


# --- azure


class TokenCredential:
    """A credential of azure-identity's shape, without a network."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def get_token(self, *scopes: str, **options: Any) -> Any:
        from azure.core.credentials import AccessToken

        self.asked.append((*scopes, options.get("tenant_id")))
        return AccessToken("t", int(NOON.timestamp()))


class AsyncTokenCredential(TokenCredential):
    """The same, as azure-identity has them for asyncio."""

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        await asyncio.sleep(0)
        return super().get_token(*scopes, **options)


@pytest.mark.parametrize(
    ("kind", "credential"),
    [(AzureCredentialProvider, TokenCredential), (AzureAsyncCredentialProvider, AsyncTokenCredential)],
)
def test_azure_tokens(kind: Any, credential: Any) -> None:
    source = credential()
    found = azure.from_mapping(ask(kind(source)))
    assert (found.token, found.expires_at) == ("t", NOON)  # type: ignore[union-attr]
    ask(kind(source, scopes=iter(["a", "b"]), tenant_id="x"))
    assert source.asked == [("https://storage.azure.com/.default", None), ("a", "b", "x")]


@pytest.mark.parametrize("kind", [AzureCredentialProvider, AzureAsyncCredentialProvider])
def test_azure_default_credentials(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """DefaultAzureCredential is made and asked; here it is told to use what is not there."""
    from azure.core.exceptions import ClientAuthenticationError

    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    with pytest.raises(ClientAuthenticationError, match="EnvironmentCredential"):
        ask(kind())


# --- the servers of Earthdata and the Planetary Computer


@dataclass(frozen=True)
class Answer:
    """What the server is to say."""

    status: int = 200
    body: Any = ""
    location: str = ""


@dataclass(frozen=True)
class Seen:
    """What it was asked."""

    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Site:
    """A web server on loopback that gives its answers in turn, the last one again and again."""

    url: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            site.seen.append(Seen(self.path, {name.lower(): text for name, text in self.headers.items()}, body))
            answers = site.answers[urlsplit(self.path).path]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            text = (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
            self.send_response(answer.status)
            if answer.location:
                self.send_header("Location", answer.location)
            self.send_header("Content-Type", "application/json" if text.startswith(b"{") else "text/html")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


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
        ({"url": "https://a.blob.core.windows.net/c", "account_name": "a"}, "leave out"),
        ({"url": "https://a.blob.core.windows.net/c", "container_name": "c"}, "leave out"),
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


# --- what is not installed


@pytest.mark.parametrize(
    ("module", "call", "missing", "extra"),
    [
        ("boto3", "Boto3CredentialProvider()", "boto3", "boto3"),
        ("google", "GoogleCredentialProvider()", "google", "google"),
        ("azure", "AzureCredentialProvider()", "azure", "azure"),
        ("azure", "AzureAsyncCredentialProvider()", "azure", "azure"),
        ("earthdata", "NasaEarthdataCredentialProvider('u')", "requests", "earthdata"),
        ("earthdata", "NasaEarthdataAsyncCredentialProvider('u')", "aiohttp", "earthdata"),
        ("planetary_computer", "PlanetaryComputerCredentialProvider()", "requests", "planetary-computer"),
        ("planetary_computer", "PlanetaryComputerAsyncCredentialProvider()", "aiohttp", "planetary-computer"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(module: str, call: str, missing: str, extra: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; from objstore.auth.{module} import *; {call}"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"is not installed: pip install 'objstore[{extra}]'" in ended.stderr
