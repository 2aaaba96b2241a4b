"""What the files of AWS say of other things than credentials, beside what botocore makes of the same."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.configprovider import (
    BOTOCORE_DEFAUT_SESSION_VARIABLES,
    DEFAULT_PROXIES_CONFIG_VARS,
    DEFAULT_S3_CONFIG_VARS,
)

from objstore.credentials.chains.aws.config import read_config
from objstore.credentials.chains.aws.sts import token_service
from objstore.exceptions import BaseError, ConfigurationError, UnauthenticatedError
from objstore.http.client import client_settings
from objstore.plans.run import run
from objstore.providers.cloud.s3 import TABLE
from objstore.providers.cloud.s3_account import region_nearby
from objstore.settings.options import parse
from objstore.store import AzureStore, GCSStore, S3Store
from tests.aws.services import services
from tests.tls_proxy import standing_in

ROLE = "arn:aws:iam::123456789012:role/r"
SSO = """sso_session = s
sso_account_id = 1
sso_role_name = r
[sso-session s]
sso_start_url = https://s.example
sso_region = {}"""
DOCUMENT = Path(__file__).parents[2] / "docs" / "credentials-aws.md"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a key in it, and an environment that says nothing of AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("[default]\naws_access_key_id = k\naws_secret_access_key = s\n")
    return tmp_path


def config(home: Path, text: str) -> None:
    (home / ".aws" / "config").write_text(f"[default]\n{text}\n")


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("region = eu-west-1", {}),
        ("region = eu-west-1\nsts_regional_endpoints = legacy", {}),
        ("region = eu-west-1\nsts_regional_endpoints = legacy", {"AWS_STS_REGIONAL_ENDPOINTS": "regional"}),
        ("region = eu-west-1", {"AWS_STS_REGIONAL_ENDPOINTS": "legacy"}),
        ("region = me-south-1\nsts_regional_endpoints = legacy", {}),
        ("region = ap-southeast-2\nsts_regional_endpoints = legacy", {}),
        ("region = ap-southeast-3\nsts_regional_endpoints = legacy", {}),
        ("region = cn-north-1\nsts_regional_endpoints = legacy", {}),
        ("region = aws-global", {}),
        ("region = us-east-1\nuse_fips_endpoint = true", {}),
        ("region = us-gov-west-1\nuse_fips_endpoint = true", {}),
        ("region = us-gov-east-1", {}),
        ("region = us-isob-east-1", {}),
        ("region = eu-isoe-west-1", {}),
        ("region = eusc-de-east-1", {}),
        ("region = eu-west-1\nendpoint_url = https://e.example", {}),
    ],
)
def test_the_token_service_is_where_botocore_asks_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, text: str, variables: dict[str, str]
) -> None:
    config(home, text)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    values = parse(TABLE, environment=os.environ).values
    ours = token_service(read_config(values, frozenset(), partial(client_settings, values), "test"))
    client = botocore.session.Session().create_client("sts")
    assert ours == (client.meta.endpoint_url, client._request_signer._region_name)


def test_the_certificates_of_a_profile_are_trusted_and_no_others(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the token service as by the bucket; AWS_CA_BUNDLE counts more."""
    with services(("127.0.0.1", 0)) as (_, (url,)):
        hosts = {"sts.eu-west-1.amazonaws.com": url, "s3.eu-west-1.amazonaws.com": url}
        with standing_in(hosts, home) as proxy:
            role = f"region = eu-west-1\nrole_arn = {ROLE}\nsource_profile = default\n"
            config(home, f"{role}ca_bundle = {proxy.certificates}")
            given = {"client_options": {"proxy_url": proxy.url}, "retry_config": {"max_retries": 0}}
            with pytest.raises(BaseError) as failed:
                S3Store("bucket", **given).get("a")
            assert failed.value.status == 404  # the services know no buckets
            more = {**given, "client_options": {"proxy_url": proxy.url, "root_certificate": other(home)}}
            with pytest.raises(BaseError) as failed:
                S3Store("bucket", **more).get("a")
            assert failed.value.status == 404
            (home / "empty").write_bytes(other(home))
            monkeypatch.setenv("AWS_CA_BUNDLE", str(home / "empty"))
            with pytest.raises(BaseError, match="certificate"):
                S3Store("bucket", **given).get("a")
            monkeypatch.delenv("AWS_CA_BUNDLE")
            config(home, role)
            with pytest.raises(BaseError, match="certificate"):
                S3Store("bucket", **given).get("a")
    config(home, "region = eu-west-1\nca_bundle = ~/gone")
    with pytest.raises(ConfigurationError, match="ca_bundle = '~/gone', which cannot be read"):
        S3Store("bucket")


