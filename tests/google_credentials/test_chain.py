"""Who we are to Google: what is asked, what is signed, what is refused, and what is never shown."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import os
import pickle
import socket
import time
import traceback
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from objstore.credentials.chains.google.chain import GoogleAccess, google_access
from objstore.credentials.chains.google.document import Document
from objstore.credentials.chains.google.subjects import ExecutableSubject
from objstore.exceptions import BaseError, ConfigurationError, ConnectionFailedError, UnauthenticatedError
from objstore.plans.run import arun, run
from objstore.providers.cloud.gcs import TABLE
from objstore.settings.options import parse
from objstore.store import GCSStore
from tests.google_credentials.cloud import EMAIL, KEY, PEM, SCOPE, SUBJECT, TARGET, Cloud, identity_of_jwt
from tests.google_credentials.environments import (
    ALLOWED,
    BROKEN,
    ENVIRONMENTS,
    EXTERNAL_USER,
    IMPERSONATION,
    PYTHON,
    SERVICE_ACCOUNT,
    TOLD,
    USER,
    Environment,
    external,
    impersonated,
    left_by_gcloud,
    metadata,
    named,
    program,
    subject_file,
)
from tests.shown import shown_by, shown_of
from tests.tls_proxy import Proxy

SECRETS = ("planted", *PEM.splitlines()[1:-1])


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, proxy: Proxy, tmp_path: Path) -> None:
    """The services by way of the proxy, and nothing else of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "CLOUDSDK_", "GCE_", "GOOGLE_", "STORAGE_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("SERVICE_ACCOUNT", raising=False)
    for name, value in (
        ("HOME", str(tmp_path)),
        ("HTTPS_PROXY", proxy.url),
        ("NO_PROXY", "127.0.0.1"),
        ("AWS_CA_BUNDLE", str(proxy.certificates)),
        ("NO_GCE_CHECK", "true"),
    ):
        monkeypatch.setenv(name, value)


def access(**keywords: Any) -> GoogleAccess:
    settings = parse(TABLE, keywords={"bucket": "b", **keywords}, environment=os.environ)
    return google_access(settings.values, None, "objstore")


def token_of(found: GoogleAccess) -> str:
    run(found.credentials.refresh())
    assert found.credentials.current is not None
    return found.credentials.current.token


def enter(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


# --- what counts


def test_what_is_given_is_not_broken_by_the_environment(
    services: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_by_gcloud(tmp_path, {"type": "magic"})
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    for file in ("/missing", named(tmp_path, "no JSON")["GOOGLE_APPLICATION_CREDENTIALS"]):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
        assert token_of(access(service_account_key=json.dumps(USER))) == "user:application"
        assert token_of(access(bearer_token="given")) == "given"
        assert access(skip_signature=True).credentials.source == "none"
        with pytest.raises(ConfigurationError):
            access()


def test_a_quota_project_of_the_environment_is_for_what_the_environment_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "quota-of-variable")
    assert access(service_account_key=json.dumps(USER)).headers == {"x-goog-user-project": "quota-of-file"}
    assert access(service_account_key=json.dumps(SERVICE_ACCOUNT)).headers == {}
    assert access(bearer_token="t").headers == {}
    assert access().headers == {"x-goog-user-project": "quota-of-variable"}


def test_the_universe_is_that_of_the_file_or_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {**SERVICE_ACCOUNT, "universe_domain": "example.org"}
    assert access(service_account_key=json.dumps(key)).universe_domain == "example.org"
    enter(monkeypatch, {**named(tmp_path, key), "GOOGLE_CLOUD_UNIVERSE_DOMAIN": "example.org"})
    assert access().universe_domain == "example.org"
    assert access(bearer_token="t").universe_domain == "example.org"
    assert access(service_account_key=json.dumps(SERVICE_ACCOUNT)).universe_domain == "googleapis.com"
    assert identity_of_jwt(token_of(access())) == f"account:{EMAIL}:{SCOPE}"
    monkeypatch.setenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "example.net")
    with pytest.raises(ConfigurationError, match=r"universe example\.org, and universe_domain"):
        access()


