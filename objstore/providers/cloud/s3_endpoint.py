"""Where a bucket is spoken to, and for which region and service its requests are signed: text in, text out.

The rules are those of Amazon's SDKs (``endpoint-rule-set-1.json``, https://docs.aws.amazon.com/general/latest/gr/s3.html)
but for the style: a bucket stands in the path unless its host is asked for, or is the only way.

Its one invariant: what cannot be reached as it was asked for is refused, never reached in another way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from objstore._core import encode_path
from objstore.exceptions import ConfigurationError
from objstore.providers.cloud.region import FIRST
from objstore.providers.cloud.s3_arn import AccessPoint, is_arn, parse_arn
from objstore.providers.cloud.s3_directory import DIRECTORY, check_region, ends_like_one, zone_of
from objstore.settings.partitions import partition_of
from objstore.settings.s3_hosts import is_amazon, read_host

if TYPE_CHECKING:
    from collections.abc import Mapping

GLOBAL = "aws-global"
"""No region but the host without one: it speaks for `FIRST`."""

_STYLE = "leave that out, or give True where the profile has addressing_style."

_LABEL = re.compile("(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_OLD_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{2,254}")
_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_HOST_NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_OF_OLD_NAMES = (None, FIRST, GLOBAL)
_ANY_REGION = re.compile("[A-Za-z0-9._-]+")
_OUTPOST_ALIAS = re.compile(r".{11,}--op-s3")


@dataclass(frozen=True, slots=True)
class Wishes:
    """Say how a bucket is to be reached.

    Args:
        virtual: Whether the bucket stands in the host name; None where either will do.
        fips: By hosts whose cryptography is validated (FIPS 140).
        dual_stack: By hosts that have IPv6 addresses too.
        accelerate: By the nearest edge of Amazon's network (Transfer Acceleration).
        use_arn_region: Whether the region of an ARN counts where it differs from that of the store.
        no_multi_region: Whether multi-Region access points are ruled out.
        directory: Whether it is a directory bucket (S3 Express One Zone); None: as its name says, at Amazon's hosts.
        sessions: Whether requests to a directory bucket are signed by the key of a session.
        virtual_for_all: Whether `virtual` was said of all buckets there are, and so nothing of this one and its host.
        sources: Where the settings come from that the caller has not given, for errors.
    """

    virtual: bool | None = None
    fips: bool = False
    dual_stack: bool = False
    accelerate: bool = False
    use_arn_region: bool = True
    no_multi_region: bool = False
    directory: bool | None = None
    sessions: bool = True
    virtual_for_all: bool = False
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    def named(self, setting: str, words: str | None = None) -> str:
        """Return what a setting is called, and where it comes from, where the caller has not given it."""
        source = self.sources.get(setting)
        return f"{words or setting} (of {source})" if source else words or setting


class Address(NamedTuple):
    """Where requests go, and what they are signed for.

    Args:
        origin: Scheme, host and port.
        base: The path of the bucket there, percent-encoded; empty where the host names it.
        region: The region in signatures.
        service: The service in signatures.
        session: Whether requests are signed by the key of a session.
    """

    origin: str
    base: str
    region: str
    service: str = "s3"
    session: bool = False


def locate(bucket: str, region: str | None, endpoint: tuple[str, str] | None, wishes: Wishes) -> Address:
    """Return the address of a bucket.

    Args:
        bucket: Its name, or the ARN of an access point.
        region: Where it is; None if nobody said.
        endpoint: The origin of a service, and the path below it, in the place of Amazon's own.
        wishes: How it is to be reached.

    Raises:
        ConfigurationError: These do not go together, or one of them is malformed.
        NotSupportedError: It is a multi-Region access point.
    """
    _check_region(region, endpoint)
    _check_wishes(wishes, region or FIRST, endpoint)
    if is_arn(bucket):
        if wishes.directory:
            raise _clash(
                f"The bucket {bucket!r}", "s3_express=True", "Give the access point's name: NAME--ZONE--xa-s3."
            )
        return _access_point(bucket, region, endpoint, wishes)
    _check_bucket(bucket, region, endpoint, wishes)
    if _is_directory(bucket, endpoint, wishes):
        return _directory(bucket, region, endpoint, wishes)
    known = region or FIRST
    signed = FIRST if known == GLOBAL else known
    if endpoint is not None:
        return Address(*_placed(bucket, *endpoint, wishes), signed)
    if _OUTPOST_ALIAS.fullmatch(bucket):
        return Address(_outpost_alias(bucket, signed, wishes), "", signed, "s3-outposts")
    return Address(*_placed(bucket, f"https://{_host(known, wishes)}", "", wishes), signed)


def home(bucket: str, region: str, endpoint: tuple[str, str] | None, wishes: Wishes) -> Address:
    """Return the address of the service itself, without a bucket.

    Args:
        bucket: The bucket, which the host of an endpoint may name.
        region: Where the service is asked.
        endpoint: As for `locate`.
        wishes: As for `locate`; no edge of the network knows the buckets of an account.
    """
    signed = FIRST if region == GLOBAL else region
    if endpoint is None:
        return Address(f"https://{_host(region, replace(wishes, accelerate=False))}", "", signed)
    scheme, _, host = endpoint[0].partition("://")
    if _begins_with(bucket, host) and (wishes.virtual or is_amazon(_name(host))):
        host = host.removeprefix(f"{bucket}.")
    return Address(f"{scheme}://{host}", endpoint[1], signed)


def _host(region: str, wishes: Wishes) -> str:
    """Return Amazon's host for a region."""
    suffix = partition_of(region).suffix
    if wishes.accelerate:
        return f"s3-accelerate{_stack(wishes)}.{suffix}"
    if region == GLOBAL and not (wishes.fips or wishes.dual_stack):
        return f"s3.{suffix}"
    return f"s3{_fips(wishes)}{_stack(wishes)}.{FIRST if region == GLOBAL else region}.{suffix}"


