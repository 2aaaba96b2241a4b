"""Environments in which a client finds out who it is to Azure: files, variables, programs and services.

Each is a function that writes files into a place and returns variables.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.azure.cloud import (
    APP,
    ARC_KEY,
    HOSTS,
    IDENTITY_HEADER,
    LIFE,
    PASSWORD,
    SECRET,
    SUBJECT,
    TENANT,
    Cloud,
    pem,
    pfx,
)

ARC = Path("/var/opt/azcmagent/tokens")


@dataclass
class Place:
    """Where an environment is made.

    Args:
        folder: For its files.
        cloud: The services.
        plain: Their URL, in plain http.
        fabric: Their URL by a certificate that nobody vouches for.
        thumbprint: That certificate's.
        machine: What the metadata service does; ``closed`` for none, ``hole`` for silence.
    """

    folder: Path
    cloud: Cloud
    plain: str
    fabric: str
    thumbprint: str
    machine: str = "closed"

    def file(self, name: str, data: bytes | str) -> str:
        """Write a file."""
        file = self.folder / name
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        return str(file)

    def program(self, name: str, script: str) -> None:
        """Write a program."""
        file = self.folder / "bin" / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)


Environment = Callable[[Place], dict[str, str]]
OURS = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": APP}
WITH_SECRET = {**OURS, "AZURE_CLIENT_SECRET": SECRET}


def certificate(data: Callable[[], bytes], **more: str) -> Environment:
    def made(place: Place) -> dict[str, str]:
        return {**OURS, "AZURE_CLIENT_CERTIFICATE_PATH": place.file("certificate", data()), **more}

    return made


def workload(place: Place) -> dict[str, str]:
    return {**OURS, "AZURE_FEDERATED_TOKEN_FILE": place.file("token", SUBJECT)}


def machine(kind: str, **variables: str) -> Environment:
    def made(place: Place) -> dict[str, str]:
        place.machine = kind
        return variables

    return made


def arc(name: str | None = None, text: str = ARC_KEY, **variables: str) -> Environment:
    def made(place: Place) -> dict[str, str]:
        file = ARC / (name or "good.key")
        if name is None or "/" not in name:
            file.write_text(text)
        place.cloud.arc = str(file)
        return {"IDENTITY_ENDPOINT": f"{place.plain}/arc", "IMDS_ENDPOINT": place.plain, **variables}

    return made


def fabric(place: Place) -> dict[str, str]:
    service = {"IDENTITY_ENDPOINT": f"{place.fabric}/fabric", "IDENTITY_HEADER": IDENTITY_HEADER}
    return {**service, "IDENTITY_SERVER_THUMBPRINT": place.thumbprint}


def other_fabric(place: Place) -> dict[str, str]:
    return {**fabric(place), "IDENTITY_SERVER_THUMBPRINT": "0" * 40}


def printed(**fields: object) -> str:
    return f"cat <<'END'\n{json.dumps(fields)}\nEND"


def local(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S.000000", time.gmtime(time.time() + seconds))


def az(place: Place) -> dict[str, str]:
    """Log in to az: the local time that it prints is wrong, and the epoch is right."""
    words = '[ "$*" = "account get-access-token --output json --resource https://storage.azure.com" ] || exit 3'
    token = printed(accessToken="planted-token:az", expires_on=int(time.time()) + LIFE, expiresOn=local(999_999))
    place.program("az", f"{words}\n{token}")
    return {}


def old_az(place: Place) -> dict[str, str]:
    place.program("az", printed(accessToken="planted-token:old", expiresOn=local(LIFE)))
    return {}


def azd(place: Place) -> dict[str, str]:
    words = '[ "$*" = "auth token --output json --no-prompt --scope https://storage.azure.com/.default" ] || exit 3'
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + LIFE))
    place.program("azd", f"{words}\n{printed(token='planted-token:azd', expiresOn=ends)}")
    return {}


def both(place: Place) -> dict[str, str]:
    return {**azd(place), **az(place)}


def failing_az(place: Place) -> dict[str, str]:
    place.program("az", "echo planted-stdout; echo 'ERROR: Please run az login. planted-stderr' >&2; exit 1")
    return {}


def failing_az_and_azd(place: Place) -> dict[str, str]:
    return {**failing_az(place), **azd(place)}


def chatty_az(place: Place) -> dict[str, str]:
    place.program("az", "echo planted-no-json")
    return {}


def over(*environments: Environment, **variables: str) -> Environment:
    """Return several environments in one."""

    def made(place: Place) -> dict[str, str]:
        all_of_them: dict[str, str] = {}
        for environment in environments:
            all_of_them |= environment(place)
        return {**all_of_them, **variables}

    return made


def only(**variables: str) -> Environment:
    return lambda place: variables


def service(path: str, endpoint: str, secret: str = "", **variables: str) -> Environment:
    def made(place: Place) -> dict[str, str]:
        secrets = {secret: IDENTITY_HEADER} if secret else {}
        return {endpoint: f"{place.plain}{path}", **secrets, **variables}

    return made


APP_SERVICE = service("/app", "IDENTITY_ENDPOINT", "IDENTITY_HEADER")

GOOD: dict[str, Environment] = {
    "secret": only(**WITH_SECRET),
    "secret in another cloud": only(**WITH_SECRET, AZURE_AUTHORITY_HOST=HOSTS[1]),
    "authority as a URL": only(**WITH_SECRET, AZURE_AUTHORITY_HOST=f"https://{HOSTS[1]}/"),
    "certificate in PEM": certificate(pem),
    "encrypted certificate": certificate(lambda: pem(password=PASSWORD), AZURE_CLIENT_CERTIFICATE_PASSWORD=PASSWORD),
    "certificate in PFX": certificate(pfx, AZURE_CLIENT_CERTIFICATE_PASSWORD=PASSWORD),
    "certificate with its chain": certificate(pem, AZURE_CLIENT_SEND_CERTIFICATE_CHAIN="true"),
    "secret before certificate": certificate(pem, AZURE_CLIENT_SECRET=SECRET),
    "workload identity": workload,
    "secret before workload identity": over(workload, AZURE_CLIENT_SECRET=SECRET),
    "workload identity before machine": over(workload, machine("good")),
    "machine": machine("good"),
    "machine by client": machine("good", AZURE_CLIENT_ID=APP),
    "machine that is slow": machine("slow"),
    "machine without looking": machine("good", AZURE_TOKEN_CREDENTIALS="ManagedIdentityCredential"),
    "App Service": APP_SERVICE,
    "App Service by client": over(APP_SERVICE, AZURE_CLIENT_ID=APP),
    "App Service before machine": over(APP_SERVICE, machine("good")),
    "Arc": arc(),
    "Arc by client": arc(AZURE_CLIENT_ID=APP),
    "Cloud Shell": service("/shell", "MSI_ENDPOINT"),
    "Machine Learning": service("/ml", "MSI_ENDPOINT", "MSI_SECRET"),
    "Machine Learning by client": service("/ml", "MSI_ENDPOINT", "MSI_SECRET", AZURE_CLIENT_ID=APP),
    "Service Fabric": fabric,
    "az": az,
    "az of old": old_az,
    "azd": azd,
    "az before azd": both,
    "azd where az is not logged in": failing_az_and_azd,
    "machine before az": over(az, machine("good")),
    "az where the machine has no identity": over(az, machine("none")),
    "az where the machine is silent": over(az, machine("hole")),
    "az where half an application is set": over(az, AZURE_CLIENT_SECRET=SECRET),
    "dev": over(az, machine("good"), **WITH_SECRET, AZURE_TOKEN_CREDENTIALS="dev"),
    "prod": over(az, machine("good"), AZURE_TOKEN_CREDENTIALS="prod"),
    "one by its name": over(both, AZURE_TOKEN_CREDENTIALS=" azuredeveloperclicredential "),
    "workload identity by its name": over(
        workload, AZURE_CLIENT_SECRET=SECRET, AZURE_TOKEN_CREDENTIALS="WorkloadIdentityCredential"
    ),
}
"""Environments in which we are somebody."""

BROKEN: dict[str, Environment] = {
    "nothing": only(),
    "nothing, and silence": machine("hole"),
    "a machine without an identity": machine("none"),
    "another secret": only(**OURS, AZURE_CLIENT_SECRET="planted-other-secret"),
    "another secret beside az": over(az, **OURS, AZURE_CLIENT_SECRET="planted-other-secret"),
    "another application": only(**{**WITH_SECRET, "AZURE_CLIENT_ID": "other"}),
    "a tenant that is none": only(**{**WITH_SECRET, "AZURE_TENANT_ID": "a/b"}),
    "authority in plain http": only(**WITH_SECRET, AZURE_AUTHORITY_HOST=f"http://{HOSTS[0]}"),
    "another key": certificate(lambda: pem(rsa.generate_private_key(65537, 2048))),
    "another password": certificate(pfx, AZURE_CLIENT_CERTIFICATE_PASSWORD="planted-other"),
    "no certificate": certificate(lambda: b"planted"),
    "no certificate file": only(**OURS, AZURE_CLIENT_CERTIFICATE_PATH="/nowhere"),
    "no token file": only(**OURS, AZURE_FEDERATED_TOKEN_FILE="/nowhere"),
    "another thumbprint": other_fabric,
    "Arc names a file elsewhere": arc("../../../../etc/passwd"),
    "Arc names another kind of file": arc("kind.txt"),
    "Arc names a large file": arc("large.key", "planted" * 1000),
    "Arc with another key": arc("other.key", "planted-other"),
    "az that is not logged in": failing_az,
    "az that prints no JSON": chatty_az,
    "only az is asked": over(azd, AZURE_TOKEN_CREDENTIALS="AzureCliCredential"),
    "only an application is asked": over(az, AZURE_TOKEN_CREDENTIALS="EnvironmentCredential"),
    "nobody is named": over(az, AZURE_TOKEN_CREDENTIALS="magic"),
}
"""Environments in which we are nobody."""

ODD: dict[str, Environment] = {
    "certificate with CR LF": certificate(lambda: pem().replace(b"\n", b"\r\n")),
    "certificate in PFX without a password": certificate(lambda: pfx("")),
    "certificate in PFX with a password that is blank": certificate(pfx, AZURE_CLIENT_CERTIFICATE_PASSWORD=""),
    "a key and no certificate": certificate(lambda: pem().split(b"-----BEGIN CERT")[0]),
    "authority with a path": only(**WITH_SECRET, AZURE_AUTHORITY_HOST=f"https://{HOSTS[1]}//"),
    "an endpoint without its header": service("/app", "IDENTITY_ENDPOINT"),
    "an endpoint without its header, beside az": over(az, service("/app", "IDENTITY_ENDPOINT")),
    "both endpoints": over(APP_SERVICE, service("/ml", "MSI_ENDPOINT", "MSI_SECRET")),
    "a header without its endpoint": over(machine("good"), IDENTITY_HEADER="planted"),
    "a secret without its endpoint": over(machine("good"), MSI_SECRET="planted"),
    "an endpoint of nobody, beside az": over(az, IDENTITY_ENDPOINT="http://127.0.0.1:9/", IDENTITY_HEADER="planted"),
    "dev in capitals": over(az, machine("good"), AZURE_TOKEN_CREDENTIALS="DEV"),
    "prod with az": over(az, AZURE_TOKEN_CREDENTIALS="prod"),
    "a blank list": over(az, AZURE_TOKEN_CREDENTIALS="  "),
    "two names": over(az, AZURE_TOKEN_CREDENTIALS="dev,prod"),
    "machine by its name, and none": over(az, machine("none"), AZURE_TOKEN_CREDENTIALS="ManagedIdentityCredential"),
    "az with an end in a text": over(lambda place: told_by_az(place, expires_on=str(int(time.time()) + LIFE))),
    "az with an end that is none": over(lambda place: told_by_az(place, expires_on="soon")),
    "az without an end": over(lambda place: told_by_az(place)),
    "az without a token": over(lambda place: told_by_az(place, accessToken="")),
    "az that says more": over(
        lambda place: told_by_az(place, tenant="t", subscription="s", expires_on=int(time.time()) + LIFE)
    ),
    "az that warns": over(az, lambda place: warning_az(place)),
    "an application and a user": only(**WITH_SECRET, AZURE_USERNAME="u", AZURE_PASSWORD="planted"),
    "a token file that is empty": lambda place: {**OURS, "AZURE_FEDERATED_TOKEN_FILE": place.file("token", "")},
    "a token file without a tenant, beside az": over(
        az, lambda place: {"AZURE_CLIENT_ID": APP, "AZURE_FEDERATED_TOKEN_FILE": place.file("token", SUBJECT)}
    ),
}
"""Environments that are seldom, in which we are somebody or nobody."""


def told_by_az(place: Place, **fields: object) -> dict[str, str]:
    place.program("az", printed(**{"accessToken": "planted-token:az", **fields}))
    return {}


def warning_az(place: Place) -> dict[str, str]:
    token = printed(accessToken="planted-token:az", expires_on=int(time.time()) + LIFE)
    place.program("az", f"echo 'WARNING: planted' >&2\n{token}")
    return {}


ENVIRONMENTS = {**GOOD, **BROKEN, **ODD}
