"""The settings: names, kinds of values, where they come from, and what is shown of them."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objstore.exceptions import ConfigurationError, GenericError, UnknownConfigurationKeyError
from objstore.providers.cloud.azure import TABLE as AZURE
from objstore.providers.cloud.gcs import TABLE as GCS
from objstore.providers.cloud.s3 import TABLE as S3
from objstore.settings import value_types
from objstore.settings.masked import MOST_SHOWN
from objstore.settings.options import CLIENT_OPTIONS, Option, RetryOptions, Table, _spellings, parse
from objstore.types import RetryConfig

TABLES = [S3, GCS, AZURE]
HTTP = Table("HTTPStore", (), ())
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.store)
def test_no_name_means_two_settings(table: Table) -> None:
    options = (*table.options, *CLIENT_OPTIONS)
    names = [name for option in options for name in (option.name, *option.aliases)]
    spellings = {prefix + name for name in names for prefix in ("", *table.prefixes)}
    assert len(spellings) == len(names) * (1 + len(table.prefixes))
    assert all(name == name.lower() for name in names)


@pytest.mark.parametrize(
    ("table", "option"),
    [(table, option) for table in TABLES for option in table.options] + [(HTTP, option) for option in CLIENT_OPTIONS],
    ids=lambda value: value.store if isinstance(value, Table) else value.name,
)
def test_every_row_is_complete(table: Table, option: Option) -> None:
    assert option.doc.endswith(".")
    assert {*option.yields_to} <= {other.name for other in table.options}
    if isinstance(option.default, (bool, str)):
        assert option.kind.read(str(option.default)) == option.default
    elif option.default is not None:
        assert option.kind.read(option.kind.write(option.default)) == option.default


OBSTORE_NAMES: dict[str, list[str]] = {
    "GCSStore": [
        "google_service_account google_service_account_path service_account service_account_path",
        "google_service_account_key service_account_key",
        "google_bucket google_bucket_name bucket bucket_name",
        "google_base_url base_url",
        "google_application_credentials application_credentials",
        "google_bearer_token bearer_token",
        "google_skip_signature skip_signature",
        "google_user_agent user_agent",
    ],
    "AzureStore": [
        "azure_storage_account_name account_name",
        "azure_storage_account_key azure_storage_access_key azure_storage_master_key account_key access_key master_key",
        "azure_storage_client_id azure_client_id client_id",
        "azure_storage_client_secret azure_client_secret client_secret",
        "azure_storage_tenant_id azure_storage_authority_id azure_tenant_id azure_authority_id tenant_id authority_id",
        "azure_storage_authority_host azure_authority_host authority_host",
        "azure_storage_sas_key azure_storage_sas_token sas_key sas_token",
        "azure_storage_token bearer_token token",
        "azure_storage_use_emulator use_emulator",
        "azure_storage_endpoint azure_endpoint endpoint",
        "azure_msi_endpoint azure_identity_endpoint identity_endpoint msi_endpoint",
        "azure_object_id object_id",
        "azure_msi_resource_id msi_resource_id",
        "azure_federated_token_file federated_token_file",
        "azure_use_fabric_endpoint use_fabric_endpoint",
        "azure_use_azure_cli use_azure_cli",
        "azure_skip_signature skip_signature",
        "azure_container_name container_name",
        "azure_disable_tagging disable_tagging",
        "azure_fabric_token_service_url fabric_token_service_url",
        "azure_fabric_workload_host fabric_workload_host",
        "azure_fabric_session_token fabric_session_token",
        "azure_fabric_cluster_identifier fabric_cluster_identifier",
        "azure_credential_type credential_type",
        "azure_storage_encryption_key encryption_key",
        "azure_allow_http allow_http",
    ],
}
"""What obstore 0.12.1 takes; the spellings of one line mean the same."""


SAMPLES = {
    **dict.fromkeys(("allow_http", "disable_tagging", "skip_signature", "use_azure_cli"), "yes"),
    **dict.fromkeys(("use_emulator", "use_fabric_endpoint"), "yes"),
    **dict.fromkeys(("account_key", "encryption_key"), "A" * 43 + "="),
    **dict.fromkeys(("account_name", "bucket", "container_name"), "name"),
    "credential_type": "access_key",
}


@pytest.mark.parametrize(
    ("table", "spellings"),
    [(table, line.split()) for table in (GCS, AZURE) for line in OBSTORE_NAMES[table.store]],
    ids=lambda value: value.store if isinstance(value, Table) else value[-1],
)
def test_the_names_of_obstore(table: Table, spellings: list[str]) -> None:
    options = [_spellings(table)[spelling] for spelling in spellings]
    assert len(set(options)) == 1
    option = options[0]
    assert option.name in spellings
    value = SAMPLES.get(option.name, "https://h.example")
    for spelling in spellings:
        if spelling.startswith(table.prefixes):
            assert parse(table, environment={spelling.upper(): value})[option.name] == option.kind.read(value)


@pytest.mark.parametrize(
    ("table", "variable", "value", "name"),
    [
        (GCS, "SERVICE_ACCOUNT", "/key.json", "service_account"),
        (GCS, "GOOGLE_APPLICATION_CREDENTIALS", "/key.json", "application_credentials"),
        (GCS, "STORAGE_EMULATOR_HOST", "localhost:9000", "emulator_host"),
        (AZURE, "IDENTITY_ENDPOINT", "http://127.0.0.1:41741/msi/token", "msi_endpoint"),
        (AZURE, "AZURE_STORAGE_ACCOUNT", "account", "account_name"),
        (AZURE, "AZURE_STORAGE_KEY", "Zm9v", "account_key"),
        (AZURE, "AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=x", "sas_key"),
        (AZURE, "AZURITE_BLOB_STORAGE_URL", "http://127.0.0.1:10001", "emulator_url"),
    ],
)
def test_variables_of_other_programs(table: Table, variable: str, value: str, name: str) -> None:
    assert parse(table, environment={variable: value})[name] == value


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.store)
def test_no_secret_of_any_store_is_shown(table: Table) -> None:
    secrets = {option.name for option in (*table.options, *CLIENT_OPTIONS) if option.secret}
    for option in table.options:
        looks_secret = option.name.endswith(
            ("_secret", "_token", "_key", "token", "secret_access_key", "base64", "_password", "connection_string")
        )
        assert looks_secret is (option.name in secrets), option.name
    for name in secrets - {"default_headers"}:
        with pytest.raises(ConfigurationError) as caught:
            parse(table, keywords={name: "planted\n"})
        assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("region", "region"),
        ("aws_region", "region"),
        ("AWS_REGION", "region"),
        ("Region", "region"),
        ("token", "session_token"),
        ("aws_token", "session_token"),
        ("aws_session_token", "session_token"),
        ("bucket_name", "bucket"),
        ("aws_bucket_name", "bucket"),
        ("aws_role_arn", "role_arn"),
        ("aws_user_agent", "user_agent"),
        ("user_agent", "user_agent"),
    ],
)
def test_a_setting_has_many_names_and_keeps_one(spelling: str, name: str) -> None:
    for source in ("config", "keywords", "url", "provider"):
        assert parse(S3, **{source: {spelling: "x"}})[name] == "x"
    given = parse(S3, config={spelling: "x"})
    assert {**given.config, **given.client_options} == {name: "x"}


@pytest.mark.parametrize(
    ("sources", "spellings"),
    [
        ({"config": {"region": "a", "aws_region": "a"}}, ["'region' (config)", "'aws_region' (config)"]),
        (
            {"config": {"region": "a"}, "keywords": {"AWS_REGION": "b"}},
            ["'region'", "'AWS_REGION' (keyword arguments)"],
        ),
        ({"url": {"bucket": "a"}, "keywords": {"bucket_name": "b"}}, ["'bucket' (URL)", "'bucket_name'"]),
        ({"keywords": {"timeout": 1}, "client_options": {"timeout": 2}}, ["'timeout' (client_options)"]),
        ({"client_options": {"read_timeout": 1, "stall_timeout": 1}}, ["'read_timeout'", "'stall_timeout'"]),
    ],
)
def test_a_setting_given_twice_is_refused_with_both_spellings(sources: dict[str, Any], spellings: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="twice") as caught:
        parse(S3, **sources)
    assert all(spelling in str(caught.value) for spelling in spellings)


def test_sources_have_an_order() -> None:
    layers: dict[str, Any] = {
        "environment": {"AWS_REGION": "environment"},
        "provider": {"region": "provider"},
        "url": {"region": "url"},
        "config": {"aws_region": "config"},
    }
    for count in range(1, len(layers) + 1):
        chosen = dict(list(layers.items())[:count])
        assert parse(S3, **chosen)["region"] == list(layers)[count - 1]


def test_what_was_not_given_has_its_default() -> None:
    settings = parse(S3)
    assert settings["region"] is None
    assert settings["conditional_put"] is None
    assert settings["connect_timeout"] == 3.0
    assert settings["first_byte_timeout"] == 15.0
    assert settings["stall_timeout"] == 10.0
    assert settings["timeout"] is None
    assert settings["http1_only"] is True


def test_none_is_not_given_and_empty_is_the_default() -> None:
    environment = {"AWS_ENDPOINT": "https://e.example", "AWS_REGION": "r"}
    settings = parse(S3, config={"region": None, "endpoint": ""}, environment=environment)
    assert settings["region"] == "r"
    assert settings["endpoint"] is None
    assert settings.config == {"endpoint": ""}


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("AWS_ACCESS_KEY_ID", "access_key_id"),
        ("AWS_SESSION_TOKEN", "session_token"),
        ("AWS_BUCKET", "bucket"),
        ("AWS_USER_AGENT", "user_agent"),
    ],
)
def test_the_environment_sets_what_it_names(variable: str, name: str) -> None:
    settings = parse(S3, environment={variable: "x", "AWS_PROFILE": "p", "HOME": "/h", "REGION": "no"})
    assert settings[name] == "x"
    assert settings["region"] is None
    assert settings.config == settings.client_options == {}


def test_the_environment_may_say_it_twice_or_not_at_all() -> None:
    environment = {"AWS_ENDPOINT": "https://a.example", "AWS_ENDPOINT_URL": "https://b.example", "AWS_REGION": ""}
    settings = parse(S3, environment=environment)
    assert settings["endpoint"] == "https://a.example"
    assert settings["region"] is None
    environment["AWS_ENDPOINT"] = ""
    assert parse(S3, environment=environment)["endpoint"] == "https://b.example"


def test_a_row_may_name_further_variables() -> None:
    table = Table("GCSStore", ("google_",), (Option("service_account", "A file.", environment=("SERVICE_ACCOUNT",)),))
    assert parse(table, environment={"SERVICE_ACCOUNT": "/f"})["service_account"] == "/f"


def test_a_store_without_prefix_reads_no_variable() -> None:
    assert parse(HTTP, environment={"TIMEOUT": "5", "USER_AGENT": "x"})["timeout"] is None


def test_a_bad_variable_is_named_unless_it_is_not_used() -> None:
    with pytest.raises(ConfigurationError, match=r"AWS_TIMEOUT = 'soon' \(environment\)"):
        parse(S3, environment={"AWS_TIMEOUT": "soon"})
    assert parse(S3, keywords={"timeout": 5}, environment={"AWS_TIMEOUT": "soon"})["timeout"] == 5.0


def test_a_token_of_the_environment_is_not_mixed_with_a_key_given_by_hand() -> None:
    environment = {"AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "F", "AWS_SESSION_TOKEN": "G"}
    settings = parse(S3, keywords={"access_key_id": "A", "secret_access_key": "B"}, environment=environment)
    assert settings["session_token"] is None
    assert parse(S3, environment=environment)["session_token"] == "G"
    assert parse(S3, keywords={"token": "T"}, environment=environment)["session_token"] == "T"


CREDENTIALS = {
    GCS: ["service_account", "service_account_key", "application_credentials", "bearer_token"],
    AZURE: ["account_key", "sas_key", "token", "client_secret", "federated_token_file"],
}


@pytest.mark.parametrize(
    ("table", "name"),
    [pytest.param(table, name, id=f"{table.store}-{name}") for table, names in CREDENTIALS.items() for name in names],
)
def test_a_credential_given_by_hand_is_not_mixed_with_those_of_the_environment(table: Table, name: str) -> None:
    environment = {f"{table.prefixes[0]}{other}".upper(): "Zm9v" for other in CREDENTIALS[table]}
    settings = parse(table, keywords={name: "YmFy"}, environment=environment)
    assert {other: settings[other] for other in CREDENTIALS[table] if settings[other]} == {name: "YmFy"}
    settings = parse(table, environment=environment)
    assert all(settings[other] == "Zm9v" for other in CREDENTIALS[table])


@pytest.mark.parametrize(
    ("sources", "hint"),
    [
        ({"config": {"regoin": "x"}}, "Did you mean 'region'?"),
        ({"keywords": {"aws_acces_key_id": "x"}}, "Did you mean 'aws_access_key_id'?"),
        ({"client_options": {"time_out": "x"}}, "Did you mean 'timeout'?"),
        ({"client_options": {"region": "x"}}, "It is a setting of the store"),
        ({"config": {"qqqq": None}}, "There are: access_key_id, allow_http,"),
        ({"config": {7: "x"}}, "There are:"),
    ],
)
def test_an_unknown_setting_is_refused_with_a_way_out(sources: dict[str, Any], hint: str) -> None:
    with pytest.raises(UnknownConfigurationKeyError) as caught:
        parse(S3, **sources)
    assert hint in str(caught.value)
    assert "no setting" in str(caught.value)


@pytest.mark.parametrize("text", ["1", "true", "TRUE", "on", "Yes", "y", True, 1])
def test_true_has_many_spellings(text: object) -> None:
    assert parse(S3, keywords={"skip_signature": text})["skip_signature"] is True


@pytest.mark.parametrize("text", ["0", "false", "False", "off", "NO", "n", False, 0])
def test_false_has_many_spellings(text: object) -> None:
    assert parse(S3, keywords={"skip_signature": text})["skip_signature"] is False


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5s", 5.0),
        ("2h 37min", 9420.0),
        ("2h37m", 9420.0),
        ("1day 1h", 90000.0),
        ("1week", 604800.0),
        ("500ms", 0.5),
        ("1.5 s", 1.5),
        ("20", 20.0),
        ("2.5", 2.5),
        (20, 20.0),
        (0.25, 0.25),
        (0, 0.0),
        (timedelta(minutes=1, seconds=30), 90.0),
    ],
)
def test_durations_are_read(value: object, seconds: float) -> None:
    assert parse(HTTP, client_options={"timeout": value})["timeout"] == pytest.approx(seconds, rel=1e-12)


@settings(deadline=None, max_examples=100)
@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400)))
def test_a_duration_is_written_as_it_is_read(duration: timedelta) -> None:
    text = parse(HTTP, client_options={"timeout": duration}).client_options["timeout"]
    assert math.isclose(value_types.DURATION.read(text), duration.total_seconds(), abs_tol=1e-6)


BAD: list[tuple[str, object]] = [
    ("timeout", "soon"),
    ("timeout", "5 parsecs"),
    ("timeout", "5s and more"),
    ("timeout", "1" * 5000 + "!"),
    ("timeout", -1),
    ("timeout", timedelta(seconds=-1)),
    ("timeout", float("nan")),
    ("timeout", float("inf")),
    ("timeout", True),
    ("timeout", [5]),
    ("max_connections", 0),
    ("max_connections", 1.5),
    ("max_connections", "many"),
    ("max_connections", True),
    ("max_connections", float("inf")),
    ("pool_max_idle_per_host", -1),
    ("allow_http", "maybe"),
    ("allow_http", 2),
    ("user_agent", "a\r\nX-Evil: 1"),
    ("user_agent", "a\ud800"),
    ("user_agent", b"bytes"),
    ("user_agent", ["a"]),
    ("root_certificate", "no certificate"),
    ("root_certificate", 5),
    ("proxy_url", "ftp://p"),
    ("default_headers", "X: y"),
    ("default_headers", {"X": "a\nb"}),
    ("default_headers", {"X": "é"}),
    ("default_headers", {"X Y": "a"}),
    ("default_headers", {"X": 5}),
    ("default_headers", {5: "x"}),
    ("endpoint", "localhost:9000"),
    ("endpoint", "s3://b"),
    ("checksum_algorithm", "md5"),
    ("conditional_put", "sometimes"),
    ("copy_if_not_exists", "header:only"),
    ("copy_if_not_exists", "header-with-status:a:b:c"),
    ("request_payer", "somebody"),
    ("server_side_encryption", "rot13"),
    ("sse_customer_key_base64", "c2hvcnQ="),
]


@pytest.mark.parametrize(("name", "value"), BAD, ids=lambda value: str(value)[:16].encode("ascii", "replace").decode())
def test_a_bad_value_is_refused_when_the_store_is_made(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(S3, keywords={name: value})
    message = str(caught.value)
    secret = name in {"default_headers", "proxy_url", "sse_customer_key_base64"}
    assert message.startswith(f"{name} = ")
    assert (repr(value)[:MOST_SHOWN] in message) is not secret
    assert "Give " in message
    assert caught.value.__context__ is None
    assert isinstance(caught.value, GenericError)


@pytest.mark.parametrize(
    ("name", "value", "typed", "plain"),
    [
        ("allow_http", True, True, "true"),
        ("allow_http", "yes", True, "yes"),
        ("timeout", timedelta(seconds=90), 90.0, "1m 30s"),
        ("timeout", "90s", 90.0, "90s"),
        ("timeout", 1.5, 1.5, "1s 500ms"),
        ("timeout", 0, 0.0, "0s"),
        ("timeout", timedelta(days=2, microseconds=7), 172800.000007, "2days 7us"),
        ("max_connections", 8, 8, "8"),
        ("max_connections", "8", 8, "8"),
        ("max_connections", 8.0, 8, "8"),
        ("role_session_name", 5, "5", "5"),
        ("region", "eu-west-1", "eu-west-1", "eu-west-1"),
        ("role_arn", True, "true", "true"),
        ("web_identity_token_file", Path("/run/token"), "/run/token", "/run/token"),
        ("default_headers", {"X-A": "b", "X-C": b"\xff"}, {"X-A": b"b", "X-C": b"\xff"}, {"X-A": b"b", "X-C": b"\xff"}),
        ("root_certificate", CERTIFICATE, CERTIFICATE.encode(), CERTIFICATE.encode()),
        ("request_payer", "Requester", True, "Requester"),
        ("request_payer", True, True, "true"),
        ("checksum_algorithm", "SHA256", "sha256", "SHA256"),
        ("server_side_encryption", "aes256", "AES256", "aes256"),
        ("copy_if_not_exists", "header: X-A: b", "header: X-A: b", "header: X-A: b"),
        ("endpoint", "http://localhost:9000/x", "http://localhost:9000/x", "http://localhost:9000/x"),
    ],
)
def test_a_value_is_typed_inside_and_plain_outside(name: str, value: object, typed: object, plain: object) -> None:
    settings = parse(S3, keywords={name: value})
    assert settings[name] == typed
    assert type(settings[name]) is type(typed)
    assert {**settings.config, **settings.client_options} == {name: plain}


def test_what_is_given_back_can_be_given_again() -> None:
    keywords: dict[str, object] = {"bucket": "b", "aws_endpoint_url_s3": "https://e.example", "unsigned_payload": True}
    client: dict[str, object] = {
        "timeout": timedelta(seconds=90),
        "default_headers": {"X": "y"},
        "root_certificate": CERTIFICATE,
    }
    first = parse(S3, keywords=keywords, client_options=client)
    again = parse(S3, config=first.config, client_options=first.client_options)
    assert again == first
    assert again.values == first.values


def test_client_settings_may_come_with_the_store_and_are_told_apart() -> None:
    settings = parse(S3, keywords={"bucket": "b", "aws_allow_http": True}, client_options={"timeout": 5})
    assert settings.config == {"bucket": "b"}
    assert settings.client_options == {"allow_http": "true", "timeout": "5s"}


def test_settings_are_equal_when_the_same_was_given() -> None:
    assert parse(S3, config={"region": "r"}) == parse(S3, keywords={"AWS_REGION": "r"}, environment={"AWS_BUCKET": "b"})
    assert parse(S3, config={"region": "r"}) != parse(S3, config={"region": "s"})
    assert parse(S3, config={"region": "r"}) != parse(S3, environment={"AWS_REGION": "r"})


def test_no_secret_is_shown() -> None:
    secrets: dict[str, object] = {
        "secret_access_key": "planted-1",
        "session_token": "planted-2",
        "proxy_url": "http://u:planted-3@p.example",
        "default_headers": {"Authorization": "planted-4"},
        "sse_customer_key_base64": "planted5planted5planted5planted5planted5pla=",
    }
    settings = parse(S3, keywords={**secrets, "region": "r"})
    assert "planted" not in repr(settings)
    assert "'region': 'r'" in repr(settings)
    with pytest.raises(ConfigurationError) as caught:
        parse(S3, keywords={"secret_access_key": "planted\n"})
    assert "planted" not in str(caught.value)


def test_retry_options_have_defaults() -> None:
    assert RetryOptions.from_config({}) == RetryOptions(None, 180.0, 0.05, 20.0, 2.0)
    unset: Any = {"max_retries": None, "retry_timeout": "", "backoff": {}}
    assert RetryOptions.from_config(unset) == RetryOptions()


@pytest.mark.parametrize("config", [{}, {"max_retries": 10}, {"retry_timeout": 5.0}])
def test_retry_options_are_made_again_as_they_were(config: RetryConfig) -> None:
    options = RetryOptions.from_config(config)
    assert RetryOptions.from_config(options.given()) == options
    assert options.max_retries == config.get("max_retries")


def test_retry_options_are_read_in_part_and_shown_in_full() -> None:
    config: RetryConfig = {"max_retries": 2, "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": 5}}
    options = RetryOptions.from_config(config)
    assert options == RetryOptions(2, 180.0, 0.1, 5.0, 2.0)
    assert options.to_config() == {
        "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2.0},
        "max_retries": 2,
        "retry_timeout": timedelta(seconds=180),
    }
    assert RetryOptions.from_config(options.to_config()) == options


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"max_retries": -1}, "max_retries = -1"),
        ({"max_retries": 1.5}, "max_retries = 1.5"),
        ({"retry_timeout": timedelta(seconds=-1)}, "retry_timeout = "),
        ({"retry_timeout": "soon"}, "retry_timeout = 'soon'"),
        ({"backoff": 5}, "backoff = 5"),
        ({"backoff": {"base": 0.5}}, "base = 0.5 (retry_config['backoff'])"),
        ({"backoff": {"base": float("inf")}}, "base = inf"),
        ({"backoff": {"init_backoff": -0.1}}, "init_backoff = -0.1"),
    ],
)
def test_bad_retry_options_are_refused(config: Any, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RetryOptions.from_config(config)
    assert str(caught.value).startswith(named)


@pytest.mark.parametrize(
    ("config", "hint"),
    [
        ({"max_retry": 1}, "Did you mean 'max_retries'?"),
        ({"init_backoff": 1}, "Did you mean 'backoff'?"),
        ({"qqqq": 1}, "There are: backoff, max_retries, retry_timeout."),
        ({"backoff": {"max_back": 1}}, "Did you mean 'max_backoff'?"),
    ],
)
def test_unknown_retry_options_are_refused(config: Any, hint: str) -> None:
    with pytest.raises(UnknownConfigurationKeyError) as caught:
        RetryOptions.from_config(config)
    assert hint in str(caught.value)
