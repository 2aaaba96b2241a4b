"""Environments that are seldom, in which Google's own library is somebody or nobody in its own ways."""

from __future__ import annotations

import json

from tests.google_credentials.cloud import SUBJECT
from tests.google_credentials.environments import (
    ALLOWED,
    AWS_VARIABLES,
    JSON_FORMAT,
    SERVICE_ACCOUNT,
    TOLD,
    USER,
    Environment,
    aws,
    external,
    impersonated,
    left_by_gcloud,
    metadata,
    named,
    program,
    subject_file,
)

ODD: dict[str, Environment] = {
    "a byte order mark": lambda folder, cloud: named(folder, "\ufeff" + json.dumps(USER)),
    "a key with CR LF": lambda folder, cloud: named(
        folder, {**SERVICE_ACCOUNT, "private_key": SERVICE_ACCOUNT["private_key"].replace("\n", "\r\n")}
    ),
    "blank variable": lambda folder, cloud: {**left_by_gcloud(folder, USER), "GOOGLE_APPLICATION_CREDENTIALS": ""},
    "list": lambda folder, cloud: named(folder, "[]"),
    "user quota": lambda folder, cloud: named(folder, {**USER, "quota_project_id": "quota-of-file"}),
    "a blank quota project": lambda folder, cloud: named(
        folder, {**USER, "quota_project_id": "quota-of-file"}, GOOGLE_CLOUD_QUOTA_PROJECT=""
    ),
    "user other universe": lambda folder, cloud: named(folder, {**USER, "universe_domain": "x.example"}),
    "subject json newline": lambda folder, cloud: named(
        folder,
        external({"file": subject_file(folder, json.dumps({"value": SUBJECT + "\n"})), "format": JSON_FORMAT}),
    ),
    "subject json number": lambda folder, cloud: named(
        folder, external({"file": subject_file(folder, json.dumps({"value": 1})), "format": JSON_FORMAT})
    ),
    "format text": lambda folder, cloud: named(
        folder, external({"file": subject_file(folder), "format": {"type": "text"}})
    ),
    "format xml": lambda folder, cloud: named(
        folder, external({"file": subject_file(folder), "format": {"type": "xml"}})
    ),
    "file and url": lambda folder, cloud: named(folder, external({"file": subject_file(folder), "url": cloud.url})),
    "program, short timeout": lambda folder, cloud: named(
        folder,
        external({"executable": {**program(folder, TOLD)["executable"], "timeout_millis": 1000}}),
        **ALLOWED,
    ),
    "program, long timeout": lambda folder, cloud: named(
        folder,
        external({"executable": {**program(folder, TOLD)["executable"], "timeout_millis": 200000}}),
        **ALLOWED,
    ),
    "program, allowed true": lambda folder, cloud: named(
        folder, external(program(folder, TOLD)), GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES="true"
    ),
    "program, id_token type": lambda folder, cloud: named(
        folder,
        external(program(folder, {**TOLD, "token_type": "urn:ietf:params:oauth:token-type:id_token"})),
        **ALLOWED,
    ),
    "program, version 2": lambda folder, cloud: named(
        folder, external(program(folder, {**TOLD, "version": 2})), **ALLOWED
    ),
    "program, unknown type": lambda folder, cloud: named(
        folder, external(program(folder, {**TOLD, "token_type": "x"})), **ALLOWED
    ),
    "program, fail no msg": lambda folder, cloud: named(
        folder, external(program(folder, {"version": 1, "success": False})), **ALLOWED
    ),
    "another configuration of gcloud": lambda folder, cloud: {
        **left_by_gcloud(folder, USER),
        "CLOUDSDK_ACTIVE_CONFIG_NAME": "other",
    },
    "no gce check True": lambda folder, cloud: {**metadata(cloud), "NO_GCE_CHECK": "True"},
    "no gce check true": lambda folder, cloud: {**metadata(cloud), "NO_GCE_CHECK": "true"},
    "cloudsdk empty dir": lambda folder, cloud: {**metadata(cloud), "CLOUDSDK_CONFIG": str(folder)},
    "broken gcloud file": lambda folder, cloud: {**metadata(cloud), **left_by_gcloud(folder, [1])},
    "root only": lambda folder, cloud: {
        "GCE_METADATA_ROOT": cloud.url.removeprefix("http://"),
        "GCE_METADATA_IP": cloud.url.removeprefix("http://"),
        "NO_GCE_CHECK": "false",
        "GCE_METADATA_HOST": "",
    },
    "user extra": lambda folder, cloud: named(folder, {**USER, "scopes": ["a", "b"]}),
    "user without a secret": lambda folder, cloud: named(folder, {**USER, "client_secret": ""}),
    "token server in plain http": lambda folder, cloud: named(
        folder, {**SERVICE_ACCOUNT, "token_uri": "http://tokens.example/token"}
    ),
    "aws default region": lambda folder, cloud: named(
        folder,
        aws(None),
        **{**{k: v for k, v in AWS_VARIABLES.items() if k != "AWS_REGION"}, "AWS_DEFAULT_REGION": "eu-west-9"},
    ),
    "impersonated str delegates": lambda folder, cloud: named(folder, impersonated(USER, delegates=[])),
    "impersonated lifetime": lambda folder, cloud: named(folder, impersonated(USER, lifetime=1800)),
}
