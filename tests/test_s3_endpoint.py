"""Where a bucket of Amazon's is spoken to: as their own SDKs say, whose rules and test cases are the judges."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError
from botocore.loaders import Loader
from hypothesis import given, settings
from hypothesis import strategies as st

from objstore.exceptions import BaseError, ConfigurationError, NotSupportedError
from objstore.providers.cloud.s3_endpoint import Address, Wishes, control, home, locate
from objstore.settings.partitions import AWS, PARTITIONS, partition_of
from objstore.settings.s3_hosts import is_amazon
from objstore.store import S3Store

LOADER = Loader()
RULES = LOADER.load_service_model("s3", "endpoint-rule-set-1")
TABLE = LOADER.load_data("partitions")
JUDGE = EndpointProvider(RULES, TABLE)

SESSION = "sigv4-s3express"
DIRECTORIES = ("--x-s3", "--xa-s3")
ZONAL = "bucket--usw2-az1--x-s3"
SSE_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
ACCOUNT = "123456789012"
VPCE = "https://bucket.vpce-1a2b3c4d-5e6f.s3.us-west-2.vpce.amazonaws.com"
CASES = "botocore-{0}/tests/functional/endpoint-rules/s3/endpoint-tests-1.json"


def located(parameters: dict[str, Any]) -> Address | None:
    """Return our address for parameters of the SDKs' rules; None where we refuse."""
    region = parameters.get("Region")
    if parameters.get("UseGlobalEndpoint") and region == "us-east-1":
        region = "aws-global"  # the host without a region is asked for by this name alone
    wishes = Wishes(
        virtual=not parameters.get("ForcePathStyle", False),
        fips=parameters.get("UseFIPS", False),
        dual_stack=parameters.get("UseDualStack", False),
        accelerate=parameters.get("Accelerate", False),
        use_arn_region=parameters.get("UseArnRegion") is not False,
        no_multi_region=parameters.get("DisableMultiRegionAccessPoints", False),
        directory=True if parameters.get("Bucket", "").endswith(DIRECTORIES) else None,
        sessions=not parameters.get("DisableS3ExpressSessionAuth", False),
    )
    try:
        endpoint = split(parameters.get("Endpoint"))
        if parameters.get("UseS3ExpressControlEndpoint"):
            return made_at(parameters.get("Bucket"), region or "", endpoint, wishes)
        bucket = parameters.get("Bucket", "none-such")
        found = locate(bucket, region, endpoint, wishes)
        return found if "Bucket" in parameters else home(bucket, region or "", endpoint, wishes)
    except (ConfigurationError, NotSupportedError):
        return None


def made_at(bucket: str | None, region: str, endpoint: tuple[str, str] | None, wishes: Wishes) -> Address:
    """Return where a directory bucket is made, or where all of them are listed."""
    if bucket is None:
        return control("none", region, endpoint, wishes)
    located = locate(bucket, region, endpoint, wishes)
    if endpoint is not None:
        return located
    return control(bucket, region, endpoint, wishes)._replace(base=f"/{bucket}")


def split(endpoint: str | None) -> tuple[str, str] | None:
    if endpoint is None:
        return None
    scheme, _, rest = endpoint.partition("://")
    if scheme not in ("http", "https"):
        raise ConfigurationError("not a URL")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}", f"{slash}{path}".rstrip("/")


def said(url: str, properties: dict[str, Any]) -> Address:
    """Return what the SDKs say, by the scheme of signatures that we have."""
    origin, path = split(url) or ("", "")
    schemes = properties.get("authSchemes", [])
    named = next((each for each in schemes if each["name"] in ("sigv4", SESSION)), {"name": "none"})
    region, service = named.get("signingRegion", ""), named.get("signingName", "none")
    return Address(origin, path, region, service, named["name"] == SESSION)


def judged(parameters: dict[str, Any]) -> Address | None:
    try:
        endpoint = JUDGE.resolve_endpoint(**parameters)
    except EndpointProviderError:
        return None
    return said(endpoint.url, endpoint.properties)


