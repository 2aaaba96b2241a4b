"""What the run ran on: the machine and the versions, for the result file."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.peers import PEERS
from bench.site import Site


def machine() -> dict[str, str | int | list[float]]:
    """Return CPU, memory, kernel, and the load before the run began."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def versions(site: Site) -> dict[str, str]:
    """Return the versions of Python, nginx and every peer that is installed."""
    found = {"python": sys.version.split()[0], "nginx": site.nginx.version().rpartition("/")[2]}
    for peer in PEERS:
        if peer.distribution is not None:
            found[peer.name] = _version(peer.distribution)
    return found


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _field(path: str, name: str) -> str:
    for text in Path(path).read_text().splitlines():
        key, _, value = text.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