def _fips(wishes: Wishes) -> str:
    return "-fips" if wishes.fips else ""


def _stack(wishes: Wishes) -> str:
    return ".dualstack" if wishes.dual_stack else ""


def _placed(bucket: str, origin: str, above: str, wishes: Wishes) -> tuple[str, str]:
    """Put the bucket into the host where that is asked for and can be, else into the path."""
    scheme, _, host = origin.partition("://")
    virtual = _can_be_host(bucket, scheme) and not _is_address(host)
    if wishes.accelerate and not virtual:
        raise ConfigurationError(
            f"The bucket {bucket!r} cannot be reached by Transfer Acceleration: its name cannot be part of a host",
            hint="Leave use_accelerate_endpoint out.",
        )
    undecided = wishes.virtual is None or (wishes.virtual and wishes.virtual_for_all)
    if undecided and virtual and _begins_with(bucket, host):
        if is_amazon(_name(host)):
            return origin, above
        raise _clash(
            f"The bucket {bucket!r} {'in front' if wishes.virtual else 'in the path'}",
            f"{wishes.named('endpoint', f'the endpoint {origin!r}')}, whose host begins with it",
            "Say by virtual_hosted_style_request whether that host is the bucket's (True) or the service's (False).",
        )
    if not virtual or not (wishes.virtual or wishes.accelerate):
        return origin, f"{above}/{encode_path(bucket).decode()}"
    if _begins_with(bucket, host):  # an endpoint that names the bucket already
        return origin, above
    return f"{scheme}://{bucket}.{host}", above


def _begins_with(bucket: str, host: str) -> bool:
    """Tell whether a host is that of a bucket; those of PrivateLink begin with ``bucket``, whatever it is called."""
    return host.startswith(f"{bucket}.") and not host.startswith(f"{bucket}.vpce-")