# --- partitions


def test_the_partitions_are_those_of_the_sdks() -> None:
    theirs = {each["id"]: each["outputs"]["dnsSuffix"] for each in TABLE["partitions"]}
    assert {each.name: each.suffix for each in PARTITIONS} == theirs
    for each in TABLE["partitions"]:
        for region in each["regions"]:
            assert partition_of(region).name == each["id"], region
            assert is_amazon(f"s3.{region}.{each['outputs']['dnsSuffix']}") is not region.endswith("-global"), region


@pytest.mark.parametrize("region", ["us-east-9", "cn-x-1", "us-isob-x-2", "eusc-fr-x-1", "snow", "auto", "us-gov-x-3"])
def test_regions_to_come(region: str) -> None:
    ids = [each["id"] for each in TABLE["partitions"] if re.match(each["regionRegex"], region)]
    assert partition_of(region).name == (ids or [AWS.name])[0]


@pytest.mark.parametrize(
    "host",
    [
        "amazonaws.com.evil.example",
        "evil-amazonaws.com",
        "s3.eu-west-1.amazonaws.com.evil.example",
        "ec2-203-0-113-25.eu-west-1.compute.amazonaws.com",
        "s3-1234567890.us-east-1.elb.amazonaws.com",
        "s3-0123456789abcdef.elb.us-east-1.amazonaws.com",
        "s3.us-east-1.elasticbeanstalk.com",
        "vpce-1a2b-3c4d.vpce-svc-0123.us-east-1.vpce.amazonaws.com",
        "s3x.example",
        "localhost",
        "",
    ],
)
def test_hosts_that_are_not_amazons(host: str) -> None:
    assert not is_amazon(host)


@pytest.mark.parametrize(
    "host",
    [
        "s3.amazonaws.com",
        "S3.EU-WEST-1.AMAZONAWS.COM",
        "s3-us-west-2.amazonaws.com",
        "s3-external-1.amazonaws.com",
        "s3-fips.dualstack.us-gov-west-1.amazonaws.com",
        "bucket.s3-accelerate.dualstack.amazonaws.com",
        f"point-{ACCOUNT}.s3-accesspoint.cn-north-1.amazonaws.com.cn",
        f"point-{ACCOUNT}.op-01234567890123456.s3-outposts.us-west-2.amazonaws.com",
        "bucket.vpce-1a2b3c4d-5e6f.s3.us-west-2.vpce.amazonaws.com",
        f"{ZONAL}.s3express-usw2-az1.us-west-2.amazonaws.com",
        "s3express-control.us-west-2.amazonaws.com",
    ],
)
def test_hosts_that_are_amazons(host: str) -> None:
    assert is_amazon(host)


# --- the SDKs' own cases


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The cases that the SDKs are tested with, from botocore's source distribution."""
    folder = tmp_path_factory.mktemp("botocore")
    wanted = f"botocore=={botocore.__version__}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-build-isolation"]
    command += ["--no-binary", "botocore", wanted, "-d", folder]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"pip could not fetch the source distribution of {wanted}")
    with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as archive:
        file = archive.extractfile(CASES.format(botocore.__version__))
        assert file is not None
        found: list[dict[str, Any]] = json.load(file)["testCases"]
    return found


def reason(parameters: dict[str, Any]) -> str:
    """Say why a case cannot come out as it does for the SDKs; an empty text: it has to."""
    bucket = parameters.get("Bucket", "")
    endpoint = parameters.get("Endpoint")
    rows = [
        ("nobody answers for Object Lambda here", parameters.get("UseObjectLambdaEndpoint")),
        ("the region of a bucket is found where none is given", "Region" not in parameters),
        ("multi-Region access points need SigV4a", ".mrap" in bucket),
        ("Outposts' test hosts", "beta0--op-s3" in bucket),
        ("access points cannot be disabled", parameters.get("DisableAccessPoints")),
        ("no bucket has such a name", endpoint is None and (len(bucket) < 3 or any(c in bucket for c in "!# "))),
        (
            "Transfer Acceleration has no regional hosts",
            parameters.get("Accelerate") and parameters.get("UseDualStack") and parameters["Region"] == "aws-global",
        ),
    ]
    return next((text for text, true in rows if true), "")


