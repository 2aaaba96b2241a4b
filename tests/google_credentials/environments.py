"""Environments in which a client finds out who it is to Google: files, variables and programs.

Each is a function that writes files into a folder and returns variables. Whatever is not loopback is named as in real
life, and reached through a proxy that stands in for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.google_credentials.cloud import (
    AWS_KEY,
    AWS_SECRET,
    AWS_TOKEN,
    AWS_TYPE,
    CLIENT_SECRET,
    EMAIL,
    JWT_TYPE,
    PEM,
    POOL,
    REFRESH_TOKEN,
    SUBJECT,
    TARGET,
    WORKFORCE,
    Cloud,
)

PYTHON = sys._base_executable
"""Python where it is installed: the environment may be in a folder with a blank in its name, and Google's library cuts
commands at blanks, quoted or not."""

Environment = Callable[[Path, Cloud], dict[str, str]]

SERVICE_ACCOUNT: dict[str, Any] = {
    "type": "service_account",
    "client_email": EMAIL,
    "private_key": PEM,
    "private_key_id": "key-id",
    "project_id": "project",
    "token_uri": "https://oauth2.googleapis.com/token",
    "universe_domain": "googleapis.com",
}
USER: dict[str, Any] = {
    "type": "authorized_user",
    "client_id": "application",
    "client_secret": CLIENT_SECRET,
    "refresh_token": REFRESH_TOKEN,
    "quota_project_id": "quota-of-file",
}
EXTERNAL_USER: dict[str, Any] = {
    "type": "external_account_authorized_user",
    "audience": WORKFORCE,
    "client_id": "application",
    "client_secret": CLIENT_SECRET,
    "refresh_token": REFRESH_TOKEN,
    "token_url": "https://sts.googleapis.com/v1/token",
}
IMPERSONATION = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{TARGET}:generateAccessToken"


def external(source: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """Return a file of workload identity federation."""
    return {
        "type": "external_account",
        "audience": POOL,
        "subject_token_type": JWT_TYPE,
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": source,
        **more,
    }


def aws(url: str | None) -> dict[str, Any]:
    """Return a file of workload identity federation with AWS."""
    source = {
        "environment_id": "aws1",
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
    }
    if url is not None:
        source |= {
            "region_url": f"{url}/latest/meta-data/placement/availability-zone",
            "url": f"{url}/latest/meta-data/iam/security-credentials",
            "imdsv2_session_token_url": f"{url}/latest/api/token",
        }
    return external(source, subject_token_type=AWS_TYPE)


def named(folder: Path, fields: object, **variables: str) -> dict[str, str]:
    """Write a file that GOOGLE_APPLICATION_CREDENTIALS names."""
    file = folder / "named.json"
    file.write_text(fields if isinstance(fields, str) else json.dumps(fields))
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(file), **variables}


def left_by_gcloud(folder: Path, fields: object) -> dict[str, str]:
    """Write gcloud's file into the folder that CLOUDSDK_CONFIG names."""
    (folder / "application_default_credentials.json").write_text(json.dumps(fields))
    return {"CLOUDSDK_CONFIG": str(folder)}


def at_home(folder: Path, fields: object) -> dict[str, str]:
    """Write gcloud's file where it is without variables."""
    (folder / ".config/gcloud").mkdir(parents=True)
    (folder / ".config/gcloud/application_default_credentials.json").write_text(json.dumps(fields))
    return {"HOME": str(folder)}


def subject_file(folder: Path, text: str = SUBJECT) -> str:
    """Write a subject token."""
    (folder / "subject").write_text(text)
    return str(folder / "subject")


def program(folder: Path, answer: Mapping[str, object] | None, status: int = 0) -> dict[str, Any]:
    """Write a program that tells a subject token, where it is told for whom."""
    file = folder / "program.py"
    file.write_text(
        "import json, os, sys\n"
        f"assert os.environ['GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE'] == {POOL!r}\n"
        f"assert os.environ['GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE'] == {JWT_TYPE!r}\n"
        "assert os.environ['GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE'] == '0'\n"
        f"print({json.dumps(answer)!r})\n"
        f"sys.exit({status})\n"
    )
    return {"executable": {"command": f"{PYTHON} {file}", "timeout_millis": 120_000}}


TOLD: dict[str, object] = {"version": 1, "success": True, "token_type": JWT_TYPE, "id_token": SUBJECT}
FAILED: dict[str, object] = {"version": 1, "success": False, "code": "401", "message": "sign in first"}
ALLOWED = {"GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES": "1"}
AWS_VARIABLES = {"AWS_ACCESS_KEY_ID": AWS_KEY, "AWS_SECRET_ACCESS_KEY": AWS_SECRET, "AWS_REGION": "eu-west-9"}
JSON_FORMAT = {"type": "json", "subject_token_field_name": "value"}


