"""Where S3Store looks for credentials on AWS, how it keeps them, and what it says of them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import pickle
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from objstore.credentials import current
from objstore.exceptions import BaseError, ConfigurationError, UnauthenticatedError
from objstore.http.dialect import EXPIRED
from objstore.http.retry import Failure
from objstore.plans.effects import Sleep
from objstore.plans.run import arun, run
from objstore.store import S3Store
from tests.aws.services import ENDS, Behaviour, named, services
from tests.listener import Listener
from tests.servers import POLICY, S3Server

ROLE = "arn:aws:iam::123456789012:role/r"
TRUST = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
)
SOON = 28.0  # seconds: the time limit of usual requests, twice, is more
REFUSED = Failure(EXPIRED, "ExpiredToken", "")


Services = tuple[Behaviour, str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with nothing in it, and an environment that says nothing of AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / ".aws").mkdir()
    return tmp_path


@pytest.fixture
def aws(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The services, at one address; the environment says that they are there."""
    with services(("127.0.0.1", 0)) as (behaviour, (url,)):
        for name in ("STS", "SSO", "SSO_OIDC"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name}", url)
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        yield behaviour, url


def refreshed(store: S3Store) -> Any:
    """Return the credential that a store finds."""
    identity = store.provider.service.identity
    run(identity.refresh())
    return identity.credentials.current


def config(home: Path, text: str) -> None:
    (home / ".aws" / "config").write_text(text)


# --- where a store is, by its profile


def origin(store: S3Store) -> str:
    return store.provider.service.origin + store.provider.base.decode()


def test_a_profile_says_where(home: Path) -> None:
    config(
        home,
        "[profile p]\nregion = eu-west-3\n[profile e]\nendpoint_url = https://e.example\n"
        "[profile s]\nendpoint_url = https://e.example\nservices = local\n"
        "[services local]\ns3 =\n  endpoint_url = https://s3.example/below\n[profile n]\nservices = gone\n",
    )
    assert origin(S3Store("bucket", profile="p")) == "https://s3.eu-west-3.amazonaws.com/bucket"
    assert origin(S3Store("bucket", profile="p", region="us-west-1")) == "https://s3.us-west-1.amazonaws.com/bucket"
    assert origin(S3Store("bucket", profile="e")) == "https://e.example/bucket"
    assert origin(S3Store("bucket", profile="s")) == "https://s3.example/below/bucket"
    assert origin(S3Store("bucket", profile="s", endpoint="https://given.example")) == "https://given.example/bucket"
    with pytest.raises(ConfigurationError, match="services section 'gone'"):
        S3Store("bucket", profile="n")


def test_configured_endpoints_can_be_ignored(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(home, "[default]\nendpoint_url = https://e.example\nregion = eu-west-3\n")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert origin(S3Store("bucket")) == "https://s3.eu-west-3.amazonaws.com/bucket"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://v.example")
    assert origin(S3Store("bucket")) == "https://s3.eu-west-3.amazonaws.com/bucket"
    assert origin(S3Store("bucket", endpoint="https://given.example")) == "https://given.example/bucket"
    monkeypatch.delenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
    assert origin(S3Store("bucket")) == "https://v.example/bucket"


def test_a_profile_says_how_the_bucket_is_named(home: Path) -> None:
    config(home, "[default]\nregion = eu-west-3\ns3 =\n  addressing_style = virtual\n")
    assert origin(S3Store("bucket")) == "https://bucket.s3.eu-west-3.amazonaws.com"
    config(home, "[default]\nendpoint_url = https://e.example:9000\ns3 =\n  addressing_style = virtual\n")
    assert origin(S3Store("bucket")) == "https://bucket.e.example:9000"
    config(home, "[default]\nregion = eu-west-3\ns3 =\n  addressing_style = path\n")
    assert origin(S3Store("bucket")) == "https://s3.eu-west-3.amazonaws.com/bucket"


def test_a_profile_says_what_is_summed_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(
        home,
        "[default]\nregion = eu-west-3\nrequest_checksum_calculation = when_required\n"
        "response_checksum_validation = WHEN_REQUIRED\n",
    )
    provider = S3Store("bucket").provider
    assert (provider._checksum, provider.get_headers) == (None, {})
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported")
    assert S3Store("bucket").provider._checksum.name == "CRC64NVME"
    config(home, "[default]\nregion = eu-west-3\nresponse_checksum_validation = always\n")
    with pytest.raises(ConfigurationError, match="response_checksum_validation = 'always'"):
        S3Store("bucket")


def test_a_profile_has_payloads_signed(home: Path) -> None:
    config(home, "[default]\nregion = eu-west-3\ns3 =\n  payload_signing_enabled = true\n")
    assert S3Store("bucket").provider._sign_payload
    assert not S3Store("bucket", unsigned_payload=True).provider._sign_payload


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("use_fips_endpoint = true", "https://s3-fips.eu-west-3.amazonaws.com/bucket"),
        ("use_dualstack_endpoint = true", "https://s3.dualstack.eu-west-3.amazonaws.com/bucket"),
        ("s3 =\n  use_accelerate_endpoint = true", "https://bucket.s3-accelerate.amazonaws.com"),
    ],
)
def test_a_profile_asks_for_hosts_of_another_kind(home: Path, text: str, host: str) -> None:
    config(home, f"[default]\nregion = eu-west-3\n{text}\n")
    assert origin(S3Store("bucket")) == host
    given = S3Store("bucket", access_key_id="k", secret_access_key="s", region="us-east-1")
    assert origin(given) == "https://s3.us-east-1.amazonaws.com/bucket"


