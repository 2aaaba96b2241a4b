"""The hosts of Azure storage and of Fabric, the settings that lead to each, and where their tokens are issued.

https://learn.microsoft.com/azure/storage/common/storage-account-overview,
https://learn.microsoft.com/fabric/onelake/onelake-access-api,
https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
"""

from __future__ import annotations

import re

ACCOUNT_NAME = r"([A-Za-z0-9_-]+(\.z\w\w)?)?"
"""What the name of an account or a workspace may be, which becomes a part of a host: emulators take more than Azure."""

AUTHORITY = "https://login.microsoftonline.com"
"""Where the tokens of the public cloud are issued."""

_AUTHORITIES = {
    "core.chinacloudapi.cn": "https://login.chinacloudapi.cn",
    "core.usgovcloudapi.net": "https://login.microsoftonline.us",
}
_CLOUD = rf"(?P<cloud>core\.windows\.net|{'|'.join(map(re.escape, _AUTHORITIES))})"
_FABRIC = r"fabric\.microsoft\.com"

_ACCOUNT = re.compile(rf"(?P<account>[a-z0-9]+)(?P<secondary>-secondary)?\.(?:blob|dfs)\.{_CLOUD}")
_ZONED = re.compile(r"(?P<account>[a-z0-9]+)(?P<secondary>-secondary)?\.z\d\d\.(?:blob|dfs)\.storage\.azure\.net")
_WORKSPACE = re.compile(rf"(?P<account>[^.]+(?P<zone>\.z\w\w)?)\.(?:blob|dfs)\.{_FABRIC}")
_ONELAKE = re.compile(rf"(?:(?P<zoned>[^.]+\.z\w\w)|(?:[^.]+-)?api)\.onelake\.{_FABRIC}")
_REGIONAL = re.compile(rf"[^.]+-onelake\.(?:blob|dfs)\.{_FABRIC}")
MICROSOFT = re.compile(rf".+\.(?:(?:blob|dfs)\.(?:{_CLOUD}|storage\.azure\.net)|(?:blob|dfs|onelake)\.{_FABRIC})")
"""The hosts of accounts and workspaces, and others like them that are no such thing."""

_PORT = r"(?::\d+)?$"
_DFS, _BLOB = (
    re.compile(rf"^(https?://[^/]+)\.{kind}\.(?=(?:{_CLOUD}|{_FABRIC}|storage\.azure\.net){_PORT})")
    for kind in ("dfs", "blob")
)


def read_host(host: str) -> dict[str, str] | None:
    """Return the settings that a host stands for; None for one that is no account and no workspace.

    Args:
        host: Its name, in small letters.
    """
    if found := _ACCOUNT.fullmatch(host) or _ZONED.fullmatch(host):
        usual = found.re is _ACCOUNT and found["cloud"] == "core.windows.net" and not found["secondary"]
        return {"account_name": found["account"], "endpoint": "" if usual else blob_origin(f"https://{host}")}
    if found := _ONELAKE.fullmatch(host):
        return _workspace(found["zoned"] or "onelake", host)
    if _REGIONAL.fullmatch(host):
        return _workspace("onelake", host)
    if found := _WORKSPACE.fullmatch(host):
        return _workspace(found["account"], host if found["zone"] else "")
    return None


def _workspace(account: str, host: str) -> dict[str, str]:
    return {"account_name": account, "use_fabric_endpoint": "true", "endpoint": host and f"https://{host}"}


def blob_origin(origin: str) -> str:
    """Return the interface for blobs that is beside one for files; another origin as it is."""
    return _DFS.sub(r"\1.blob.", origin)


def files_origin(origin: str) -> str:
    """Return the interface for files that is beside one for blobs; another origin as it is."""
    return _BLOB.sub(r"\1.dfs.", origin)


def is_account(host: str) -> bool:
    """Tell whether a host is that of an account: they begin a listing where they are told to, OneLake has not."""
    return _ACCOUNT.fullmatch(host) is not None or _ZONED.fullmatch(host) is not None


def authority_of(host: str) -> str:
    """Return where the tokens of the cloud that a host is in are issued; their audience is the same in all clouds."""
    return next((url for cloud, url in _AUTHORITIES.items() if host.endswith(f".{cloud}")), AUTHORITY)
