"""Directory buckets of Amazon's (S3 Express One Zone): what their names say, and what cannot be asked of them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-bucket-naming-rules.html,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-differences.html
"""

from __future__ import annotations

import re
from typing import Any

from objstore.exceptions import ConfigurationError

DIRECTORY = "s3express"
"""The service in signatures."""

_ENDING = re.compile(".+--xa?-s3")
_NAME = re.compile("[a-z0-9]([a-z0-9-]*[a-z0-9])?--(?P<zone>[a-z0-9]+(-[a-z0-9]+)*-[a-z]{2}[0-9]+)--xa?-s3")
_ENCRYPTIONS = (None, "AES256", "aws:kms")


def ends_like_one(bucket: str) -> bool:
    """Tell whether a bucket is called as directory buckets and their access points alone are."""
    return _ENDING.fullmatch(bucket) is not None


def is_point(bucket: str) -> bool:
    """Tell whether a directory bucket is meant by one of its access points."""
    return bucket.endswith("--xa-s3")


def zone_of(bucket: str) -> str:
    """Return the zone that a directory bucket is in, which its name tells.

    Raises:
        ConfigurationError: It tells none.
    """
    found = _NAME.fullmatch(bucket)
    if found is None or len(bucket) > 63:
        raise ConfigurationError(
            f"The bucket {bucket!r} is not called as directory buckets (S3 Express One Zone) are, with their zone",
            hint="Write NAME--ZONE--x-s3, such as logs--usw2-az1--x-s3, of 63 letters at the most.",
        )
    return found["zone"]


def is_local(zone: str) -> bool:
    """Tell whether a zone is a Local Zone (``usw2-lax1-az1``), not an Availability Zone (``usw2-az1``)."""
    return zone.count("-") > 1


def check_region(bucket: str, region: str | None) -> str:
    """Return the region of a directory bucket, which its host names.

    Raises:
        ConfigurationError: Nobody said which.
    """
    if region is None:
        raise ConfigurationError(
            f"The bucket {bucket!r} is a directory bucket, and nobody says in which region it is: no service tells",
            hint="Give region, such as region='us-west-2' for a zone that begins with usw2.",
        )
    return region


def check_settings(values: Any) -> None:
    """Raise if a setting asks a directory bucket for what it has not.

    Args:
        values: The settings.

    Raises:
        ConfigurationError: One does.
    """
    asked = {
        "sse_customer_key_base64": bool(values["sse_customer_key_base64"]),
        f"server_side_encryption = {values['server_side_encryption']!r}": values["server_side_encryption"]
        not in _ENCRYPTIONS,
        "request_payer": bool(values["request_payer"]),
        "skip_signature": bool(values["skip_signature"]),
        "s3_express_session_mode without sessions": bool(
            values["s3_express_session_mode"] and values["s3_disable_express_session_auth"]
        ),
    }
    for name in [name for name, wanted in asked.items() if wanted]:
        raise ConfigurationError(
            f"A directory bucket such as {values['bucket']!r} has no {name}",
            hint="Leave it out: they have AES256 and aws:kms, are private, and paid for by their owner.",
        )
