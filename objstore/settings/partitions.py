"""Amazon's partitions: sets of regions that share accounts, and the domain in which their services are.

The table is that of the SDKs (``partitions.json``). S3 has its dual-stack hosts in the same domain as the others, so
the SDKs' second suffix, for dual-stack, is not here.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Partition(NamedTuple):
    """Describe a partition.

    Args:
        name: How ARNs call it.
        suffix: The domain of its services.
        regions: What its regions are called.
    """

    name: str
    suffix: str
    regions: re.Pattern[str]


def _partition(name: str, suffix: str, beginning: str) -> Partition:
    return Partition(name, suffix, re.compile(rf"{beginning}-\w+-\d+|{name}-global", re.ASCII))


AWS = _partition("aws", "amazonaws.com", "(us|eu|ap|sa|ca|me|af|il|mx)")

PARTITIONS = (
    AWS,
    _partition("aws-cn", "amazonaws.com.cn", "cn"),
    _partition("aws-us-gov", "amazonaws.com", "us-gov"),
    _partition("aws-iso", "c2s.ic.gov", "us-iso"),
    _partition("aws-iso-b", "sc2s.sgov.gov", "us-isob"),
    _partition("aws-iso-e", "cloud.adc-e.uk", "eu-isoe"),
    _partition("aws-iso-f", "csp.hci.ic.gov", "us-isof"),
    _partition("aws-eusc", "amazonaws.eu", "eusc-(de)"),
)

SUFFIXES = frozenset(partition.suffix for partition in PARTITIONS)


def partition_of(region: str) -> Partition:
    """Return the partition that a region is in: the first, as in the SDKs, for one that none knows.

    Args:
        region: For instance ``cn-north-1``.
    """
    return next((each for each in PARTITIONS if each.regions.fullmatch(region)), AWS)
