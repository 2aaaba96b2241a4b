"""Sources of Azure's tokens that Microsoft's own library does not compare with: what it cannot do, or does by hand."""

from __future__ import annotations

import asyncio
import os
import pickle
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from objstore.credentials.chains.azure import commands as azure_commands
from objstore.credentials.chains.azure import machine as azure_machine
from objstore.credentials.chains.azure.answers import masked, moment, token_of
from objstore.credentials.chains.azure.chain import azure_source, chosen_source
from objstore.credentials.chains.azure.connection_string import read_connection_string
from objstore.credentials.chains.azure.fabric import token_end
from objstore.credentials.current import Credentials
from objstore.exceptions import BaseError, ConfigurationError, NotSupportedError, UnauthenticatedError
from objstore.plans.run import arun, run
from objstore.providers.cloud.azure import TABLE, open_azure
from objstore.settings.options import RetryOptions, parse
from objstore.store import AzureStore
from tests.azure.cloud import (
    APP,
    ARC_KEY,
    BLOBS,
    HOSTS,
    IDENTITY_HEADER,
    LIFE,
    SECRET,
    SESSION,
    SUBJECT,
    TENANT,
    Cloud,
    jwt,
    serving,
    thumbprint,
)
from tests.tls_proxy import Proxy, standing_in, write_certificate

