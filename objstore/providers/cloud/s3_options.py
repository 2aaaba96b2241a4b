"""The settings of an S3 store, one row each: a table, no logic.

The names are those of obstore. Each may carry the prefix ``aws_``; with it, and in capitals, each is an environment
variable. Sources: the S3 API reference, and the settings reference of the AWS SDKs.
"""

from __future__ import annotations

from objstore.settings.options import Option
from objstore.settings.value_types import (
    BASE64_OF_32_BYTES,
    BOOL,
    BOOL_OR_REQUESTER,
    TEXT,
    URL,
    ValueType,
    choice,
    matching,
)

_COPY_IF_NOT_EXISTS = matching(
    "multipart, header:NAME:VALUE or header-with-status:NAME:VALUE:STATUS",
    r"multipart|header:[^:]+:.+|header-with-status:[^:]+:.+:\s*[1-5]\d\d\s*",
)

_KEY = "Give a key, or credential_provider=objstore.auth.boto3.Boto3CredentialProvider(): boto3 knows this setting."


def _of_credential(name: str, doc: str, kind: ValueType = TEXT, default: str | bool | None = None) -> Option:
    """Return a setting that says where a credential comes from, which only boto3 can follow yet."""
    return Option(name, doc, kind, default, unsupported=_KEY, for_credential=True)


S3_OPTIONS = (
    Option("access_key_id", "The access key."),
    Option("secret_access_key", "The secret of the access key.", secret=True),
    Option(
        "session_token",
        "The token of temporary credentials.",
        aliases=("token",),
        secret=True,
        yields_to=("access_key_id",),
    ),
    Option(
        "region", "The region of the bucket; default_region, or else the one that Amazon says it is in, if not given."
    ),
    Option("default_region", "The region when region is not given."),
    Option("bucket", "The name of the bucket.", aliases=("bucket_name",)),
    Option("endpoint", "The URL of the service, if it is not AWS.", URL, aliases=("endpoint_url",)),
    Option("endpoint_url_s3", "The URL of the S3 service; wins over endpoint.", URL, yields_to=("endpoint",)),
    _of_credential("endpoint_url_sts", "The URL of the token service; that of the region if not given.", URL),
    Option(
        "ignore_configured_endpoint_urls",
        "Leave out endpoints that the environment names, not the caller.",
        BOOL,
        False,
    ),
    Option(
        "virtual_hosted_style_request",
        "Put the bucket in the host name, not in the path, where its name can be part of one.",
        BOOL,
    ),
    Option("use_fips_endpoint", "Use Amazon's hosts with validated cryptography (FIPS 140).", BOOL, False),
    Option("use_dualstack_endpoint", "Use Amazon's hosts that have IPv6 addresses too.", BOOL, False),
    Option("use_accelerate_endpoint", "Use Amazon's Transfer Acceleration.", BOOL, False),
    Option("s3_use_arn_region", "Take the region of an access point's ARN where region is another.", BOOL, True),
    Option("s3_disable_multiregion_access_points", "Rule out access points that are in several regions.", BOOL, False),
    Option("unsigned_payload", "Sign writes without the hash of the body; set it to false to hash every byte.", BOOL),
    Option(
        "s3_express",
        "The bucket is a directory bucket (S3 Express One Zone).",
        BOOL,
        False,
        unsupported="Use a bucket of another kind: directory buckets need sessions of their own.",
    ),
    _of_credential(
        "imdsv1_fallback", "Ask the instance metadata service without a token if it refuses one.", BOOL, False
    ),
    Option("skip_signature", "Send requests unsigned, for public buckets.", BOOL, False),
    Option("disable_tagging", "Leave out the tags of objects, for services that refuse them.", BOOL, False),
    Option("disable_bulk_delete", "Delete objects one by one, for services without DeleteObjects.", BOOL, False),
    _of_credential("metadata_endpoint", "The URL of the instance metadata service.", URL, "http://169.254.169.254"),
    Option(
        "checksum_algorithm",
        "The checksum sent with what is written, for the service to compare.",
        choice("crc32", "crc32c", "crc64nvme", "sha1", "sha256"),
    ),
    Option(
        "response_checksum_validation",
        "Ask for the checksum of what is read, to compare it: when_supported or when_required; without, only on "
        "Amazon's own hosts. What comes unasked is always compared.",
        choice("when_supported", "when_required"),
    ),
    _of_credential(
        "container_credentials_relative_uri", "Where a container's credentials are, below http://169.254.170.2."
    ),
    _of_credential("container_credentials_full_uri", "Where a container's credentials are.", URL),
    _of_credential("container_authorization_token_file", "File with the token for container_credentials_full_uri."),
    _of_credential("web_identity_token_file", "File with the web identity token for role_arn."),
    _of_credential("role_arn", "The role to assume with the web identity token."),
    _of_credential("role_session_name", "The name of that role session.", default="WebIdentitySession"),
    Option(
        "copy_if_not_exists",
        "How a copy is kept from replacing an object; without, only Amazon's own hosts can.",
        _COPY_IF_NOT_EXISTS,
    ),
    Option("conditional_put", "How a write is made conditional.", choice("etag", "disabled"), "etag"),
    Option("request_payer", "Agree to pay for requests to a requester-pays bucket.", BOOL_OR_REQUESTER, False),
    Option(
        "server_side_encryption",
        "How objects are encrypted at rest.",
        choice("AES256", "aws:kms", "aws:kms:dsse", "sse-c"),
    ),
    Option("sse_kms_key_id", "The KMS key to encrypt with."),
    Option("sse_bucket_key_enabled", "Use the bucket's own KMS data key.", BOOL),
    Option("sse_customer_key_base64", "The caller's own encryption key.", BASE64_OF_32_BYTES, secret=True),
)
"""The settings of S3 stores, in the order in which the documentation shows them."""