def other(home: Path) -> bytes:
    """Return a certificate that nobody here has."""
    from tests.tls_proxy import write_certificate

    folder = home / "other"
    folder.mkdir(exist_ok=True)
    return write_certificate(["other.example"], folder).read_bytes()


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("s3 =\n  addressing_style = auto", "virtual_hosted_style_request", None),
        ("s3 =\n  addressing_style = Virtual", "virtual_hosted_style_request", True),
        ("s3 =\n  addressing_style = path", "virtual_hosted_style_request", False),
        ("s3 =\n  payload_signing_enabled = TRUE", "unsigned_payload", False),
        ("response_checksum_validation = when_required", "response_checksum_validation", "when_required"),
        ("s3 =\n  use_arn_region = false", "s3_use_arn_region", False),
        ("s3_use_arn_region = false", "s3_use_arn_region", False),
        ("s3 =\n  s3_disable_multiregion_access_points = true", "s3_disable_multiregion_access_points", True),
        ("s3_disable_express_session_auth = true", "s3_disable_express_session_auth", True),
        ("s3 =\n  disable_s3_express_session_auth = true", "s3_disable_express_session_auth", True),
        ("", "s3_use_arn_region", True),
    ],
)
def test_a_profile_says_how_to_ask(home: Path, text: str, name: str, value: object) -> None:
    config(home, f"region = eu-west-1\n{text}")
    assert values_of(S3Store("bucket"))[name] == value


def values_of(store: S3Store) -> dict[str, Any]:
    from objstore.providers.cloud.s3_account import Account

    return Account(store._settings, None, "test").values()


def test_the_environment_and_the_caller_count_more_than_the_profile(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config(home, "region = eu-west-1\ns3_use_arn_region = false\nresponse_checksum_validation = when_supported")
    monkeypatch.setenv("AWS_S3_USE_ARN_REGION", "true")
    monkeypatch.setenv("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")
    values = values_of(S3Store("bucket"))
    assert (values["s3_use_arn_region"], values["response_checksum_validation"]) == (True, "when_required")
    assert values_of(S3Store("bucket", s3_use_arn_region=False))["s3_use_arn_region"] is False


@pytest.mark.parametrize("word", ["true", "True", "1", "yes"])
def test_every_word_for_true_counts(home: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    names = ("s3_disable_multiregion_access_points", "s3_disable_express_session_auth", "use_fips_endpoint")
    for name in names:
        monkeypatch.setenv(f"AWS_{name.upper()}", word)
    values = values_of(S3Store("bucket", region="eu-west-1"))
    assert [values[name] for name in names] == [True, True, True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3 =\n  addressing_style = both", "addressing_style = 'both'. There are: auto, virtual, path."),
        ("response_checksum_validation = never", "There are: when_supported, when_required."),
        ("use_fips_endpoint = maybe", "use_fips_endpoint = 'maybe'. There are: true | false."),
        ("s3 =\n  use_accelerate_endpoint = maybe", "use_accelerate_endpoint = 'maybe'. There are: true | false."),
        ("s3 =\n  payload_signing_enabled = maybe", "payload_signing_enabled = 'maybe'. There are: true | false."),
        ("s3_use_arn_region = maybe", "s3_use_arn_region = 'maybe'. There are: true | false."),
        ("ignore_configured_endpoint_urls = maybe", "ignore_configured_endpoint_urls = 'maybe'. There are: true"),
        ("endpoint_url = h.example", "The endpoint 'h.example' is not a URL"),
        ("endpoint_url = ftp://h.example", "The endpoint 'ftp://h.example' is not a URL"),
        ("endpoint_url = https://h.example:99999", "The endpoint 'https://h.example:99999' is not a URL"),
        ("s3 =\n  addressing_style = virtual", "give False where the profile has addressing_style"),
    ],
)
def test_a_word_that_there_is_not(home: Path, text: str, said: str) -> None:
    config(home, f"region = eu-west-1\n{text}")
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        S3Store("a.bucket")


@pytest.mark.parametrize("said", [None, "true", "false"])
@pytest.mark.parametrize("variable", [None, "true", "false"])
@pytest.mark.parametrize("given", [None, True, False])
def test_whether_endpoints_count_is_said_by_the_strongest(
    home: Path, monkeypatch: pytest.MonkeyPatch, given: bool | None, variable: str | None, said: str | None
) -> None:
    told = "" if said is None else f"ignore_configured_endpoint_urls = {said}"
    config(home, f"region = eu-west-1\nendpoint_url = https://e.example\n{told}")
    if variable is not None:
        monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", variable)
    ours = S3Store("bucket", ignore_configured_endpoint_urls=given).provider.service.origin
    theirs = botocore.session.Session().create_client("s3").meta.endpoint_url
    expected = theirs if given is None else ("https://s3.eu-west-1.amazonaws.com" if given else "https://e.example")
    assert ours == expected


def test_a_token_service_of_no_kind(home: Path) -> None:
    config(home, f"region = eu-west-1\nsts_regional_endpoints = near\nrole_arn = {ROLE}\nsource_profile = default")
    with pytest.raises(ConfigurationError, match="sts_regional_endpoints = 'near'"):
        S3Store("bucket").get("a")


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("credential_process = echo [[[", {}),
        (f"credential_process = {sys.executable} -c \"print('['*100000)\"", {}),
        ("", {"AWS_WEB_IDENTITY_TOKEN_FILE": "~nobody-of-this-name/token", "AWS_ROLE_ARN": ROLE}),
        ("ca_bundle = ~nobody-of-this-name/bundle", {}),
        (SSO.format("eu-west-1"), {}),
        (SSO.format("evil.example/"), {}),
        (SSO.format("x@evil.example"), {}),
        ("", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.1/x"}),
        ("", {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "@evil.example/x"}),
    ],
)
def test_nothing_is_so_odd_that_it_is_no_error_of_ours(
    home: Path, monkeypatch: pytest.MonkeyPatch, text: str, variables: dict[str, str]
) -> None:
    (home / ".aws" / "credentials").unlink()
    token = home / ".aws" / "sso" / "cache" / f"{hashlib.sha1(b's').hexdigest()}.json"
    token.parent.mkdir(parents=True)
    token.write_text(json.dumps({"accessToken": "planted", "expiresAt": "2040-01-01T00:00:00Z"}))
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSO" if "eu-west-1" in text else "UNUSED", "https://127.0.0.1:1")
    config(home, text)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((UnauthenticatedError, ConfigurationError)) as failed:
        S3Store("bucket", region="eu-west-1").get("a")
    assert "planted" not in str(failed.value)


