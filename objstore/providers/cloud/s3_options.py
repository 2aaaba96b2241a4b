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
    TEXTS,
    URL,
    choice,
    matching,
)

_COPY_IF_NOT_EXISTS = matching(
    "multipart, header:NAME:VALUE or header-with-status:NAME:VALUE:STATUS",
    r"multipart|header:[^:]+:.+|header-with-status:[^:]+:.+:\s*[1-5]\d\d\s*",
)

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
    Option("endpoint_url_sts", "The URL of the token service; that of the region if not given.", URL),
    Option(
        "virtual_hosted_style_request",
        "Put the bucket in the host name, not in the path, where its name can be part of one; the host of an endpoint "
        "that begins with it is taken for the bucket's.",
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
        "The bucket is a directory bucket (S3 Express One Zone); on Amazon's own hosts that is told by its name.",
        BOOL,
    ),
    Option(
        "s3_disable_express_session_auth",
        "Sign requests to a directory bucket by the key itself, not by that of a session.",
        BOOL,
        False,
    ),
    Option(
        "s3_express_session_mode",
        "What sessions of a directory bucket are good for: ReadWrite or ReadOnly; without, what we are allowed to.",
        choice("ReadWrite", "ReadOnly"),
    ),
    Option(
        "imdsv1_fallback",
        "Ask the instance metadata service without a token where it gives none; if not given, unless the environment "
        "or the profile says ec2_metadata_v1_disabled.",
        BOOL,
    ),
    Option(
        "ignore_configured_endpoint_urls", "Pass over the endpoints of the environment and of the profile.", BOOL, False
    ),
    Option("profile", "The profile, in the files of the AWS command line, that says who we are and where."),
    Option("skip_signature", "Send requests unsigned, for public buckets.", BOOL, False),
    Option("disable_tagging", "Leave out the tags of objects, for services that refuse them.", BOOL, False),
    Option("disable_bulk_delete", "Delete objects one by one, for services without DeleteObjects.", BOOL, False),
    Option("metadata_endpoint", "The URL of the instance metadata service.", URL),
    Option(
        "checksum_algorithm",
        "The checksum sent with what is written, for the service to compare; crc64nvme, if not given, where "
        "request_checksum_calculation has one sent.",
        choice("crc32", "crc32c", "crc64nvme", "sha1", "sha256"),
    ),
    Option(
        "request_checksum_calculation",
        "Send a checksum with what is written: when_supported or when_required; without, only to Amazon's own hosts.",
        choice("when_supported", "when_required"),
    ),
    Option(
        "response_checksum_validation",
        "Ask for the checksum of what is read, to compare it: when_supported (of what comes without one, by a request "
        "of its own, and where it is one of the checksums of parts, by another that asks how large these are; by more "
        "where they are not equal) or when_required; without, only on Amazon's own hosts, where that costs no request. "
        "What comes unasked is always compared, but for parts of unknown sizes.",
        choice("when_supported", "when_required"),
    ),
    Option("container_credentials_relative_uri", "Where a container's credentials are, below http://169.254.170.2."),
    Option("container_credentials_full_uri", "Where a container's credentials are.", URL),
    Option("container_authorization_token_file", "File with the token for container_credentials_full_uri."),
    Option("web_identity_token_file", "File with the web identity token for role_arn."),
    Option("role_arn", "The role to assume with the web identity token."),
    Option("role_session_name", "The name of that role session."),
    Option(
        "copy_if_not_exists",
        "How a copy is kept from replacing an object; without, only Amazon's own hosts can.",
        _COPY_IF_NOT_EXISTS,
    ),
    Option(
        "conditional_put",
        "How a write is made conditional; without, a service of which that is not known has to prove it by the first "
        "such write.",
        choice("etag", "disabled"),
    ),
    Option(
        "conditional_delete",
        "How a delete is made conditional; without, only Amazon's own hosts can: many services ignore the condition.",
        choice("etag", "disabled"),
    ),
    Option("request_payer", "Agree to pay for requests to a requester-pays bucket.", BOOL_OR_REQUESTER, False),
    Option(
        "server_side_encryption",
        "How objects are encrypted at rest.",
        choice("AES256", "aws:kms", "aws:kms:dsse", "sse-c"),
    ),
    Option("sse_kms_key_id", "The KMS key to encrypt with."),
    Option("sse_kms_encryption_context", "What KMS binds the encryption to, as pairs of texts.", TEXTS),
    Option("sse_bucket_key_enabled", "Use the bucket's own KMS data key.", BOOL),
    Option("sse_customer_key_base64", "The caller's own encryption key.", BASE64_OF_32_BYTES, secret=True),
)
"""The settings of S3 stores, in the order in which the documentation shows them."""
