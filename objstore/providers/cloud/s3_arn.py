"""ARNs that stand in the place of a bucket's name: access points, of Outposts and of Object Lambda too.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-access-points.html
"""

from __future__ import annotations

import re
from typing import NamedTuple

from objstore.exceptions import ConfigurationError, NotSupportedError
from objstore.settings.partitions import partition_of

_LABEL = "(?!-)[A-Za-z0-9-]+(?<!-)"
_ACCOUNT = "[0-9]{12}"
_FORM = re.compile("arn:([^:]+):([^:]+):([^:]*):([^:]*):(.+)", re.DOTALL)
_POINT = re.compile(rf"accesspoint[:/](?P<name>{_LABEL})")
_RESOURCES = {
    "s3": _POINT,
    "s3-object-lambda": _POINT,
    "s3-outposts": re.compile(rf"outpost[:/](?P<outpost>{_LABEL})[:/]accesspoint[:/](?P<name>{_LABEL})"),
}
"""What an ARN of each service may name."""

_FORMS = (
    "Write arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME, arn:aws:s3-object-lambda:REGION:ACCOUNT:accesspoint/NAME or "
    "arn:aws:s3-outposts:REGION:ACCOUNT:outpost/ID/accesspoint/NAME; for a bucket give its name alone."
)


class AccessPoint(NamedTuple):
    """What the ARN of an access point says.

    Args:
        service: The service that has it, as signatures name it.
        region: Where it is.
        label: What its host name begins with.
    """

    service: str
    region: str
    label: str


def is_arn(bucket: str) -> bool:
    """Tell whether what was given as the bucket is meant as an ARN.

    Args:
        bucket: What was given.
    """
    return bucket.startswith("arn:")


def parse_arn(arn: str, *, multi_region_disabled: bool) -> AccessPoint:
    """Read the ARN of an access point.

    Args:
        arn: The text.
        multi_region_disabled: Whether a setting rules out access points that are in several regions.

    Raises:
        ConfigurationError: It is none, or not that of an access point.
        NotSupportedError: It is that of a multi-Region access point.
    """
    form = _FORM.fullmatch(arn)
    if form is None:
        raise _refusal(arn, "is not an ARN")
    partition, service, region, account, resource = form.groups()
    if service == "s3" and not region and resource.startswith("accesspoint"):
        raise _multi_region(arn, multi_region_disabled)
    if service not in _RESOURCES:
        raise _refusal(arn, f"is of the service {service!r}")
    found = _RESOURCES[service].fullmatch(resource)
    if found is None:
        raise _refusal(arn, f"names no access point by {resource!r}")
    if not re.fullmatch(_LABEL, region) or not re.fullmatch(_ACCOUNT, account):
        raise _refusal(arn, f"has no region or account by {region!r} and {account!r}")
    if partition_of(region).name != partition:
        raise _refusal(arn, f"says {partition}, and its region is in {partition_of(region).name}")
    name, outpost = found["name"], found.groupdict().get("outpost")
    label = f"{name}-{account}" + (f".{outpost}" if outpost else "")
    if max(map(len, label.split("."))) > 63:
        raise _refusal(arn, "is too long for a host name")
    return AccessPoint(service, region, label)


def _multi_region(arn: str, disabled: bool) -> ConfigurationError | NotSupportedError:
    what = f"The bucket {arn!r} is a multi-Region access point"
    if disabled:
        hint = "Give the bucket or an access point of one region, or take the setting away."
        return ConfigurationError(f"{what}, which s3_disable_multiregion_access_points rules out", hint=hint)
    hint = "Give the bucket, or an access point of one region: the others take SigV4a signatures alone."
    return NotSupportedError(f"{what}, which S3Store does not support yet", hint=hint)


def _refusal(arn: str, fault: str) -> ConfigurationError:
    return ConfigurationError(f"The bucket {arn!r} {fault}", hint=_FORMS)