KEY = "cGxhbnRlZA=="
APPLICATION = {"client_id": APP, "tenant_id": TENANT}


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave nothing in the environment that says who we are."""
    for name in [*os.environ]:
        if name.startswith(("AZURE_", "IDENTITY_", "MSI_", "IMDS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "bin").mkdir()


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def plain(cloud: Cloud) -> Iterator[str]:
    with serving(cloud, ("127.0.0.1", 0)) as url:
        yield url


@pytest.fixture
def entra(plain: str, tmp_path: Path) -> Iterator[Proxy]:
    with standing_in(dict.fromkeys((*HOSTS, BLOBS), plain), tmp_path) as proxy:
        yield proxy


def fetched(**keywords: object) -> Any:
    """Return the token that settings and environment lead to."""
    settings = parse(TABLE, keywords={"container_name": "c", **keywords}, environment=os.environ)
    given = settings.config.keys()
    source = azure_source(chosen_source(settings.values, given), settings.values, given, "us")
    assert source is not None
    return run(source.fetch())


def by(proxy: Proxy) -> dict[str, object]:
    """Return how Microsoft Entra ID is reached."""
    return {"proxy_url": proxy.url, "root_certificate": proxy.certificates.read_bytes()}


def seconds_left(token: Any) -> float:
    return float(token.expires_at.timestamp() - time.time())


def test_an_application_by_settings(entra: Proxy) -> None:
    token = fetched(**APPLICATION, client_secret=SECRET, **by(entra))
    assert token.token == f"planted-token:secret:https://{HOSTS[0]}:{APP}"
    assert LIFE - 120 < seconds_left(token) <= LIFE
    assert "planted" not in repr(token)


def test_a_refusal_says_why_and_repeats_no_secret(entra: Proxy) -> None:
    with pytest.raises(UnauthenticatedError, match=r"invalid_request: AADSTS1: .* Invalid client secret") as caught:
        fetched(**APPLICATION, client_secret="planted/other secret", **by(entra))
    assert "planted" not in str(caught.value)
    assert "Trace" not in str(caught.value)


def test_a_token_file_is_read_anew(entra: Proxy, tmp_path: Path) -> None:
    file = tmp_path / "token"
    settings = parse(TABLE, keywords={**APPLICATION, "federated_token_file": str(file), **by(entra)})
    source = azure_source("workload_identity", settings.values, settings.config.keys(), "us")
    assert source is not None
    with pytest.raises(UnauthenticatedError, match="cannot be read: No such file"):
        run(source.fetch())
    file.write_text("planted other")
    with pytest.raises(UnauthenticatedError, match="holds no token") as caught:
        run(source.fetch())
    assert "planted" not in str(caught.value)
    file.write_text(f"{SUBJECT}\n")
    assert "subject" in run(source.fetch()).token


@pytest.mark.parametrize("by_file", [True, False])
def test_the_token_proxy_of_a_cluster(
    by_file: bool, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(SUBJECT)
    certificates = write_certificate(["proxy.cluster.example"], tmp_path)
    authority = certificates.read_text().partition("-----BEGIN PRIVATE KEY")[0]
    with serving(cloud, ("127.0.0.1", 0), certificates) as url:
        monkeypatch.setenv("AZURE_KUBERNETES_TOKEN_PROXY", f"{url}/proxy/")
        where = {"AZURE_KUBERNETES_CA_FILE": str(certificates)} if by_file else {"AZURE_KUBERNETES_CA_DATA": authority}
        for name, value in where.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(BaseError, match=r"token proxy .* gave no token: .*certificate") as caught:
            fetched(**APPLICATION, federated_token_file=str(tmp_path / "token"))
        assert "planted" not in str(caught.value)
        assert cloud.seen == []
        monkeypatch.setenv("AZURE_KUBERNETES_SNI_NAME", "proxy.cluster.example")
        token = fetched(**APPLICATION, federated_token_file=str(tmp_path / "token"))
    assert token.token.startswith("planted-token:subject:")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AZURE_KUBERNETES_SNI_NAME": "x"}, "SNI_NAME is set, and AZURE_KUBERNETES_TOKEN_PROXY is not"),
        ({"AZURE_KUBERNETES_TOKEN_PROXY": "http://h"}, "is no https URL"),
        ({"AZURE_KUBERNETES_TOKEN_PROXY": "https://h/?a"}, "is no https URL"),
        (
            {
                "AZURE_KUBERNETES_TOKEN_PROXY": "https://h",
                "AZURE_KUBERNETES_CA_FILE": "/f",
                "AZURE_KUBERNETES_CA_DATA": "d",
            },
            "are both set",
        ),
    ],
)
def test_half_a_token_proxy_is_refused(
    variables: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=said):
        fetched(**APPLICATION, federated_token_file=str(tmp_path / "token"))


def test_service_fabric_is_known_by_its_thumbprint(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = write_certificate(["nobody.example"], tmp_path)
    monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
    with serving(cloud, ("127.0.0.1", 0), certificates) as url:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/fabric")
        monkeypatch.setenv("IDENTITY_SERVER_THUMBPRINT", "0" * 40)
        with pytest.raises(BaseError, match="not that of IDENTITY_SERVER_THUMBPRINT") as caught:
            fetched(credential_type="managed_identity")
        assert cloud.seen == []
        assert "planted" not in str(caught.value)
        monkeypatch.setenv("IDENTITY_SERVER_THUMBPRINT", thumbprint(certificates))
        assert fetched(credential_type="managed_identity").token == "planted-token:service-fabric"
        with pytest.raises(ConfigurationError, match="lets nobody choose"):
            fetched(object_id="o")


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({}, ""),
        ({"client_id": "c"}, "client_id=c"),
        ({"object_id": "o"}, "object_id=o"),
        ({"client_id": "c", "msi_resource_id": "/r"}, "mi_res_id=/r"),
    ],
)
def test_app_service_is_told_which_identity(
    chosen: dict[str, str], told: str, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
    token = fetched(credential_type="managed_identity", msi_endpoint=f"{plain}/app", **chosen)
    assert token.token == f"planted-token:app:{told}"
    monkeypatch.delenv("IDENTITY_HEADER")
    assert fetched(msi_endpoint=f"{plain}/app", **chosen).token == token.token


@pytest.mark.parametrize(("name", "told"), [("object_id", "object_id"), ("msi_resource_id", "msi_res_id")])
def test_the_metadata_service_is_told_which_identity(
    name: str, told: str, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", plain)
    assert fetched(**{name: "i"}).token == f"planted-token:machine:{told}=i"
    with pytest.raises(ConfigurationError, match="each name an identity"):
        fetched(object_id="o", msi_resource_id="r")


@pytest.fixture
def arc(plain: str, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make this a machine of Arc's; return the folder of its keys."""
    folder = tmp_path / "tokens"
    folder.mkdir()
    monkeypatch.setattr(azure_machine, "ARC_FOLDER", str(folder))
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{plain}/arc")
    monkeypatch.setenv("IMDS_ENDPOINT", plain)
    cloud.arc = str(folder / "a.key")
    (folder / "a.key").write_text(ARC_KEY)
    return folder