def check_dots(bucket: str, origin: str) -> None:
    """Raise if a bucket that is asked for as part of a host has dots, which certificates do not cover.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
    """
    if "." in bucket and origin.startswith("https:") and _can_be_host(bucket, "http"):
        raise _clash(
            f"The bucket {bucket!r}, whose name has dots,",
            "virtual_hosted_style_request over TLS",
            "Leave that setting out, or give False where the profile has addressing_style: it is then in the path.",
        )


def _can_be_host(bucket: str, scheme: str) -> bool:
    """Tell whether a bucket can be part of a host: with dots, over plain http alone (certificates cover one label)."""
    labels = bucket.split(".")
    fits = _HOST_NAME.fullmatch(bucket) is not None and all(map(_LABEL.fullmatch, labels))
    return fits and (len(labels) == 1 or scheme == "http")


def _is_address(host: str) -> bool:
    """Tell whether a host, perhaps with a port, is an IP address."""
    try:
        ip_address(host[1 : host.index("]")] if host.startswith("[") else host.partition(":")[0])
    except ValueError:
        return False
    return True


def _is_amazons(endpoint: tuple[str, str] | None) -> bool:
    """Tell whether the service is Amazon's own."""
    return endpoint is None or is_amazon(_name(endpoint[0]))


def _name(origin: str) -> str:
    """Return the name of the host of an origin, or of a host that may have a port."""
    return origin.rpartition("://")[2].partition(":")[0].lower()


# --- directory buckets


def control(bucket: str, region: str, endpoint: tuple[str, str] | None, wishes: Wishes) -> Address:
    """Return the address of the service that makes, lists and deletes directory buckets.

    Args:
        bucket: One of them, which the host of an endpoint may name.
        region: Where they are.
        endpoint: As for `locate`.
        wishes: As for `locate`.
    """
    if endpoint is not None:
        return home(bucket, region, endpoint, replace(wishes, virtual=True))._replace(service=DIRECTORY)
    host = f"s3express-control{_fips(wishes)}{_stack(wishes)}.{region}.{partition_of(region).suffix}"
    return Address(f"https://{host}", "", region, DIRECTORY)


def _is_directory(bucket: str, endpoint: tuple[str, str] | None, wishes: Wishes) -> bool:
    """Tell whether a bucket is a directory bucket: as was said, or as its name says on Amazon's own hosts."""
    named = _is_amazons(endpoint) and ends_like_one(bucket)
    if wishes.directory is False and named:
        raise _clash(f"The bucket {bucket!r}, a directory bucket by its name,", "s3_express=False", "Leave it out.")
    return named if wishes.directory is None else wishes.directory


def _directory(bucket: str, region: str | None, endpoint: tuple[str, str] | None, wishes: Wishes) -> Address:
    """Return the address of a directory bucket: a host of its own, in its zone."""
    zone, place = zone_of(bucket), check_region(bucket, None if region == GLOBAL else region)
    what = f"The bucket {bucket!r}, a directory bucket,"
    if wishes.accelerate:
        accelerate = wishes.named("use_accelerate_endpoint")
        raise _clash(what, accelerate, "Leave it out: directory buckets have no acceleration.")
    by_address = endpoint is not None and _is_address(endpoint[0].partition("://")[2])
    if wishes.virtual is False and not by_address:
        raise _clash(what, _path_style(wishes), f"A directory bucket is a host: {_STYLE}")
    host = f"s3express{_fips(wishes)}-{zone}{_stack(wishes)}.{place}.{partition_of(place).suffix}"
    origin, above = endpoint or (f"https://{host}", "")
    placed = _placed(bucket, origin, above, replace(wishes, virtual=True))
    return Address(*placed, place, DIRECTORY, wishes.sessions)


# --- access points


