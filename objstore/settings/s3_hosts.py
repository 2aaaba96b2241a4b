"""The hosts of Amazon S3, and the settings that lead to each.

https://docs.aws.amazon.com/general/latest/gr/s3.html,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-naming.html
"""

from __future__ import annotations

import re

from objstore.settings.partitions import AWS, SUFFIXES, partition_of

_SUFFIX = f"(?P<suffix>{'|'.join(map(re.escape, sorted(SUFFIXES)))})"
_REGION = r"(?P<region>[a-z]{2,4}(?:-[a-z]+)+-\d+)"
_SERVICE = re.compile(
    rf"(?:(?P<bucket>.+)\.)?s3(?P<fips>-fips)?(?P<accelerate>-accelerate)?(?P<dual>\.dualstack)?(?:[.-]{_REGION})?\.{_SUFFIX}"
)
_POINT = re.compile(
    r"(?P<name>[a-z0-9-]+)-(?P<account>\d{12})(?:\.(?P<outpost>op-[a-z0-9]+))?"
    rf"\.(?P<service>s3-accesspoint|s3-object-lambda|s3-outposts)(?P<fips>-fips)?(?P<dual>\.dualstack)?\.{_REGION}\.{_SUFFIX}"
)
_ZONAL = re.compile(
    rf"(?P<bucket>.+)\.s3express(?P<fips>-fips)?-(?P<zone>[a-z0-9-]+)(?P<dual>\.dualstack)?\.{_REGION}\.{_SUFFIX}"
)
_ANY = re.compile(rf"(?:.+\.)?s3[a-z0-9-]*(?:\.dualstack)?(?:\.{_REGION}(?:\.vpce)?)?\.{_SUFFIX}")
AMAZON = re.compile(rf".+\.{_SUFFIX}")


def read_host(host: str) -> dict[str, str] | None:
    """Return the settings that a host of S3 stands for; None for a host that is none, of a website for instance.

    Args:
        host: Its name, in small letters.
    """
    found = _POINT.fullmatch(host) or _ZONAL.fullmatch(host) or _SERVICE.fullmatch(host)
    if found is None or not _is_there(found):
        return None
    ways = {"use_fips_endpoint": found["fips"], "use_dualstack_endpoint": found["dual"]}
    settings = _READ[found.re](found)
    return settings | {name: "true" for name, on in ways.items() if on}


def is_amazon(host: str) -> bool:
    """Tell whether a host is one of Amazon's own S3: machines and load balancers in its domain may be anybody's.

    Args:
        host: Its name, without a port.
    """
    return _ANY.fullmatch(host.lower()) is not None


def region_of(host: str) -> str | None:
    """Return the region that one of Amazon's hosts names; None where it names none, or is another's.

    Args:
        host: Its name, without a port.
    """
    found = _SERVICE.fullmatch(host.lower()) or _ANY.fullmatch(host.lower())
    return found["region"] if found is not None and _is_there(found) else None


def _is_there(found: re.Match[str]) -> bool:
    """Tell whether a host is in the domain of its region."""
    partition = partition_of(found["region"]) if found["region"] else AWS
    return partition.suffix == found["suffix"]


def _service(found: re.Match[str]) -> dict[str, str]:
    bucket = found["bucket"] or ""
    # A certificate covers one label: a bucket with a dot in it can only be reached in the path.
    virtual = bool(bucket) and "." not in bucket
    return {
        "bucket": bucket,
        "region": found["region"] or "",
        "virtual_hosted_style_request": "true" if virtual else "",
        "use_accelerate_endpoint": "true" if found["accelerate"] else "",
    }


def _point(found: re.Match[str]) -> dict[str, str]:
    service = "s3" if found["service"] == "s3-accesspoint" else found["service"]
    outpost = f"outpost/{found['outpost']}/" if found["outpost"] else ""
    place = f"arn:{partition_of(found['region']).name}:{service}:{found['region']}:{found['account']}"
    return {"bucket": f"{place}:{outpost}accesspoint/{found['name']}"}


def _zonal(found: re.Match[str]) -> dict[str, str]:
    return {"bucket": found["bucket"], "region": found["region"]}


_READ = {_POINT: _point, _ZONAL: _zonal, _SERVICE: _service}