@pytest.mark.parametrize(
    "make", [lambda: S3Store("bucket", region="r"), lambda: GCSStore("b"), lambda: AzureStore("c", account_name="a")]
)
def test_a_user_whom_nobody_knows_has_no_home_and_no_credential(
    home: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]
) -> None:
    """Containers run as numbers without a name."""

    def unknown(number: int) -> Any:
        raise KeyError(number)

    pwd = pytest.importorskip("pwd")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "dev")
    with pytest.raises(UnauthenticatedError, match="There is no "):
        make().get("a")


@pytest.mark.parametrize(("there", "found"), [("cn-north-1", "cn-north-1"), ("", None)])
def test_an_instance_tells_its_region(home: Path, monkeypatch: pytest.MonkeyPatch, there: str, found: str) -> None:
    (home / ".aws" / "credentials").unlink()
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    with services(("127.0.0.1", 0)) as (behaviour, (url,)):
        behaviour.region = there
        credentials = S3Store("bucket", metadata_endpoint=url).provider.service.identity.credentials
        assert run(region_nearby(credentials)) is None
        run(credentials.refresh())
        assert run(region_nearby(credentials)) == found


def test_who_is_no_instance_asks_no_instance_for_its_region(home: Path) -> None:
    credentials = S3Store("bucket").provider.service.identity.credentials
    run(credentials.refresh())
    assert run(region_nearby(credentials)) is None


def test_the_documentation_has_all_that_botocore_reads() -> None:
    """Each is read, or passed over for a reason."""
    told = set(re.findall(r"`(\w+)`", DOCUMENT.read_text()))
    tables = {**BOTOCORE_DEFAUT_SESSION_VARIABLES, **DEFAULT_S3_CONFIG_VARS, **DEFAULT_PROXIES_CONFIG_VARS}
    names = {name for row in tables.values() for name in _names(row[0])}
    assert not names - told


def _names(row: Any) -> list[str]:
    """Return what a row of botocore's table says that the profile may have."""
    if row is None:
        return []
    if isinstance(row, str):
        return [row]
    return [name for each in row if each != "s3" for name in _names(each)]