def test_arc_is_to_say_whose_its_token_is(arc: Path, cloud: Cloud) -> None:
    assert fetched().token == "planted-token:arc:None"
    assert fetched(credential_type="managed_identity", client_id=APP).token == f"planted-token:arc:{APP}"
    cloud.old_agent = True
    with pytest.raises(UnauthenticatedError, match="did not say that its token is of the client_id"):
        fetched(credential_type="managed_identity", client_id=APP)


def test_arc_is_shown_only_its_own_files(arc: Path, cloud: Cloud) -> None:
    for name in ("../b.key", "deeper/b.key", "b.txt", ".key"):
        file = arc / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(ARC_KEY)
        cloud.arc = str(file)
        with pytest.raises(UnauthenticatedError, match="is not one of"):
            fetched()
    assert not [request for request in cloud.seen if "authorization" in request.headers]
    cloud.arc = str(arc / "large.key")
    Path(cloud.arc).write_text("planted" * 600)
    with pytest.raises(UnauthenticatedError, match="more than 4096 bytes") as caught:
        fetched()
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("host", ["http://login.example", "http://127.0.0.1:1", "https://u:p@h", "https://h/?a", "a b"])
def test_secrets_go_to_https_only(host: str) -> None:
    with pytest.raises(ConfigurationError, match="authority_host"):
        fetched(**APPLICATION, client_secret=SECRET, authority_host=host, allow_http=True)


def test_tokens_in_what_others_say_are_masked() -> None:
    text = masked(f"no {jwt({'a': 1}).replace('e30', 'eyJ9')} and a+b%2Bc", ["a+b+c", "+b%2Bc"])
    assert text == "no *** and a***"


def fabric(url: str, **more: object) -> dict[str, object]:
    return {
        "fabric_token_service_url": f"{url}/session",
        "fabric_workload_host": "workload",
        "fabric_session_token": SESSION,
        "fabric_cluster_identifier": "cluster",
        "allow_http": True,
        **more,
    }


def test_a_session_of_fabric(plain: str, cloud: Cloud) -> None:
    assert LIFE - 120 < seconds_left(fetched(**fabric(plain))) <= LIFE
    assert len(cloud.seen) == 1
    good, ended = jwt({"exp": time.time() + 900}), jwt({"exp": time.time() + 200})
    assert fetched(**fabric(plain, token=good)).token == good
    assert len(cloud.seen) == 1
    assert fetched(**fabric(plain, token=ended)).token != ended
    with pytest.raises(UnauthenticatedError) as caught:
        fetched(**fabric(plain, fabric_session_token="planted-other"))
    assert "planted" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="can be overheard"):
        fetched(**fabric("http://h.example"))


@pytest.mark.parametrize("claims", [{"exp": -1e300}, {"exp": 1e300}, {"exp": 0}, {"exp": 1 << 70}])
def test_no_end_is_too_early_or_too_late(claims: Mapping[str, Any]) -> None:
    end = token_end(jwt(dict(claims)))
    assert end is not None
    assert moment(end) in (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.!!.c", jwt({}), jwt({"exp": "soon"}), jwt({"exp": True})])
def test_a_token_need_not_say_when_it_ends(token: str) -> None:
    assert token_end(token) is None


@pytest.mark.parametrize(
    "end", [{"expires_in": 1e308}, {"expires_on": "-5"}, {"expires_in": -1}, {"expires_on": "9" * 400}]
)
def test_any_number_is_an_end(end: dict[str, object]) -> None:
    assert token_of("x", {"access_token": "t", **end}).expires_at is not None


@pytest.mark.parametrize("end", [{}, {"expires_in": True}, {"expires_in": "soon"}, {"expires_on": float("nan")}])
def test_a_token_without_an_end_is_refused(end: dict[str, object]) -> None:
    with pytest.raises(UnauthenticatedError, match="without saying how long") as caught:
        token_of("x", {"access_token": "planted", **end})
    assert "planted" not in str(caught.value)


# --- command lines


def program(folder: Path, name: str, script: str) -> None:
    file = folder / "bin" / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("end", ["wait", "exit 0"])
def test_a_program_is_ended_with_what_it_has_started(end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure_commands, "SECONDS", 3.0)
    program(tmp_path, "az", f"sleep 1000 & echo $! > {tmp_path}/pid; {end}")
    with pytest.raises(UnauthenticatedError, match="azure_cli gave no token: az cannot be run: it took more than"):
        fetched(credential_type="azure_cli")
    pid = int((tmp_path / "pid").read_text())
    until = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_program_is_no_shell_command(tmp_path: Path) -> None:
    program(tmp_path, "az", f'printf "%s\\n" "$@" > {tmp_path}/arguments; pwd > {tmp_path}/folder; exit 1')
    with pytest.raises(UnauthenticatedError, match="ended with status 1"):
        fetched(credential_type="azure_cli", tenant_id="a; touch b")
    assert (tmp_path / "arguments").read_text().splitlines()[-2:] == ["--tenant", "a; touch b"]
    assert (tmp_path / "folder").read_text() == "/\n"


def test_one_process_of_a_user_runs_it_at_a_time(tmp_path: Path) -> None:
    token = f'{{"accessToken": "planted", "expires_on": {int(time.time()) + LIFE}}}'
    program(tmp_path, "az", f"mkdir {tmp_path}/running || exit 9; sleep 0.2; rmdir {tmp_path}/running; echo '{token}'")
    code = "from tests.azure.test_sources import fetched; fetched(credential_type='azure_cli')"
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(3)]
    threads = [Thread(target=fetched, kwargs={"credential_type": "azure_cli"}) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait() for process in processes] == [0, 0, 0]