WAYS = {
    "use_fips_endpoint": "use_fips_endpoint = true",
    "use_dualstack_endpoint": "s3 =\n  use_dualstack_endpoint = true",
    "use_accelerate_endpoint": "s3 =\n  use_accelerate_endpoint = true",
}


@pytest.mark.parametrize("name", WAYS)
def test_hosts_of_another_kind_do_not_go_with_an_endpoint(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whoever says which of them: that is told."""
    config(home, f"[default]\nregion = eu-west-3\n{WAYS[name]}\n[profile e]\nendpoint_url = https://e.example\n")
    of_profile = rf"{name} \(of the profile 'default'\) does not go with an endpoint of its own"
    with pytest.raises(ConfigurationError, match=rf"{of_profile}\. Leave .* give {name}=False"):
        S3Store("bucket", endpoint="https://e.example")
    assert origin(S3Store("bucket", endpoint="https://e.example", **{name: False})) == "https://e.example/bucket"
    with pytest.raises(ConfigurationError, match=rf"{name} does not go .* own \(of the profile 'e'\)"):
        S3Store("bucket", profile="e", **{name: True})
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://v.example")
    with pytest.raises(ConfigurationError, match=rf"{of_profile} \(of the environment\)"):
        S3Store("bucket")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert origin(S3Store("bucket")) != "https://v.example/bucket"


def test_what_contradicts_itself_in_a_profile_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(home, "[default]\nregion = eu-west-3\ns3 =\n  use_accelerate_endpoint = true\n  addressing_style = path\n")
    both = r"use_accelerate_endpoint \(of the profile 'default'\) .*_request=False \(of the profile 'default'\)"
    with pytest.raises(ConfigurationError, match=both):
        S3Store("bucket")
    monkeypatch.setenv("AWS_REGION", "cn-north-1")
    with pytest.raises(ConfigurationError, match=r"'cn-north-1' \(of the environment\)"):
        S3Store("bucket", virtual_hosted_style_request=True)
    monkeypatch.delenv("AWS_REGION")
    config(home, "[default]\nregion = cn-north-1\n")
    with pytest.raises(ConfigurationError, match=r"use_fips_endpoint .* 'cn-north-1' \(of the profile 'default'\)"):
        S3Store("bucket", use_fips_endpoint=True)
    config(home, "[default]\nregion = eu-west-1\ns3_use_arn_region = false\n")
    arn = "arn:aws:s3:us-west-2:123456789012:accesspoint/point"
    with pytest.raises(ConfigurationError, match=r"s3_use_arn_region \(of the profile 'default'\) is false"):
        S3Store(arn)


def test_a_style_of_all_buckets_says_nothing_of_whose_a_host_is(home: Path) -> None:
    config(home, "[default]\nregion = eu-west-3\ns3 =\n  addressing_style = virtual\n")
    with pytest.raises(ConfigurationError, match=r"'files' in front .* whose host begins with it"):
        S3Store("files", endpoint="https://files.example")
    for endpoint in ("https://files.example", "https://files.files.example"):
        store = S3Store("files", endpoint=endpoint, virtual_hosted_style_request=True)
        assert origin(store) == endpoint
    store = S3Store("files", endpoint="https://files.example", virtual_hosted_style_request=False)
    assert origin(store) == "https://files.example/files"
    assert origin(S3Store("bucket", endpoint="https://files.example")) == "https://bucket.files.example"


def test_what_is_given_whole_needs_no_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(home, "nonsense")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert (
        refreshed(S3Store("bucket", access_key_id="k", secret_access_key="s", region="us-east-1")).access_key_id == "k"
    )
    S3Store("bucket", skip_signature=True, region="us-east-1")
    for less in ({}, {"region": "us-east-1"}, {"access_key_id": "k", "secret_access_key": "s"}):
        with pytest.raises(ConfigurationError, match=r"config' cannot be read: it is malformed at line 1"):
            S3Store("bucket", **less)


# --- what is given in code


def test_what_is_given_counts_more_than_what_is_found(
    aws: Services, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    (home / "token").write_text("web-token")
    store = S3Store(
        "bucket", region="eu-west-1", web_identity_token_file=str(home / "token"), role_arn=ROLE, role_session_name="me"
    )
    found = refreshed(store)
    assert found.access_key_id == named("AssumeRoleWithWebIdentity", ROLE, "", "", "web-token", "me", "nobody")
    assert store.credential_info() == {"source": "web-identity", "expires_at": datetime.fromisoformat(ENDS)}
    full = S3Store("bucket", container_credentials_full_uri=f"{aws[1]}/container/x", region="eu-west-1")
    assert refreshed(full).access_key_id == named("container", "/container/x", "nobody")
    assert refreshed(S3Store("bucket", region="eu-west-1")).access_key_id == "AKIAENV"


@pytest.mark.parametrize(
    "given",
    [
        {"role_arn": ROLE},
        {"role_session_name": "me"},
        {"container_authorization_token_file": "/x"},
        {"access_key_id": "k", "secret_access_key": "s", "role_arn": ROLE},
        {"access_key_id": "k", "secret_access_key": "s", "container_credentials_full_uri": "https://h.example"},
        {"credential_provider": dict, "web_identity_token_file": "/x"},
        {"access_key_id": "k"},
        {"secret_access_key": "s"},
    ],
    ids=lambda given: "-".join(given),
)
def test_settings_that_say_nothing_or_two_things_are_refused(home: Path, given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        S3Store("bucket", region="us-east-1", **given)


def test_the_token_service_can_be_given(home: Path, aws: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "token").write_text("web-token")
    monkeypatch.delenv("AWS_ENDPOINT_URL_STS")
    given = {"web_identity_token_file": str(home / "token"), "role_arn": ROLE, "endpoint_url_sts": aws[1]}
    assert refreshed(S3Store("bucket", region="eu-west-1", **given)).token.startswith("token-")
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with pytest.raises(UnauthenticatedError, match="plain http"):
        refreshed(S3Store("bucket", region="eu-west-1", **given))


def test_the_instance_service_can_be_given(home: Path, aws: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    behaviour, url = aws
    store = S3Store("bucket", region="eu-west-1", metadata_endpoint=url)
    assert refreshed(store).access_key_id == named("instance", "instance-role")
    assert store.credential_info()["source"] == "instance"
    behaviour.token_status = 403
    assert refreshed(S3Store("bucket", region="eu-west-1", metadata_endpoint=url, imdsv1_fallback=True))
    with pytest.raises(UnauthenticatedError, match="first version must not be used"):
        refreshed(S3Store("bucket", region="eu-west-1", metadata_endpoint=url, imdsv1_fallback=False))


@pytest.mark.parametrize("text", [f"mfa_serial = x\nrole_arn = {ROLE}\nsource_profile = p", "login_session = x"])
def test_what_only_boto3_can_do_is_said(home: Path, text: str) -> None:
    config(home, f"[profile p]\n{text}\n")
    with pytest.raises(UnauthenticatedError, match=r"objstore\.auth\.boto3"):
        refreshed(S3Store("bucket", profile="p", region="eu-west-1"))


# --- nothing


def test_with_nothing_all_that_was_tried_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instance's service is a hole: nobody takes connections there."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    store = S3Store("bucket")
    with pytest.raises(UnauthenticatedError) as failed:
        store.get("a")
    for name in (
        "environment",
        "assume-role",
        "web-identity",
        "sso",
        "credentials-file",
        "login",
        "credential-process",
    ):
        assert f"{name}: " in str(failed.value)
    assert re.search(r"container: no AWS_CONTAINER.*; instance: .*127\.0\.0\.1:1 could not be asked", str(failed.value))
    assert store.credential_info() == {"source": "AWS credential chain", "expires_at": None}


def test_an_instance_service_that_keeps_silent_is_soon_given_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections, and never answers: one second for each version of it, and no second try of either."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(UnauthenticatedError, match=r"instance: .* could not be asked"):
            S3Store("bucket").get("a")
        assert time.monotonic() - began < SOON
        silent.settimeout(0)
        for _ in range(2):
            silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_nothing_is_asked_before_a_malformed_credential_is_refused(home: Path) -> None:
    """Without a region the service would be asked for it; there is none that could be."""
    store = S3Store("bucket", credential_provider=lambda: {"access_key_id": "k"})
    with pytest.raises(UnauthenticatedError, match="secret_access_key"):
        store.get("a")


# --- many at once


CONTAINER = "AWS_CONTAINER_CREDENTIALS_FULL_URI"


async def all_refreshed(store: S3Store, count: int) -> list[object]:
    identity = store.provider.service.identity
    waiting = [arun(identity.refresh()) for _ in range(count)]
    return await asyncio.gather(*waiting, return_exceptions=True)


def test_ten_thousand_wait_for_one_fetch(aws: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    behaviour, url = aws
    monkeypatch.setenv(CONTAINER, f"{url}/container/x")
    store = S3Store("bucket", region="eu-west-1")
    assert not [each for each in asyncio.run(all_refreshed(store, 10_000)) if isinstance(each, BaseException)]
    assert behaviour.seen == ["/container/x"]


def test_when_the_endpoint_is_down_it_is_not_hammered(aws: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint is asked three times by one fetch; those who come later are told what the others were."""
    behaviour, url = aws
    behaviour.status = 500
    monkeypatch.setenv(CONTAINER, f"{url}/container/x")
    store = S3Store("bucket", region="eu-west-1")
    began = time.monotonic()
    for _ in range(2):
        failed = asyncio.run(all_refreshed(store, 5_000))
        assert all(isinstance(each, UnauthenticatedError) for each in failed)
    fetches = len(behaviour.seen) / 3
    assert fetches <= 1 + (time.monotonic() - began) / 2


def test_a_valid_credential_outlives_its_endpoint(aws: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    behaviour, url = aws
    monkeypatch.setenv(CONTAINER, f"{url}/container/x")
    store = S3Store("bucket", region="eu-west-1")
    credentials = store.provider.service.identity.credentials
    first = refreshed(store)
    behaviour.status = 500
    credentials._cache._due = datetime.now(UTC) - timedelta(seconds=1)
    assert not [each for each in asyncio.run(all_refreshed(store, 1_000)) if isinstance(each, BaseException)]
    assert credentials.current == first


# --- refused and read again


def test_a_refused_key_of_a_file_is_read_again(home: Path) -> None:
    """The service says that the first key has ended; the file has another one by then."""
    keys = home / ".aws" / "credentials"
    keys.write_text("[default]\naws_access_key_id = OLD\naws_secret_access_key = s\n")
    store = S3Store("bucket", region="us-east-1")
    assert refreshed(store).access_key_id == "OLD"
    keys.write_text("[default]\naws_access_key_id = NEW\naws_secret_access_key = s\n")
    credentials = store.provider.service.identity.credentials
    assert run(credentials.recover(REFUSED))
    assert credentials.current.access_key_id == "NEW"


def test_a_refused_key_of_the_environment_is_read_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OLD")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    store = S3Store("bucket", region="us-east-1")
    assert store.credential_info() == {"source": "environment", "expires_at": None}
    assert refreshed(store).access_key_id == "OLD"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "NEW")
    assert refreshed(store).access_key_id == "OLD"
    credentials = store.provider.service.identity.credentials
    assert run(credentials.recover(REFUSED))
    assert credentials.current.access_key_id == "NEW"


class OnlyNew(BaseHTTPRequestHandler):
    """A bucket whose service takes the old key for one that has ended."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        new = "Credential=NEW/" in self.headers.get("Authorization", "")
        body = b"body" if new else b"<Error><Code>ExpiredToken</Code><Message>ended</Message></Error>"
        self.send_response(200 if new else 400)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"e"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_all_that_are_under_way_when_a_key_ends_are_signed_anew(home: Path) -> None:
    keys = home / ".aws" / "credentials"
    keys.write_text("[default]\naws_access_key_id = OLD\naws_secret_access_key = s\n")
    with Listener(("127.0.0.1", 0), OnlyNew) as server:
        thread = Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        store = S3Store("bucket", region="us-east-1", endpoint=endpoint, allow_http=True, max_connections=16)
        assert refreshed(store).access_key_id == "OLD"
        keys.write_text("[default]\naws_access_key_id = NEW\naws_secret_access_key = s\n")
        try:
            assert store.get_many([str(number) for number in range(100)]) == [b"body"] * 100
        finally:
            server.shutdown()
            thread.join()


def test_tokens_in_files_are_read_each_time(aws: Services, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = home / "token"
    monkeypatch.setenv(CONTAINER, f"{aws[1]}/container/x")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
    source = S3Store("bucket", region="eu-west-1").provider.service.identity.credentials.asked
    for text in ("first", "second"):
        token.write_text(text)
        assert run(source.fetch()).access_key_id == named("container", "/container/x", text)


# --- processes, one at a time


def test_a_process_runs_once_at_a_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails if another one of it is under way."""
    program = home / "key.sh"
    program.write_text(
        f'#!/bin/sh\nmkdir "{home}/busy" || exit 1\nsleep 0.2\nrmdir "{home}/busy"\n'
        """echo '{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "s"}'\n"""
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    config(home, f'[default]\ncredential_process = "{program}" with arguments\nregion = eu-west-1\n')
    code = (
        "from objstore.plans.run import run; from objstore.store import S3Store\n"
        "i = S3Store('bucket').provider.service.identity; run(i.refresh()); print(i.credentials.current.access_key_id)"
    )
    root = str(Path(__file__).parents[2])
    children = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root})
        for _ in range(4)
    ]
    assert [child.communicate()[0] for child in children] == [b"A\n"] * 4


