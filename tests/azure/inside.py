"""Ask both libraries in all environments, in a network and with folders of our own: `unshare -n -m python -m ...`.

Writes a line of JSON for each environment: its name, and what each library found.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.azure.cloud import HOSTS, Cloud, serving, thumbprint
from tests.azure.environments import ENVIRONMENTS, Place
from tests.tls_proxy import write_certificate

IMDS = ("169.254.169.254", 80)
LIBRARIES = ("azure-identity", "objstore")


def furnish(folder: Path) -> None:
    """Give this network the addresses, names and folders of real life."""
    run = subprocess.check_call
    run(["ip", "link", "set", "lo", "up"])
    run(["ip", "addr", "add", f"{IMDS[0]}/32", "dev", "lo"])
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {host}\n" for host in HOSTS))
    run(["mount", "--bind", str(hosts), "/etc/hosts"])
    run(["mount", "-t", "tmpfs", "tmpfs", "/var/opt"])
    Path("/var/opt/azcmagent/tokens").mkdir(parents=True)


@contextmanager
def metadata(cloud: Cloud, kind: str) -> Iterator[None]:
    """Have a metadata service, none (the port is closed), or a hole that swallows what is sent to it."""
    with ExitStack() as stack:
        if kind == "hole":
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(IMDS)
            listener.listen(0)
            for _ in range(4):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(IMDS)
        elif kind != "closed":
            cloud.machine = kind
            stack.enter_context(serving(cloud, IMDS))
        yield


def asked(library: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.azure.asked", library]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(process: subprocess.Popen[str], variables: dict[str, str]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    print(json.dumps(variables), file=process.stdin, flush=True)
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def ask_all(processes: dict[str, subprocess.Popen[str]], place: Place, variables: dict[str, str]) -> dict[str, Any]:
    """Return what each library finds in an environment."""
    found: dict[str, Any] = {}
    for library, process in processes.items():
        place.cloud.tried = 0
        with metadata(place.cloud, place.machine):
            found[library] = ask(process, variables)
    return found


def are_alike(found: dict[str, Any]) -> bool:
    return len({each.get("token") for each in found.values()}) == 1


def main(folder: Path) -> None:
    """Go through all environments.

    Where the libraries differ they are asked again: each gives up a metadata service after a second or less, and a busy
    machine may take longer.
    """
    furnish(folder)
    cloud = Cloud()
    (folder / "fabric").mkdir()
    certificates = write_certificate([*HOSTS], folder)
    other = write_certificate(["fabric.example"], folder / "fabric")
    with (
        serving(cloud, ("127.0.0.1", 443), certificates),
        serving(cloud, ("127.0.0.1", 0)) as plain,
        serving(cloud, ("127.0.0.1", 0), other) as fabric,
        ExitStack() as stack,
    ):
        processes = {name: stack.enter_context(asked(name)) for name in LIBRARIES}
        for name, environment in ENVIRONMENTS.items():
            home = folder / name.replace(" ", "-")
            (home / "bin").mkdir(parents=True)
            place = Place(home, cloud, plain, fabric, thumbprint(other))
            made = environment(place)
            everywhere = {
                "HOME": str(home),
                "PATH": f"{home / 'bin'}:/usr/bin:/bin",
                "SSL_CERT_FILE": str(certificates),
                "REQUESTS_CA_BUNDLE": str(certificates),
                "TZ": "UTC",
            }
            for _ in range(5):
                found = ask_all(processes, place, {**everywhere, **made})
                if are_alike(found):
                    break
            print(json.dumps({"name": name, **found}), flush=True)
        for process in processes.values():
            assert process.stdin is not None
            process.stdin.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