def test_the_cases_of_the_sdks(cases: list[dict[str, Any]]) -> None:
    right, wrong = 0, []
    for case in cases:
        parameters, expected = case["params"], case["expect"].get("endpoint")
        ours = located(parameters) if split_or_none(parameters) else None
        theirs = said(expected["url"], expected.get("properties", {})) if expected else None
        if ours == theirs:
            right += 1
        elif not reason(parameters):
            wrong.append((parameters, theirs, ours))
    assert wrong == []
    assert right >= 362


def split_or_none(parameters: dict[str, Any]) -> bool:
    """Tell whether the endpoint is a URL at all: settings that are none are refused before they come here."""
    return parameters.get("Endpoint", "http").startswith("http")


# --- more than their cases

PLACES = [
    "us-east-1",
    "eu-west-9",
    "cn-north-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "eusc-de-east-1",
    "aws-global",
    "snow",
]
SERVERS = [
    None,
    "https://h.example",
    "http://h.example:9000/above",
    "http://10.0.0.1:9000",
    "http://[::1]:9000/x",
    "https://vpce-1a2b3c4d-5e6f.s3.us-west-2.vpce.amazonaws.com",
]
ZONES = st.sampled_from(["usw2-az1", "use1-az12", "usw2-lax1-az1", "test1-long1-zone-ab1", "nozone"])
KINDS = st.sampled_from(["x-s3", "xa-s3"])
BUCKETS = st.one_of(
    st.sampled_from(["bucket", "a.dotted.bucket", "Old_Name", "1.2.3.4", "a..b", "-a-", "a-.b", "xn", "x" * 64]),
    st.sampled_from(["point-0123456789abcdef-s3alias", "lambda-0123456789abcdef--ol-s3", "s3-eu.amazonaws.com"]),
    st.builds("{0}--{1}--{2}".format, st.sampled_from(["a", "a--b", "a.b", "0-1"]), ZONES, KINDS),
    st.from_regex(r"[a-z0-9][a-z0-9.-]{1,20}[a-z0-9]", fullmatch=True),
)
ARNS = st.builds(
    lambda region, kind: f"arn:{partition_of(region).name}:{kind.format(region, ACCOUNT)}",
    st.sampled_from(["us-east-1", "us-west-2", "cn-north-1", "us-gov-west-1", "eu-isoe-west-1"]),
    st.sampled_from(
        [
            "s3:{0}:{1}:accesspoint/point",
            "s3:{0}:{1}:accesspoint:point",
            "s3-object-lambda:{0}:{1}:accesspoint/point",
            "s3-outposts:{0}:{1}:outpost/op-01234567890123456/accesspoint/point",
            "s3:{0}:{1}:accesspoint/po_int",
            "s3:{0}:{1}:accesspoint/-point",
            "s3-object-lambda:{0}:{1}:accesspoint/point-",
            "s3:{0}:{1}:bucket",
            "s3::{1}:accesspoint/point",
            "sqs:{0}:{1}:point",
        ]
    ),
)
FLAGS = st.fixed_dictionaries(
    {
        name: st.booleans()
        for name in ("UseFIPS", "UseDualStack", "Accelerate", "ForcePathStyle", "DisableS3ExpressSessionAuth")
    }
)


def has_no_such_name(bucket: str, region: str) -> bool:
    """Tell whether no bucket can have this name, in no region or in this one, which the SDKs let the service say."""
    old = region in ("us-east-1", "aws-global")
    odd = not 3 <= len(bucket) <= 63 or ".." in bucket or bucket.endswith(("-", "."))
    numbers = bucket.split(".")
    address = len(numbers) == 4 and all(each in map(str, range(256)) for each in numbers)
    return not bucket.startswith("arn:") and (bucket.startswith("-") or len(bucket) < 3 or address or (odd and not old))