def _access_point(arn: str, region: str | None, endpoint: tuple[str, str] | None, wishes: Wishes) -> Address:
    point = parse_arn(arn, multi_region_disabled=wishes.no_multi_region)
    _check_point(arn, point, region, wishes)
    if endpoint is None:
        suffix = partition_of(point.region).suffix
        service = "s3-accesspoint" if point.service == "s3" else point.service
        host = f"{service}{_fips(wishes)}{_stack(wishes)}.{point.region}.{suffix}"
        return Address(f"https://{point.label}.{host}", "", point.region, point.service)
    origin, above = endpoint
    scheme, _, host = origin.partition("://")
    if _is_address(host):
        raise _clash(f"The bucket {arn!r}", f"the endpoint {origin!r}, an IP address", "Give an endpoint with a name.")
    return Address(f"{scheme}://{point.label}.{host}", above, point.region, point.service)


def _check_point(arn: str, point: AccessPoint, region: str | None, wishes: Wishes) -> None:
    """Raise if an access point cannot be reached as is wished."""
    what = f"The bucket {arn!r}"
    if wishes.virtual is False:
        raise _clash(what, _path_style(wishes), f"An access point is a host: {_STYLE}")
    if wishes.accelerate:
        accelerate = wishes.named("use_accelerate_endpoint")
        raise _clash(what, accelerate, "Leave it out: access points have no acceleration.")
    if wishes.dual_stack and point.service != "s3":
        dual_stack = wishes.named("use_dualstack_endpoint")
        raise _clash(what, dual_stack, f"Leave it out: {point.service} has no dual-stack hosts.")
    if wishes.fips and (point.service == "s3-outposts" or partition_of(point.region).name == "aws-cn"):
        raise _clash(what, wishes.named("use_fips_endpoint"), "Leave it out: there are no FIPS hosts for it.")
    if region is None or region == point.region:
        return
    here = wishes.named("region", f"the region {region!r}")
    if partition_of(region) is not partition_of(point.region):
        raise _clash(what, f"{here}, which is in another partition", f"Give region={point.region!r}.")
    if not wishes.use_arn_region:
        hint = f"Give region={point.region!r}, or s3_use_arn_region=True."
        raise _clash(what, f"{here}, as {wishes.named('s3_use_arn_region')} is false", hint)


def _outpost_alias(bucket: str, region: str, wishes: Wishes) -> str:
    """Return the origin of an access point of Outposts that is named by its alias.

    The 50th letter from the end says what kind of hardware it is on, the 17 behind it which.
    """
    if wishes.fips or wishes.dual_stack or wishes.accelerate:
        ways = ("use_fips_endpoint", "use_dualstack_endpoint", "use_accelerate_endpoint")
        named = ", ".join(map(wishes.named, ways))
        raise _clash(f"The bucket {bucket!r}, an alias of Outposts,", named, "Leave them out.")
    kind, outpost = bucket[-50:-49], bucket[-49:-32]
    place = {"e": "ec2", "o": f"op-{outpost}"}.get(kind)
    if place is None or bucket[-12:-8] == "beta" or not _can_be_host(bucket, "https") or wishes.virtual is False:
        raise ConfigurationError(
            f"The bucket {bucket!r} is not an alias of Outposts, but ends like one",
            hint="Give the alias as Amazon shows it, without virtual_hosted_style_request=False, or an endpoint.",
        )
    return f"https://{bucket}.{place}.s3-outposts.{region}.{partition_of(region).suffix}"


# --- what is refused


def _check_region(region: str | None, endpoint: tuple[str, str] | None) -> None:
    """Raise if a region cannot be part of a host, or for a service that is not Amazon's, of a signature."""
    if region is None:
        return
    fits = all(map(_LABEL.fullmatch, region.split("."))) if endpoint is None else _ANY_REGION.fullmatch(region)
    if not fits:
        raise ConfigurationError(f"region = {region!r} cannot be a region", hint="Write it like us-east-1.")


