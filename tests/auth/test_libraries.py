"""Credential providers made of boto3, google-auth and azure-identity.

The first runs against a token service; the others go as far as no network is needed.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from objstore.auth.azure import AzureAsyncCredentialProvider, AzureCredentialProvider
from objstore.auth.boto3 import Boto3CredentialProvider, StsCredentialProvider
from objstore.auth.google import GoogleAsyncCredentialProvider, GoogleCredentialProvider
from objstore.credentials import azure, google
from objstore.credentials.aws import Credential
from objstore.store import S3Store
from tests.auth.conftest import ask
from tests.servers import S3Server
from tests.site import Answer, Site

boto3 = pytest.importorskip("boto3")
pytest.importorskip("aiohttp")
pytest.importorskip("azure.identity")
pytest.importorskip("google.auth")

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


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
    assert f"is not installed: pip install 'objstore-client[{extra}]'" in ended.stderr