def differs_on_purpose(parameters: dict[str, Any]) -> bool:
    """Tell whether we refuse, or do, what the rules do not."""
    bucket, endpoint = parameters["Bucket"], parameters.get("Endpoint")
    by_address = endpoint is not None and ("10.0" in endpoint or "::1" in endpoint)
    directory = bucket.endswith(DIRECTORIES)
    return bool(
        (directory and parameters["ForcePathStyle"])  # no host but its own
        or (directory and parameters["Region"] == "aws-global")  # it is in one region
        or (directory and "nozone" in bucket)  # they sign for it where there is an endpoint
        or (directory and by_address)  # they put the endpoint's path behind the bucket
        or ((endpoint is None or "vpce" in endpoint) and has_no_such_name(bucket, parameters["Region"]))
        or (bucket.startswith("arn:") and (by_address or "s3::" in bucket))
        or (":s3-outposts:" in bucket and endpoint is not None and endpoint[:5] == "http:")  # they drop scheme and path
        or (by_address and "." in bucket)  # no host is an address with a name in front
        or ("." in bucket and parameters["Region"] == "aws-global")  # they sign for aws-global, which is no region
        or reason(parameters)
    )


@settings(max_examples=600, deadline=None)
@given(
    st.one_of(BUCKETS, ARNS), st.sampled_from(PLACES), st.sampled_from(SERVERS), FLAGS, st.sampled_from([None, False])
)
def test_the_rules_of_the_sdks(
    bucket: str, region: str, endpoint: str | None, flags: dict[str, bool], arn_region: bool | None
) -> None:
    parameters: dict[str, Any] = {"Bucket": bucket, "Region": region, **flags}
    parameters |= {} if endpoint is None else {"Endpoint": endpoint}
    parameters |= {} if arn_region is None else {"UseArnRegion": arn_region}
    if not differs_on_purpose(parameters):
        assert located(parameters) == judged(parameters)


# --- stores


def address_of(store: S3Store) -> tuple[str, str]:
    provider: Any = store.provider
    return provider.service.origin, provider.path("key").decode()


KEYS = {"access_key_id": "k", "secret_access_key": "s"}


@pytest.mark.parametrize(
    ("given", "origin", "path"),
    [
        ({"region": "cn-north-1"}, "https://s3.cn-north-1.amazonaws.com.cn", "/bucket/key"),
        ({"use_fips_endpoint": True}, "https://s3-fips.us-east-1.amazonaws.com", "/bucket/key"),
        ({"use_accelerate_endpoint": True}, "https://bucket.s3-accelerate.amazonaws.com", "/key"),
        (
            {"bucket": ZONAL, "region": "us-west-2"},
            f"https://{ZONAL}.s3express-usw2-az1.us-west-2.amazonaws.com",
            "/key",
        ),
        (
            {"bucket": ZONAL, "region": "us-west-2", "endpoint": "https://s3express-usw2-az1.us-west-2.amazonaws.com"},
            f"https://{ZONAL}.s3express-usw2-az1.us-west-2.amazonaws.com",
            "/key",
        ),
        (
            {"bucket": ZONAL, "region": "us-west-2", "endpoint": "https://h.example", "s3_express": True},
            f"https://{ZONAL}.h.example",
            "/key",
        ),
        (
            {"bucket": ZONAL, "region": "us-west-2", "endpoint": "https://h.example"},
            "https://h.example",
            f"/{ZONAL}/key",
        ),
        (
            {"endpoint": "https://h.example/x", "virtual_hosted_style_request": True},
            "https://bucket.h.example",
            "/x/key",
        ),
        (
            {"endpoint": "https://bucket.h.example", "virtual_hosted_style_request": True},
            "https://bucket.h.example",
            "/key",
        ),
        ({"endpoint": "https://10.0.0.1:9", "virtual_hosted_style_request": True}, "https://10.0.0.1:9", "/bucket/key"),
        ({"endpoint": VPCE, "virtual_hosted_style_request": True}, VPCE.replace("bucket", "bucket.bucket"), "/key"),
        ({"endpoint": VPCE}, VPCE, "/bucket/key"),
        (
            {"endpoint": "https://bucket.s3.eu-west-1.amazonaws.com"},
            "https://bucket.s3.eu-west-1.amazonaws.com",
            "/key",
        ),
        (
            {"endpoint": "https://bucket.h.example", "virtual_hosted_style_request": False},
            "https://bucket.h.example",
            "/bucket/key",
        ),
    ],
)
def test_the_address_of_a_store(given: dict[str, Any], origin: str, path: str) -> None:
    assert address_of(S3Store(**{"bucket": "bucket", **KEYS, **given})) == (origin, path)