def impersonated(source: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """Return a file of a service account that someone acts for."""
    return {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": IMPERSONATION,
        "source_credentials": source,
        **more,
    }


def metadata(cloud: Cloud) -> dict[str, str]:
    """Return variables that lead to the metadata server."""
    place = cloud.url.removeprefix("http://")
    return {"GCE_METADATA_HOST": place, "GCE_METADATA_IP": place, "NO_GCE_CHECK": "false"}


ENVIRONMENTS: dict[str, Environment] = {
    "service account": lambda folder, cloud: named(folder, SERVICE_ACCOUNT),
    "service account of another token server": lambda folder, cloud: named(
        folder, {**SERVICE_ACCOUNT, "token_uri": "https://tokens.example/token"}
    ),
    "user": lambda folder, cloud: named(folder, USER),
    "user of gcloud": lambda folder, cloud: left_by_gcloud(folder, USER),
    "user of gcloud at home": lambda folder, cloud: at_home(folder, USER),
    "named file before gcloud's": lambda folder, cloud: {
        **left_by_gcloud(folder, {**USER, "client_id": "other"}),
        **named(folder, USER),
    },
    "quota project": lambda folder, cloud: named(folder, USER, GOOGLE_CLOUD_QUOTA_PROJECT="quota-of-variable"),
    "external file": lambda folder, cloud: named(folder, external({"file": subject_file(folder)})),
    "external file in JSON": lambda folder, cloud: named(
        folder, external({"file": subject_file(folder, json.dumps({"value": SUBJECT})), "format": JSON_FORMAT})
    ),
    "external URL": lambda folder, cloud: named(
        folder,
        external({"url": f"{cloud.url}/subject", "headers": {"x-proof": "planted-proof"}, "format": JSON_FORMAT}),
    ),
    "external program": lambda folder, cloud: named(folder, external(program(folder, TOLD)), **ALLOWED),
    "external AWS": lambda folder, cloud: named(folder, aws(None), **AWS_VARIABLES),
    "external AWS with a session": lambda folder, cloud: named(
        folder, aws(None), **AWS_VARIABLES, AWS_SESSION_TOKEN=AWS_TOKEN
    ),
    "external AWS machine": lambda folder, cloud: named(folder, aws(cloud.url)),
    "external with a client": lambda folder, cloud: named(
        folder, external({"file": subject_file(folder)}, client_id="application", client_secret=CLIENT_SECRET)
    ),
    "external, impersonating": lambda folder, cloud: named(
        folder,
        external(
            {"file": subject_file(folder)},
            service_account_impersonation_url=IMPERSONATION,
            service_account_impersonation={"token_lifetime_seconds": 1800},
            quota_project_id="quota-of-file",
        ),
    ),
    "workforce": lambda folder, cloud: named(
        folder,
        external({"file": subject_file(folder)}, audience=WORKFORCE, workforce_pool_user_project="works-for"),
    ),
    "external user": lambda folder, cloud: named(folder, EXTERNAL_USER),
    "impersonating as a user": lambda folder, cloud: named(
        folder, impersonated(USER, delegates=["a@b.example", "c@d.example"], quota_project_id="quota-of-outer")
    ),
    "impersonating as a service account": lambda folder, cloud: named(
        folder, impersonated({**SERVICE_ACCOUNT, "token_uri": "https://tokens.example/token"})
    ),
    "impersonating as an external user": lambda folder, cloud: named(folder, impersonated(EXTERNAL_USER)),
    "machine": lambda folder, cloud: metadata(cloud),
    "machine with a quota project": lambda folder, cloud: {
        **metadata(cloud),
        "GOOGLE_CLOUD_QUOTA_PROJECT": "quota-of-variable",
    },
}
"""Where there is a token to be had."""

BROKEN: dict[str, Environment] = {
    "nothing": lambda folder, cloud: {},
    "missing file": lambda folder, cloud: {"GOOGLE_APPLICATION_CREDENTIALS": str(folder / "missing")},
    "no JSON": lambda folder, cloud: named(folder, '{"type": "planted-', **metadata(cloud)),
    "unknown type": lambda folder, cloud: named(folder, {"type": "magic"}, **metadata(cloud)),
    "no key": lambda folder, cloud: named(folder, {**SERVICE_ACCOUNT, "private_key": "planted-key"}),
    "no refresh token": lambda folder, cloud: named(folder, {**USER, "refresh_token": None}),
    "withdrawn": lambda folder, cloud: named(folder, {**USER, "refresh_token": "planted-withdrawn-token"}),
    "wrong subject": lambda folder, cloud: named(folder, external({"file": subject_file(folder, "planted-wrong")})),
    "missing subject": lambda folder, cloud: named(folder, external({"file": str(folder / "missing")})),
    "empty subject": lambda folder, cloud: named(folder, external({"file": subject_file(folder, "")})),
    "subject without its field": lambda folder, cloud: named(
        folder, external({"file": subject_file(folder, "{}"), "format": JSON_FORMAT})
    ),
    "program that is not allowed": lambda folder, cloud: named(folder, external(program(folder, TOLD))),
    "program that says no": lambda folder, cloud: named(folder, external(program(folder, FAILED)), **ALLOWED),
    "program that fails": lambda folder, cloud: named(folder, external(program(folder, TOLD, 3)), **ALLOWED),
    "program with an ended token": lambda folder, cloud: named(
        folder, external(program(folder, {**TOLD, "expiration_time": 1})), **ALLOWED
    ),
    "project outside the workforce": lambda folder, cloud: named(
        folder, external({"file": subject_file(folder)}, workforce_pool_user_project="works-for")
    ),
    "impersonating nobody": lambda folder, cloud: named(
        folder, impersonated(USER, service_account_impersonation_url="https://iamcredentials.googleapis.com/v1/x")
    ),
    "AWS of another version": lambda folder, cloud: named(
        folder,
        external({**aws(None)["credential_source"], "environment_id": "aws2"}, subject_token_type=AWS_TYPE),
        **AWS_VARIABLES,
    ),
    "AWS without a region": lambda folder, cloud: named(
        folder, aws(None), **{name: value for name, value in AWS_VARIABLES.items() if name != "AWS_REGION"}
    ),
}
"""Where there is none."""