def test_workers_that_begin_together_do_not_ask_together(
    aws: Services, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONTAINER, f"{aws[1]}/container/x")
    monkeypatch.setattr("multiprocessing.process.parent_process", lambda: "a parent")
    monkeypatch.setattr(current, "_spread", set())
    waits = []
    for _ in range(2):
        identity = S3Store("bucket", region="eu-west-1").provider.service.identity
        plan = identity.credentials.asked.fetch()
        read = next(plan)
        effect = plan.send(read.function())
        waits.append(effect.seconds if isinstance(effect, Sleep) else None)
        plan.close()
    assert waits[0] is not None
    assert 0 <= waits[0] < 1
    assert waits[1] is None


def test_an_endpoint_that_names_a_user_is_refused_unseen(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONTAINER, "https://user:pass@localhost/container/x")
    with pytest.raises(UnauthenticatedError, match="names a user") as failed:
        refreshed(S3Store("bucket", region="eu-west-1"))
    assert "pass@" not in str(failed.value)


# --- signatures, checked by real servers


def test_a_role_is_assumed_by_a_real_service(moto: S3Server, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto checks the signature of AssumeRole, and of what is then asked with the role's key."""
    config(home, f"[default]\nrole_arn = {ROLE}\nsource_profile = user\nregion = {moto.region}\n")
    keys = f"aws_access_key_id = {moto.access_key_id}\naws_secret_access_key = {moto.secret_access_key}\n"
    (home / ".aws" / "credentials").write_text(f"[user]\n{keys}")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto.endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    found = refreshed(S3Store("bucket"))
    assert found.token
    assert found.expires_at > datetime.now(UTC)
    (home / ".aws" / "credentials").write_text(f"[user]\n{keys.rstrip()}wrong\n")
    with pytest.raises(UnauthenticatedError, match=r"gave no credential \(HTTP 403"):
        refreshed(S3Store("bucket"))


def test_a_bucket_is_used_by_a_role(ministack: S3Server, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All by files: the key, the role, the region and both endpoints."""
    ministack.client("s3").create_bucket(Bucket="of-role")
    iam = replace(ministack, access_key_id="test", secret_access_key="test").client("iam")
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    iam.put_role_policy(RoleName="r", PolicyName="s3", PolicyDocument=POLICY)
    config(
        home,
        f"[profile p]\nrole_arn = {role}\nsource_profile = user\nregion = {ministack.region}\nservices = here\n"
        f"[services here]\ns3 =\n  endpoint_url = {ministack.endpoint}\nsts =\n  endpoint_url = {ministack.endpoint}\n"
        f"[profile user]\naws_access_key_id = {ministack.access_key_id}\n"
        f"aws_secret_access_key = {ministack.secret_access_key}\n",
    )
    monkeypatch.setenv("AWS_PROFILE", "p")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    store = S3Store("of-role")
    store.put("a", b"1")
    assert store.get("a").bytes() == b"1"
    assert asyncio.run(store.get_async("a")).bytes() == b"1"
    info = store.credential_info()
    assert info["source"] == "assume-role"
    assert info["expires_at"] is not None


@pytest.mark.parametrize("server", ["ministack", "moto"])
def test_an_instance_is_told_who_it_is_by_a_real_service(
    server: str, request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MiniStack wants the token of the second version."""
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", request.getfixturevalue(server).endpoint)
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    store = S3Store("bucket", region="us-east-1")
    assert refreshed(store).token
    assert store.credential_info()["source"] == "instance"
    assert store.credential_info()["expires_at"] > datetime.now(UTC)


def test_a_container_is_told_who_it_is_by_a_real_service(ministack: S3Server, home: Path) -> None:
    store = S3Store(
        "bucket", region="us-east-1", container_credentials_full_uri=f"{ministack.endpoint}/v2/credentials/x"
    )
    assert refreshed(store).token
    assert store.credential_info()["source"] == "container"


# --- secrets


PLANTED = "planted/secret"


def test_no_secret_shows(
    aws: Services,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    (home / "token").write_text(PLANTED)
    cache = home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    key = f"aws_access_key_id = AKIA\naws_secret_access_key = {PLANTED}\n"
    config(
        home,
        f"[default]\n{key}aws_session_token = {PLANTED}\n"
        f"[profile role]\nrole_arn = arn:aws:iam::1:role/denied\nsource_profile = default\n"
        f"[profile web]\nrole_arn = arn:aws:iam::1:role/denied\nweb_identity_token_file = {home}/token\n"
        f"[profile process]\ncredential_process = sh -c 'echo {PLANTED}; echo {PLANTED} >&2; exit 3'\n"
        f"[profile printed]\ncredential_process = echo {PLANTED}\n"
        f"[profile control]\n{key}aws_session_token = {PLANTED}\x01\n"
        f"[profile sso]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n"
        f"[sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://s.example\n",
    )
    token = cache / f"{hashlib.sha1(b's').hexdigest()}.json"
    token.write_text(f'{{"accessToken": "{PLANTED}", "expiresAt": "{ENDS}"}}')
    shown: list[str] = []
    for profile in ("default", "role", "web", "process", "printed", "control", "sso"):
        store = S3Store("bucket", profile=profile, region="eu-west-1")
        try:
            refreshed(store)
        except BaseError as error:
            shown += [repr(error), str(error), repr(error.__cause__), repr(error.__context__)]
        else:
            assert profile == "default"
        identity = store.provider.service.identity
        shown += [repr(store), repr(store.config), str(store.credential_info()), repr(identity.credentials.current)]
        shown += [repr(vars(identity.credentials)), repr(pickle.dumps(store)), repr(store.provider.service)]
    config(home, f"[default]\n{PLANTED}\n")
    with pytest.raises(ConfigurationError) as failed:
        S3Store("bucket")
    shown += [repr(failed.value), repr(failed.value.__cause__), *capfd.readouterr(), caplog.text]
    assert not [text for text in shown if PLANTED in text]


def test_a_pickle_carries_what_was_given_and_nothing_that_was_found(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PLANTED)
    store = S3Store("bucket", region="eu-west-1")
    refreshed(store)
    assert PLANTED.encode() not in pickle.dumps(store)
    assert refreshed(pickle.loads(pickle.dumps(store))).secret_access_key == PLANTED