@pytest.mark.parametrize(
    ("variables", "given", "origin"),
    [
        ({"AWS_USE_FIPS_ENDPOINT": "true", "AWS_REGION": "us-west-2"}, {}, "https://s3-fips.us-west-2.amazonaws.com"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, {}, "https://s3.dualstack.us-east-1.amazonaws.com"),
        (
            {"AWS_ENDPOINT_URL": "https://e.example", "AWS_ENDPOINT_URL_S3": "https://s.example"},
            {},
            "https://s.example",
        ),
        ({"AWS_ENDPOINT_URL_S3": "https://s.example"}, {"endpoint": "https://mine.example"}, "https://mine.example"),
        (
            {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_ENDPOINT_URL": "https://e.example"},
            {"region": "us-east-2"},
            "https://s3.us-east-2.amazonaws.com",
        ),
        (
            {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_ENDPOINT_URL_S3": "https://e.example"},
            {"endpoint": "https://mine.example"},
            "https://mine.example",
        ),
    ],
)
def test_the_address_by_the_environment(
    variables: dict[str, str], given: dict[str, Any], origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert address_of(S3Store("bucket", **KEYS, **given))[0] == origin


def test_arns_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_S3_USE_ARN_REGION", "false")
    arn = f"arn:aws:s3:us-west-2:{ACCOUNT}:accesspoint/point"
    with pytest.raises(ConfigurationError, match=r"s3_use_arn_region \(of the environment\) is false"):
        S3Store(arn, region="us-east-1", **KEYS)
    assert address_of(S3Store(arn, **KEYS))[0] == f"https://point-{ACCOUNT}.s3-accesspoint.us-west-2.amazonaws.com"
    monkeypatch.setenv("AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS", "true")
    with pytest.raises(ConfigurationError, match="rules out"):
        S3Store(f"arn:aws:s3::{ACCOUNT}:accesspoint/point.mrap")


def test_the_service_in_signatures() -> None:
    store = S3Store(f"arn:aws:s3-object-lambda:us-west-2:{ACCOUNT}:accesspoint/point", **KEYS)
    url = store.sign("GET", "key", timedelta(hours=1))
    assert url.startswith(f"https://point-{ACCOUNT}.s3-object-lambda.us-west-2.amazonaws.com/key?")
    assert "us-west-2%2Fs3-object-lambda%2Faws4_request" in url


@pytest.mark.parametrize(
    ("bucket", "given", "words"),
    [
        ("s3://b", {}, "from_url"),
        ("s3://b", {"endpoint": "https://h.example"}, "from_url"),
        ("b/sub", {}, "as prefix"),
        ("b/sub", {"endpoint": "https://h.example"}, "as prefix"),
        ("..", {"endpoint": "https://h.example"}, "as prefix"),
        ("My Bucket", {}, "a-z"),
        ("-ab", {}, "a-z"),
        ("ab", {}, "3 to 63 letters"),
        ("ab", {"region": "eu-west-1"}, "3 to 63 letters"),
        ("ab", {"endpoint": "https://s3.eu-west-1.amazonaws.com"}, "3 to 63 letters"),
        ("x" * 256, {}, "255 letters"),
        ("bücket", {}, "a-z"),
        ("_abc", {"region": "eu-west-1"}, "begin and end"),
        ("192.168.0.1", {}, "it is an IP address"),
        ("b..c", {"region": "eu-west-1"}, "dots side by side"),
        ("a.b-", {"region": "eu-west-1"}, "end with a letter"),
        ("x" * 64, {"region": "eu-west-1"}, "63 letters"),
        ("", {}, "needs a bucket"),
        ("bucket--usw2-az1--x-s3", {}, "in which region"),
        ("bucket--usw2-az1--x-s3", {"region": "us-west-2", "virtual_hosted_style_request": False}, "is a host"),
        ("bucket--usw2-az1--x-s3", {"region": "us-west-2", "use_accelerate_endpoint": True}, "no acceleration"),
        ("bucket--usw2-az1--x-s3", {"region": "us-west-2", "s3_express": False}, "s3_express=False"),
        ("bucket--usw2-az1--x-s3", {"region": "us-west-2", "request_payer": True}, "no request_payer"),
        ("bucket--usw2-az1--x-s3", {"region": "us-west-2", "sse_customer_key_base64": SSE_KEY}, "no sse_customer_key"),
        ("bucket--usw2-az1--x-s3", {"region": "us-west-2", "server_side_encryption": "aws:kms:dsse"}, "aws:kms:dsse"),
        ("bucket", {"s3_express": True}, "NAME--ZONE--x-s3"),
        (f"arn:aws:s3:us-west-2:{ACCOUNT}:accesspoint/point", {"s3_express": True}, "NAME--ZONE--xa-s3"),
        ("bucket", {"s3_express_session_mode": "ReadOnly"}, "says nothing of this bucket"),
        ("bucket--x-s3", {}, "NAME--ZONE--x-s3"),
        ("bucket--us-west-2--x-s3", {}, "NAME--ZONE--x-s3"),
        ("bucket-usw2-az1--x-s3", {}, "NAME--ZONE--x-s3"),
        ("Bucket--usw2-az1--xa-s3", {}, "NAME--ZONE--x-s3"),
        ("a.dotted.bucket", {"virtual_hosted_style_request": True}, "Leave that setting out"),
        ("a.b", {"virtual_hosted_style_request": True, "endpoint": "https://h.example"}, "Leave that setting out"),
        (f"arn:aws:s3::{ACCOUNT}:accesspoint/point.mrap", {}, "SigV4a"),
        ("arn:aws:s3:::bucket", {}, "give its name alone"),
        ("bucket", {"use_fips_endpoint": True, "endpoint": "https://h.example"}, "does not go with an endpoint"),
        ("bucket", {"region": "us-east-1/x"}, "us-east-1"),
        ("bucket", {"region": "a/b", "endpoint": "https://h.example"}, "us-east-1"),
        ("bucket", {"endpoint": "https://h.example?x=y"}, "query"),
        ("a.b", {"use_accelerate_endpoint": True}, "cannot be part of a host"),
        ("bucket", {"endpoint": "https://bucket.h.example"}, "the bucket's .True. or the service's .False."),
        ("bucket", {"endpoint": "https://Other.S3.eu-west-1.amazonaws.com"}, "the host of 'other'"),
        (
            "bucket",
            {"endpoint": "https://bucket.s3.eu-west-1.amazonaws.com", "virtual_hosted_style_request": False},
            "=False does not go with an endpoint that is the host of 'bucket'",
        ),
        (
            "bucket",
            {"endpoint": "https://s3.eu-west-1.amazonaws.com/bucket"},
            "'/bucket' .* not go with a host of Amazon",
        ),
        ("arn:aws:s3:us-west-2:1234:accesspoint/point", {}, "no region or account"),
        ("arn:aws:s3:us-west-2:12345678901a:accesspoint/point", {}, "no region or account"),
        (
            "bucket",
            {"endpoint": f"https://point-{ACCOUNT}.s3-accesspoint.us-west-2.amazonaws.com"},
            "accesspoint/point'",
        ),
        ("bucket", {"endpoint": "https://h.example:99999"}, "'https://h.example:99999' is not a URL"),
        ("bucket", {"endpoint": "https://user:secret@[::1/"}, r"'\[::1/' is not a URL"),
        (f"arn:aws:s3:us-west-2:{ACCOUNT}:accesspoint/-point", {}, "names no access point by"),
        (f"arn:aws:s3:us-west-2:{ACCOUNT}:accesspoint/point-", {}, "names no access point by"),
        (f"arn:aws:s3-outposts:us-west-2:{ACCOUNT}:outpost/op-1-/accesspoint/p", {}, "names no access point by"),
    ],
)
def test_what_is_refused(bucket: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(BaseError, match=words):
        S3Store(bucket, **KEYS, **given)


@pytest.mark.parametrize("bucket", ["x" * 255, "Upper_Score", "b..c", "a.b-"])
@pytest.mark.parametrize("region", [{}, {"region": "us-east-1"}, {"region": "aws-global"}])
def test_the_oldest_region_has_buckets_of_old_names(bucket: str, region: dict[str, Any]) -> None:
    assert address_of(S3Store(bucket, **KEYS, **region))[1] == f"/{bucket}/key"


@pytest.mark.parametrize(
    "bucket", ["My Bucket", "under_score", "tenant:bucket", "UPPER", "b--x-s3", "bücket", "a?b#c", "b..c", "10.0.0.1"]
)
def test_other_services_name_buckets_as_they_like(bucket: str) -> None:
    store = S3Store(bucket, endpoint="https://h.example", virtual_hosted_style_request=bucket == "UPPER", **KEYS)
    origin, path = address_of(store)
    assert origin == "https://h.example"
    assert path.count("/") == 2
    assert path.isascii()
    assert "?" not in path


HOSTS = st.tuples(
    st.one_of(st.sampled_from(["bucket", "a.dotted.bucket", ZONAL]), ARNS), st.sampled_from(PLACES), FLAGS
)


@settings(max_examples=200, deadline=None)
@given(HOSTS)
def test_an_address_as_a_url_names_the_same_store(case: tuple[str, str, dict[str, bool]]) -> None:
    bucket, region, flags = case
    address = located({"Bucket": bucket, "Region": region, **flags})
    regionless = flags["Accelerate"] and partition_of(region).suffix != AWS.suffix
    if address is None or region in ("aws-global", "snow") or regionless:
        return
    store = S3Store.from_url(f"{address.origin}{address.base}/prefix", **KEYS)
    assert address_of(store) == (address.origin, f"{address.base}/key")


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("https://s3.us-west-2.amazonaws.com", "us-west-2"),
        ("https://S3-eu-west-1.amazonaws.com:443/", "eu-west-1"),
        ("https://s3-fips.dualstack.us-gov-east-1.amazonaws.com", "us-gov-east-1"),
        ("https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        (VPCE, "us-west-2"),
        ("https://s3.amazonaws.com", "us-east-1"),
        ("https://s3-accelerate.amazonaws.com", "us-east-1"),
        ("https://s3.us-west-2.example.com", "us-east-1"),
        ("https://s3.us-west-2.amazonaws.com.cn", "us-east-1"),
    ],
)
def test_a_host_of_amazons_tells_the_region_that_nobody_said(endpoint: str, region: str) -> None:
    """Signed URLs, which no reply mends, are good there too."""
    url = S3Store("a-bucket", endpoint=endpoint, **KEYS).sign("GET", "key", timedelta(hours=1))
    assert f"%2F{region}%2Fs3%2Faws4_request" in url
    url = S3Store("a-bucket", endpoint=endpoint, region="ap-east-1", **KEYS).sign("GET", "key", timedelta(hours=1))
    assert "%2Fap-east-1%2Fs3%2Faws4_request" in url