def test_a_key_of_an_emulator_asks_nobody() -> None:
    found = access(service_account_key='{"disable_oauth": true, "gcs_base_url": "http://h"}')
    assert found.credentials.source == "none"
    assert found.base_url == "http://h"
    assert found.signer is None


def test_a_file_is_read_again(services: Cloud, tmp_path: Path) -> None:
    file = Path(named(tmp_path, USER)["GOOGLE_APPLICATION_CREDENTIALS"])
    found = access(application_credentials=file)
    assert token_of(found) == "user:application"
    named(tmp_path, {**USER, "client_id": "other"})
    assert run(_anew(found)) == "user:other"


def test_gclouds_file_is_looked_for_again(services: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    found = access()
    with pytest.raises(UnauthenticatedError):
        token_of(found)
    left_by_gcloud(tmp_path, USER)
    assert run(_anew(found)) == "user:application"


def test_a_refresh_token_that_is_replaced_is_kept(services: Cloud, tmp_path: Path) -> None:
    services.renews = True
    found = access(application_credentials=named(tmp_path, EXTERNAL_USER)["GOOGLE_APPLICATION_CREDENTIALS"])
    for _ in range(3):
        assert run(_anew(found)) == "external-user:application"


def _anew(found: GoogleAccess) -> Any:
    source = found.credentials.asked
    assert source is not None
    return (yield from source.fetch()).token


# --- who signs


@pytest.mark.parametrize(
    ("fields", "email", "who"),
    [
        (impersonated(USER), TARGET, f"user:application>{TARGET}"),
        (impersonated(SERVICE_ACCOUNT), TARGET, f"account:{EMAIL}:https://www.googleapis.com/auth/iam>{TARGET}"),
        (
            external({"file": "subject"}, service_account_impersonation_url=IMPERSONATION),
            TARGET,
            f"as(pool:subject::https://www.googleapis.com/auth/iam:>{TARGET})/>{TARGET}",
        ),
    ],
    ids=["user", "account", "external"],
)
def test_iam_signs_for_who_has_no_key(
    fields: dict[str, Any], email: str, who: str, services: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    signer = access(service_account_key=json.dumps(fields)).signer
    assert signer is not None
    assert run(signer.email()) == email
    assert signer.longest == timedelta(hours=12)
    assert run(signer.sign(b"data")) == hashlib.sha256(who.encode() + b"data").digest()


def test_iam_signs_for_a_machine(services: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, metadata(services))
    signer = access().signer
    assert signer is not None
    assert run(signer.email()) == EMAIL
    assert run(signer.sign(b"data")) == hashlib.sha256(f"machine:{SCOPE}>{EMAIL}".encode() + b"data").digest()


def test_a_key_signs_by_itself(services: Cloud) -> None:
    signer = access(service_account_key=json.dumps(SERVICE_ACCOUNT)).signer
    assert signer is not None
    assert run(signer.email()) == EMAIL
    assert signer.longest == timedelta(days=7)
    KEY.public_key().verify(run(signer.sign(b"data")), b"data", padding.PKCS1v15(), SHA256())
    assert services.seen == []


def test_users_sign_nothing(tmp_path: Path) -> None:
    for fields in (USER, EXTERNAL_USER, external({"file": subject_file(tmp_path)})):
        assert access(service_account_key=json.dumps(fields)).signer is None


# --- services that fail


def test_a_busy_service_is_asked_again(services: Cloud) -> None:
    services.fails = 2
    assert token_of(access(service_account_key=json.dumps(USER))) == "user:application"
    assert len(services.seen) == 3


def test_a_service_that_is_down_is_asked_a_few_times(services: Cloud) -> None:
    services.fails = 100
    with pytest.raises(BaseError, match=r"oauth2\.googleapis\.com/token\) gave no answer to use: HTTP 503"):
        token_of(access(service_account_key=json.dumps(USER)))
    assert len(services.seen) <= 4


def test_a_service_that_cannot_be_reached(services: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(ConnectionFailedError, match="Google's token server, asked for the user"):
        token_of(access(service_account_key=json.dumps(USER)))


def test_many_wait_for_one_token(services: Cloud) -> None:
    found = access(service_account_key=json.dumps(USER))

    async def all_at_once() -> None:
        await asyncio.gather(*(arun(found.credentials.refresh()) for _ in range(200)))

    asyncio.run(all_at_once())
    assert token_of(found) == "user:application"
    assert len(services.seen) == 1


def test_iam_is_asked_with_another_token_where_ours_is_refused(
    services: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam, refused = services.iam, (401, {}, {"error": {"status": "UNAUTHENTICATED", "message": "no"}})
    monkeypatch.setattr(services, "iam", lambda request: refused if len(services.seen) == 2 else iam(request))
    assert token_of(access(service_account_key=json.dumps(impersonated(USER)))).startswith("as(user:application")
    assert [request.host.partition(".")[0] for request in services.seen] == ["oauth2", "iamcredentials"] * 2
    forbidden = (403, {}, {"error": {"status": "PERMISSION_DENIED", "message": "not allowed"}})
    monkeypatch.setattr(services, "iam", lambda request: forbidden)
    with pytest.raises(UnauthenticatedError, match=r"not allowed\. Give who asks the role"):
        token_of(access(service_account_key=f" {json.dumps(impersonated(USER))}"))  # another text: it is shared
    monkeypatch.setattr(services, "iam", lambda request: refused)
    with pytest.raises(UnauthenticatedError, match="HTTP 401: UNAUTHENTICATED, no"):
        token_of(access(service_account_key=f"  {json.dumps(impersonated(USER))}"))
    assert len(services.seen) == 10


# --- the metadata server


@pytest.fixture
def black_hole() -> Iterator[socket.socket]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_off_googles_machines_the_error_comes_soon_and_tells_all(
    black_hole: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"127.0.0.1:{black_hole.getsockname()[1]}"
    enter(monkeypatch, {"GCE_METADATA_IP": place, "GCE_METADATA_HOST": place, "NO_GCE_CHECK": "false"})
    began = time.monotonic()
    with pytest.raises(UnauthenticatedError) as caught:
        token_of(access())
    assert time.monotonic() - began < 28, "two tries of a second each; with the usual limit of time it were 30"
    for told in ("GOOGLE_APPLICATION_CREDENTIALS", "gcloud has left no file", place, "gcloud auth application-default"):
        assert told in str(caught.value)
    black_hole.settimeout(0)
    connections = 0
    while _accepted(black_hole):
        connections += 1
    assert connections <= 2


def _accepted(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_a_metadata_server_that_did_not_answer_is_asked_again(services: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, {"GCE_METADATA_IP": "127.0.0.1:9", "GCE_METADATA_HOST": "127.0.0.1:9", "NO_GCE_CHECK": "false"})
    found = access()
    with pytest.raises(UnauthenticatedError, match=r"127\.0\.0\.1:9"):
        token_of(found)
    enter(monkeypatch, metadata(services))
    assert run(_anew(found)) == f"machine:{SCOPE}"
    assert all(request.headers["metadata-flavor"] == "Google" for request in services.seen)


def test_a_machine_of_another_universe_is_refused(services: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, metadata(services))
    services.universe = ""
    assert token_of(access(timeout=9)) == f"machine:{SCOPE}"
    services.universe = "elsewhere.example"
    with pytest.raises(ConfigurationError, match=r"universe_domain='elsewhere\.example'") as failed:
        token_of(access())
    assert "machine:" not in str(failed.value)
    assert token_of(access(universe_domain="elsewhere.example")) == f"machine:{SCOPE}"


@pytest.mark.parametrize("host", ["[::1", "a b", "user@127.0.0.1", "127.0.0.1/x", "http://127.0.0.1", "127.0.0.1:x"])
def test_a_variable_that_is_no_host(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, {"GCE_METADATA_HOST": host, "NO_GCE_CHECK": "false"})
    with pytest.raises(ConfigurationError, match="is no host"):
        token_of(access())


@pytest.mark.parametrize("name", ["GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"])
def test_each_variable_leads_to_the_metadata_server(
    name: str, services: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, {name: services.url.removeprefix("http://"), "NO_GCE_CHECK": "false"})
    assert token_of(access()) == f"machine:{SCOPE}"


def test_another_server_in_its_place_is_not_believed(monkeypatch: pytest.MonkeyPatch, services: Cloud) -> None:
    enter(monkeypatch, metadata(services))
    monkeypatch.setattr(services, "machine", lambda request: (200, {}, {"access_token": "planted", "expires_in": 9}))
    with pytest.raises(UnauthenticatedError, match="is none of Google's"):
        token_of(access())
    assert len(services.seen) == 1


def test_no_proxy_sees_what_the_metadata_server_says(services: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, {**metadata(services), "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""})
    assert token_of(access()) == f"machine:{SCOPE}"


# --- what is refused before anything is sent


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"token_url": "http://sts.googleapis.com/v1/token"}, "where a secret can be overheard"),
        ({"token_url": "http://127.0.0.1/v1/token"}, "where a secret can be overheard"),
        ({"token_url": "https://me:planted@sts.googleapis.com/"}, "token_url is no URL that can be asked"),
        ({"token_url": "https://sts.googleapis.com/\nplanted"}, "token_url is no URL that can be asked"),
        ({"token_url": "https://sts.googleapis.com\\.example/planted"}, "token_url is no URL that can be asked"),
        ({"token_url": "https://[planted/"}, "token_url is no URL that can be asked"),
        ({"token_url": "file:///etc/passwd"}, "token_url is no URL that can be asked"),
        ({"token_url": 5}, "has a token_url that is a int, not a text"),
        ({"audience": None}, "has no audience"),
        ({"credential_source": None}, "has no object credential_source"),
        ({"credential_source": {}}, "has none of file, url, executable and certificate"),
        ({"credential_source": {"file": "f", "url": "https://h"}}, "has file and url of file"),
        ({"credential_source": {"url": "http://example.org/planted"}}, "where a secret can be overheard"),
        ({"credential_source": {"url": "http://169.254.169.254/x", "headers": [1]}}, "headers that is no object"),
        ({"credential_source": {"file": "f", "format": {"type": "xml"}}}, "neither text nor json"),
        ({"credential_source": {"file": "f", "format": {"type": "json"}}}, "has no subject_token_field_name"),
        ({"credential_source": {"certificate": {"a": "b"}}}, "GoogleCredentialProvider()"),
        ({"credential_source": {"executable": {"command": "c", "timeout_millis": 10}}}, "from 5000 to 120000"),
        (
            {
                "service_account_impersonation_url": IMPERSONATION,
                "service_account_impersonation": {"token_lifetime_seconds": 9},
            },
            "from 600 to 43200",
        ),
        ({"service_account_impersonation_url": "http://h/serviceAccounts/a:generateAccessToken"}, "overheard"),
        ({"type": "gdch_service_account"}, "objstore.auth.google"),
    ],
)
def test_a_file_that_cannot_be_used(changes: dict[str, object], said: str, services: Cloud) -> None:
    with pytest.raises(ConfigurationError) as caught:
        access(service_account_key=json.dumps(external({"file": "f"}) | changes))
    assert said in str(caught.value)
    assert "planted" not in str(caught.value)
    assert services.seen == []


def test_plain_http_to_this_machine_is_for_those_who_ask_for_it(services: Cloud, tmp_path: Path) -> None:
    fields = json.dumps(external({"file": subject_file(tmp_path)}, token_url=f"{services.url}/token"))
    with pytest.raises(ConfigurationError, match="overheard"):
        access(service_account_key=fields)
    with pytest.raises(UnauthenticatedError, match="HTTP 400"):
        token_of(access(service_account_key=fields, allow_http=True))
    assert len(services.seen) == 1


# --- programs


@pytest.mark.parametrize("end", [time.time() + 1e6, time.time() - 10, None], ids=["good", "ended", "endless"])
def test_a_program_is_spared_while_its_file_is_good(
    end: float | None, services: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, ALLOWED)
    source = program(tmp_path, FAILS) if end is not None and end > time.time() else program(tmp_path, TOLD)
    kept = {**TOLD, **({} if end is None else {"expiration_time": end})}
    if end is None or end < time.time():
        kept["id_token"] = "planted-old"
    (tmp_path / "kept").write_text(json.dumps(kept))
    source["executable"]["output_file"] = str(tmp_path / "kept")
    assert token_of(access(service_account_key=json.dumps(external(source)))).startswith("pool:subject:")


FAILS: dict[str, object] = {"version": 1, "success": False}


def test_no_shell_reads_the_command(services: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, ALLOWED)
    source = {"executable": {"command": f"{PYTHON} -c 'pass' ; touch {tmp_path}/touched"}}
    with pytest.raises(UnauthenticatedError, match="printed no JSON object of version 1"):
        token_of(access(service_account_key=json.dumps(external(source))))
    assert not (tmp_path / "touched").exists()
    source["executable"]["command"] = "/missing/program"
    with pytest.raises(UnauthenticatedError, match="could not be run: No such file"):
        token_of(access(service_account_key=json.dumps(external(source))))


def test_a_program_that_does_not_end_is_ended() -> None:
    command = f"{PYTHON} -c 'import time; time.sleep(600)'"
    slow = ExecutableSubject(Document({"executable": {"command": command}}, "The file"), {})
    slow._seconds = 0.1
    with pytest.raises(UnauthenticatedError, match=r"did not end within 0\.1 seconds"):
        run(slow._run())


# --- secrets


@pytest.mark.parametrize("name", [*ENVIRONMENTS, *BROKEN])
def test_no_secret_is_shown(
    name: str, services: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even by a service that says back all that it was sent."""
    caplog.set_level(logging.DEBUG)
    environment: Environment = {**ENVIRONMENTS, **BROKEN}[name]
    enter(monkeypatch, environment(tmp_path, services))
    services.echoes = True
    try:
        store, found = GCSStore("b"), access()
    except BaseError as error:
        assert name in BROKEN
        told = shown_by(error)
        assert all(secret not in told for secret in SECRETS)
        return
    shown = [repr(found), repr(store), repr(store.config), str(pickle.dumps(store))]
    try:
        token_of(found)
    except BaseError as error:
        shown += [repr(error), str(error), *traceback.format_exception(error), str(pickle.dumps(error))]
        shown.append(shown_by(error))
    shown += [shown_of(found), shown_of(store)]
    shown.append(caplog.text)
    assert services.seen or name == "service account" or name in BROKEN
    for secret in (*SECRETS, base64.b64encode(b"application:planted").decode()[:-4]):
        assert all(secret not in text for text in shown)


def test_words_without_a_secret_are_repeated(services: Cloud, tmp_path: Path) -> None:
    fields = external({"file": subject_file(tmp_path, "planted-wrong")})
    with pytest.raises(UnauthenticatedError, match="HTTP 400: invalid_request, RefusedError subject") as caught:
        token_of(access(service_account_key=json.dumps(fields)))
    assert (caught.value.status, caught.value.code) == (400, "invalid_request")


def test_the_subject_token_is_sent_to_nobody_else(services: Cloud, tmp_path: Path) -> None:
    fields = external({"file": subject_file(tmp_path)}, service_account_impersonation_url=IMPERSONATION)
    token_of(access(service_account_key=json.dumps(fields)))
    told = [request.host for request in services.seen if SUBJECT.encode() in request.body]
    assert told == ["sts.googleapis.com"]