def _check_wishes(wishes: Wishes, region: str, endpoint: tuple[str, str] | None) -> None:
    """Raise if wishes do not go together."""
    wished = {
        "use_fips_endpoint": wishes.fips,
        "use_dualstack_endpoint": wishes.dual_stack,
        "use_accelerate_endpoint": wishes.accelerate,
    }
    for name in [name for name, on in wished.items() if on and endpoint is not None]:
        own = wishes.named("endpoint", "an endpoint of its own")
        raise _clash(wishes.named(name), own, f"Leave one of them out, or give {name}=False.")
    in_china, here = partition_of(region).name == "aws-cn", wishes.named("region", f"the region {region!r}")
    fips, accelerate = wishes.named("use_fips_endpoint"), wishes.named("use_accelerate_endpoint")
    if wishes.fips and in_china:
        raise _clash(fips, here, "Leave it out: China has no FIPS hosts.")
    if wishes.accelerate and in_china:
        raise _clash(accelerate, here, "Leave it out: China has no acceleration.")
    if wishes.accelerate and wishes.fips:
        raise _clash(accelerate, fips, "Leave one of them out, or give False.")
    if wishes.accelerate and wishes.virtual is False:
        raise _clash(accelerate, _path_style(wishes), f"It needs hosts: {_STYLE}")


def _path_style(wishes: Wishes) -> str:
    return wishes.named("virtual_hosted_style_request", "virtual_hosted_style_request=False")


def _check_bucket(bucket: str, region: str | None, endpoint: tuple[str, str] | None, wishes: Wishes) -> None:
    """Raise if there can be no bucket of this name: of Amazon's, by its rules; else, if it would break the URL.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    if "://" in bucket:
        raise ConfigurationError(
            f"The bucket {bucket!r} is a URL", hint="Give the name alone, or call S3Store.from_url."
        )
    if "/" in bucket or bucket in (".", ".."):
        raise ConfigurationError(
            f"The bucket {bucket!r} is a path", hint="Give the name alone, and what is behind it as prefix."
        )
    if _is_amazons(endpoint):
        _check_amazons(bucket, region)
        _check_host(bucket, endpoint, wishes)


def _check_amazons(bucket: str, region: str | None) -> None:
    """Raise if Amazon has no bucket of this name: of those in its first region the oldest have another rule.

    What only new buckets may not be called (``A_b``, ``xn--a``) may be an old one, or an access point (``a-s3alias``).
    """
    if _is_address(bucket):
        raise ConfigurationError(
            f"Amazon has no bucket that is called {bucket!r}: it is an IP address",
            hint="Give the bucket's name, and a server of another service as endpoint.",
        )
    old = region in _OF_OLD_NAMES
    if not (_OLD_NAME if old else _NAME).fullmatch(bucket):
        raise ConfigurationError(
            f"Amazon has no bucket that is called {bucket!r}" + ("" if old else f" in {region}"),
            hint="Names have 3 to 63 letters of a-z, 0-9, dashes and single dots (old ones also A-Z and _), and begin "
            f"and end with a letter or digit; only in {FIRST} are there old ones that end otherwise, have dots side by "
            "side, or 255 letters. For a service other than Amazon's give endpoint.",
        )


def _check_host(bucket: str, endpoint: tuple[str, str] | None, wishes: Wishes) -> None:
    """Raise if an endpoint of Amazon's has a path, or is the host of another bucket, or of one that is in the path."""
    told = None if endpoint is None else read_host(_name(endpoint[0]))
    if endpoint is None or told is None:
        return
    if endpoint[1]:
        hint = "Leave it out, or give it as prefix, if it is one of keys."
        raise _clash(f"The path {endpoint[1]!r} of the endpoint", "a host of Amazon's", hint)
    named = told["bucket"]
    if named and named != bucket:
        raise _clash(f"The bucket {bucket!r}", f"an endpoint that is the host of {named!r}", "Give one of them.")
    if named and wishes.virtual is False:
        raise _clash(_path_style(wishes), f"an endpoint that is the host of {named!r}", _STYLE.capitalize())


def _clash(one: str, other: str, hint: str) -> ConfigurationError:
    return ConfigurationError(f"{one} does not go with {other}", hint=hint)