# --- the default order


def test_what_needs_a_person_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "VisualStudioCodeCredential")
    with pytest.raises(NotSupportedError, match=r"objstore\.auth\.azure"):
        fetched()
    monkeypatch.delenv("AZURE_TOKEN_CREDENTIALS")
    for name in ("AZURE_CLIENT_ID", "AZURE_USERNAME", "AZURE_PASSWORD"):
        monkeypatch.setenv(name, "planted")
    with pytest.raises(NotSupportedError, match=r"objstore\.auth\.azure") as failed:
        fetched()
    assert "planted" not in str(failed.value)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "magic")
    with pytest.raises(ConfigurationError, match="There are: dev, prod, EnvironmentCredential"):
        fetched()


def test_the_source_that_was_found_stays(plain: str, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSI_ENDPOINT", f"{plain}/shell")
    settings = parse(TABLE, keywords={"container_name": "c"}, environment=os.environ)
    source = azure_source("default", settings.values, settings.config.keys(), "us")
    assert source is not None
    assert source.name == "default"
    run(source.fetch())
    assert source.name == "managed_identity"
    run(source.fetch())
    assert [request.path for request in cloud.seen] == ["/shell"] * 2


# --- connection strings


def provider(**keywords: object) -> Any:
    settings = parse(TABLE, keywords={"container_name": "c", **keywords}, environment=os.environ)
    return open_azure(settings, RetryOptions(), None, "us", "")


def seen(container: Any) -> tuple[str, str]:
    """Return what kind of credential a container has, or where one comes from, and where it is."""
    credentials = container.identity.credentials
    return type(credentials.current).__name__ if credentials.current else credentials.source, container.service.origin


@pytest.mark.parametrize(
    ("text", "source", "origin"),
    [
        (f"AccountName=a;AccountKey={KEY}", "AccountKey", "https://a.blob.core.windows.net"),
        (f"accountname=a; ACCOUNTKEY={KEY};", "AccountKey", "https://a.blob.core.windows.net"),
        (
            f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn",
            "AccountKey",
            "https://a.blob.core.chinacloudapi.cn",
        ),
        ("BlobEndpoint=https://a.blob.x/;SharedAccessSignature=?sv=1&sig=a%3D", "SharedAccess", "https://a.blob.x"),
        (f"BlobEndpoint=https://h;AccountName=a;AccountKey={KEY};QueueEndpoint=https://q", "AccountKey", "https://h"),
        ("UseDevelopmentStorage=true", "AccountKey", "http://127.0.0.1:10000"),
        ("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://h", "AccountKey", "http://h:10000"),
        ("AccountName=a", "default", "https://a.blob.core.windows.net"),
    ],
)
def test_a_connection_string_is_an_account(
    text: str, source: str, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seen(provider(connection_string=text)) == (source, origin)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    assert seen(provider()) == (source, origin)
    assert AzureStore("c").config == {"container_name": "c"}


@pytest.mark.parametrize(
    "text",
    [
        "planted",
        "AccountName=",
        f"AccountKey={KEY}",
        "AccountName=a;AccountKey=planted!",
        "AccountName=a;Planted=b",
        "AccountName=a;accountname=planted",
        f"AccountName=a;AccountKey={KEY};SharedAccessSignature=sig=planted",
        "DefaultEndpointsProtocol=ftp;AccountName=planted",
        "UseDevelopmentStorage=true;AccountName=planted",
        "UseDevelopmentStorage=false",
        "SharedAccessSignature=sig=planted",
    ],
)
def test_a_bad_connection_string_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="connection_string cannot be used: ") as caught:
        read_connection_string(text)
    assert "planted" not in str(caught.value).lower()
    with pytest.raises(ConfigurationError):
        AzureStore("c", connection_string=text)


def test_nothing_contradicts_a_connection_string(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"AccountName=a;AccountKey={KEY}"
    for others in ({"account_name": "b"}, {"account_key": "b3RoZXI="}, {"sas_token": "sig=x"}, {"client_secret": "s"}):
        with pytest.raises(ConfigurationError, match="connection_string") as caught:
            provider(connection_string=text, **others)
        assert KEY not in str(caught.value)
    assert seen(provider(connection_string=text, account_name="a", account_key=KEY))[0] == "AccountKey"
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "b")
    assert seen(provider(connection_string=text))[1] == "https://a.blob.core.windows.net"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    with pytest.raises(ConfigurationError, match="connection_string and account_name contradict"):
        provider()
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "planted and broken")
    assert seen(provider(account_name="b", account_key=KEY))[0] == "AccountKey"
    assert seen(provider(account_name="b", skip_signature=True))[0] == "none"
    assert seen(provider(account_name="b", credential_type="azure_cli"))[0] == "azure_cli"
    assert "planted" not in repr(AzureStore("c", account_name="b", account_key=KEY))


