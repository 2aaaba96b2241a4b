"""How objects are encrypted at rest: the headers of our writes are those of Amazon's own client."""

from __future__ import annotations

import base64
import json
from typing import Any

import boto3
import pytest

from objstore.exceptions import ConfigurationError
from objstore.store import S3Store

KEY = "arn:aws:kms:us-east-1:123456789012:key/1234"
CONTEXT = {"project": "grün", "a": "b"}
OWN = base64.b64encode(bytes(range(32))).decode()


class StoppedError(Exception):
    """Ends a request of theirs before it is sent."""


def theirs(parameters: dict[str, Any]) -> dict[str, str]:
    """Return the headers that boto3 would send."""
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")
    seen: dict[str, str] = {}

    def stop(request: Any, **_: object) -> None:
        seen.update({name.lower(): value for name, value in request.headers.items()})
        raise StoppedError

    client.meta.events.register("request-created.s3.PutObject", stop)
    with pytest.raises(StoppedError):
        client.put_object(Bucket="bucket", Key="key", **parameters)
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in seen.items()}
    return {name: value for name, value in headers.items() if name.startswith("x-amz-server-side-encryption")}


def ours(settings: dict[str, Any]) -> dict[str, str]:
    provider: Any = S3Store("bucket", access_key_id="k", secret_access_key="s", **settings).provider
    return {name.lower(): value for name, value in provider.write_headers.items()}


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({"server_side_encryption": "AES256"}, {"ServerSideEncryption": "AES256"}),
        ({"server_side_encryption": "aws:kms"}, {"ServerSideEncryption": "aws:kms"}),
        (
            {"server_side_encryption": "aws:kms", "sse_kms_key_id": KEY, "sse_bucket_key_enabled": True},
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY, "BucketKeyEnabled": True},
        ),
        (
            {"server_side_encryption": "aws:kms", "sse_bucket_key_enabled": "false"},
            {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": False},
        ),
        (
            {"server_side_encryption": "aws:kms:dsse", "sse_kms_key_id": KEY},
            {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": KEY},
        ),
        ({"sse_customer_key_base64": OWN}, {"SSECustomerKey": bytes(range(32)), "SSECustomerAlgorithm": "AES256"}),
        (
            {"server_side_encryption": "sse-c", "sse_customer_key_base64": OWN},
            {"SSECustomerKey": bytes(range(32)), "SSECustomerAlgorithm": "AES256"},
        ),
    ],
)
def test_the_headers_are_those_of_amazons_client(settings: dict[str, Any], parameters: dict[str, Any]) -> None:
    assert ours(settings) == theirs(parameters)


@pytest.mark.parametrize("given", [CONTEXT, json.dumps(CONTEXT)])
def test_a_context_is_sent_as_json_in_base64(given: object) -> None:
    headers = ours({"server_side_encryption": "aws:kms", "sse_kms_encryption_context": given})
    sent = headers["x-amz-server-side-encryption-context"]
    assert json.loads(base64.b64decode(sent)) == CONTEXT
    assert headers == theirs({"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": sent})


def test_a_store_with_a_context_is_made_again() -> None:
    store = S3Store("bucket", server_side_encryption="aws:kms", sse_kms_encryption_context=CONTEXT)
    assert S3Store(config=store.config) == store


@pytest.mark.parametrize("given", ["not json", "[1]", {"a": 1}, 7])
def test_what_is_no_context(given: object) -> None:
    with pytest.raises(ConfigurationError, match="sse_kms_encryption_context"):
        S3Store("bucket", config={"server_side_encryption": "aws:kms", "sse_kms_encryption_context": given})