# --- secrets


def test_no_secret_is_shown_or_kept(
    entra: Proxy, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("AZURE_CLIENT_ID", APP)
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    settings = parse(TABLE, keywords={"container_name": "c", **by(entra)}, environment=os.environ)
    source = azure_source("default", settings.values, settings.config.keys(), "us")
    credentials = Credentials(source=source)
    assert run(credentials.refresh())
    assert credentials.source == "client_secret"
    assert credentials.current is not None
    assert "planted" in credentials.current.token
    shown = [repr(each) for each in (source, credentials, credentials.current, settings)]
    assert "planted" not in "".join(shown) + caplog.text
    store = AzureStore("c", account_name="a", connection_string=f"AccountName=a;AccountKey={KEY}")
    assert KEY not in repr(store)
    assert b"planted" not in pickle.dumps(AzureStore("c", account_name="a"))


def test_a_store_asks_for_a_token_once(entra: Proxy, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("AZURE_CLIENT_ID", APP)
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    store = AzureStore("c", account_name="account", client_options=by(entra))
    for _ in range(3):
        assert bytes(store.get("a").bytes()) == b"content"
    assert [request.host for request in cloud.seen] == [HOSTS[0], BLOBS, BLOBS, BLOBS]


def test_a_store_that_is_nobody_sends_nothing(entra: Proxy, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "dev")
    store = AzureStore("c", account_name="account", client_options=by(entra))
    with pytest.raises(UnauthenticatedError, match=r"AzureCliCredential: there is no program az on PATH; .*az login"):
        store.get("a")
    assert cloud.seen == []


def test_tasks_share_a_token(entra: Proxy, cloud: Cloud) -> None:
    settings = parse(TABLE, keywords={**APPLICATION, "client_secret": SECRET, **by(entra)})
    credentials = Credentials(source=azure_source("client_secret", settings.values, settings.config.keys(), "us"))

    async def together() -> None:
        await asyncio.gather(*(arun(credentials.refresh()) for _ in range(20)))

    asyncio.run(together())
    assert credentials.current is not None
    assert len(cloud.seen) == 1


def test_half_a_platform_is_no_machine(plain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{plain}/app")
    with pytest.raises(UnauthenticatedError, match="neither IDENTITY_HEADER nor IMDS_ENDPOINT"):
        fetched(credential_type="managed_identity")
