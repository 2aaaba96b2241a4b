"""Environments in which AWS's own tools find a credential, or say why they do not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.aws.services import ENDS, SSO_TOKEN

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "env-secret"}
STATIC = "aws_access_key_id = AKIABASE\naws_secret_access_key = base-secret\n"
ROLE = "role_arn = arn:aws:iam::123456789012:role/r\n"
LONG_AGO = "2020-01-01T00:00:00Z"
SSO = "sso_account_id = 123456789012\nsso_role_name = reader\n"
SESSION = "[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n"
REGISTERED = {
    "clientId": "client",
    "clientSecret": "client-secret",
    "refreshToken": "refresh",
    "registrationExpiresAt": ENDS,
}


@dataclass(frozen=True)
class Environment:
    """What a machine says of who we are.

    Args:
        variables: Environment variables.
        config: ``~/.aws/config``.
        credentials: ``~/.aws/credentials``.
        files: Other files below the home, and what is in them.
        sso: What ``~/.aws/sso/cache`` holds, by the session or URL.
        profile: The profile that is given in code.
        instance: How the instance's service behaves; None for no instance.
        fails: Whether there is no credential to be had.
        refused: Whether theirs is a credential that no service can be told, and ours an error.
        extended: Whether the end is one that was put off, for a random time.
    """

    variables: dict[str, str] = field(default_factory=dict)
    config: str = ""
    credentials: str = ""
    files: dict[str, str] = field(default_factory=dict)
    sso: dict[str, dict[str, str]] = field(default_factory=dict)
    profile: str | None = None
    instance: dict[str, Any] | None = None
    fails: bool = False
    refused: bool = False
    extended: bool = False


PROCESS = "[default]\ncredential_process = cat {home}/printed\n"
PRINTED = '{"Version": 1, "AccessKeyId": "AKIAPROC", "SecretAccessKey": "proc-secret"}'
EXPIRING = PRINTED[:-1] + f', "SessionToken": "proc-token", "Expiration": "{ENDS}"}}'

ENVIRONMENTS: dict[str, Environment] = {
    "nothing": Environment(fails=True),
    "variables": Environment(KEYS | {"AWS_DEFAULT_REGION": "eu-north-1"}),
    "variables-session": Environment(KEYS | {"AWS_SESSION_TOKEN": "env-token", "AWS_CREDENTIAL_EXPIRATION": ENDS}),
    "variables-security-token": Environment(KEYS | {"AWS_SESSION_TOKEN": "new", "AWS_SECURITY_TOKEN": "old"}),
    "variables-blank": Environment(
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, credentials="[default]\n" + STATIC
    ),
    "variables-half": Environment({"AWS_ACCESS_KEY_ID": "AKIAENV"}, credentials="[default]\n" + STATIC, fails=True),
    "variables-secret-alone": Environment({"AWS_SECRET_ACCESS_KEY": "s"}, credentials="[default]\n" + STATIC),
    "variables-before-files": Environment(KEYS, credentials="[default]\n" + STATIC),
    "variables-and-profile-variable": Environment(
        KEYS | {"AWS_PROFILE": "p"}, config="[profile p]\nregion = us-west-2\n", credentials="[p]\n" + STATIC
    ),
    "variables-and-profile-given": Environment(
        KEYS, config="[profile p]\nregion = us-west-2\n", credentials="[p]\n" + STATIC, profile="p"
    ),
    "profile-given-without-key": Environment(KEYS, config="[profile p]\nregion = us-west-2\n", profile="p", fails=True),
    "default-profile-before-profile": Environment(
        {"AWS_DEFAULT_PROFILE": "a", "AWS_PROFILE": "b"},
        credentials=f"[a]\n{STATIC}[b]\naws_access_key_id = B\naws_secret_access_key = b\n",
    ),
    "profile-missing": Environment({"AWS_PROFILE": "nobody"}, credentials="[default]\n" + STATIC, fails=True),
    "credentials-before-config": Environment(
        config="[default]\naws_access_key_id = C\naws_secret_access_key = c\nregion = eu-west-3\n",
        credentials="[default]\n" + STATIC,
    ),
    "config-key": Environment(config="[default]\n" + STATIC + "region = eu-west-3\n"),
    "config-key-token": Environment(config=f"[profile p]\n{STATIC}aws_session_token = t\n", profile="p"),
    "credentials-half": Environment(credentials="[default]\naws_access_key_id = A\n", fails=True),
    "files-elsewhere": Environment(
        {"AWS_CONFIG_FILE": "~/elsewhere/config", "AWS_SHARED_CREDENTIALS_FILE": "$HOME/elsewhere/credentials"},
        files={"elsewhere/config": "[default]\nregion = sa-east-1\n", "elsewhere/credentials": "[default]\n" + STATIC},
    ),
    "dialect": Environment(
        config=(
            '# a comment\n; another\n[profile "a b"]\nAWS_Access_Key_Id: AKIADIALECT\n'
            "aws_secret_access_key=sec=ret#not;comment\nregion = eu-west-2\ns3 =\n  addressing_style = path\n"
            "[profile]\nregion = x\n[preview]\nq = 1\n"
        ),
        profile="a b",
    ),
    "continuation": Environment(
        config="[default]\naws_access_key_id = AKIACONT\naws_secret_access_key = s\nregion = eu-central-1\n"
        "s3 =\n    max_concurrent_requests = 20\n\n    addressing_style = path\ncli_pager =\n"
    ),
    "malformed": Environment(config="[default]\nno value here\n", credentials="[default]\n" + STATIC, fails=True),
    "malformed-nested": Environment(
        config="[default]\ns3 =\n  nonsense\n", credentials="[default]\n" + STATIC, fails=True
    ),
    "duplicate-section": Environment(
        config="[default]\na = 1\n[default]\nb = 2\n", credentials="[default]\n" + STATIC, fails=True
    ),
    "role": Environment(
        config=f"[default]\n{ROLE}source_profile = base\nexternal_id = ext\nduration_seconds = 1800\n"
        "role_session_name = me\nregion = ap-south-1\n",
        credentials="[base]\n" + STATIC,
    ),
    "role-odd-duration": Environment(
        config=f"[default]\n{ROLE}source_profile = base\nduration_seconds = often\nregion = eu-west-1\n",
        credentials="[base]\n" + STATIC,
    ),
    "role-chain": Environment(
        config=f"[profile a]\n{ROLE}source_profile = b\n[profile b]\nrole_arn = arn:aws:iam::123456789012:role/b\n"
        f"source_profile = c\n[profile c]\n{STATIC}",
        profile="a",
        variables={"AWS_DEFAULT_REGION": "eu-west-1"},
    ),
    "role-of-itself": Environment(
        config=f"[default]\n{ROLE}source_profile = default\nregion = eu-west-1\n{STATIC}",
    ),
    "role-loop": Environment(
        config=f"[profile a]\n{ROLE}source_profile = b\n[profile b]\n{ROLE}source_profile = a\n",
        profile="a",
        fails=True,
    ),
    "role-of-itself-without-key": Environment(config=f"[default]\n{ROLE}source_profile = default\n", fails=True),
    "role-without-source": Environment(config=f"[default]\n{ROLE}", fails=True),
    "role-with-two-sources": Environment(
        config=f"[default]\n{ROLE}source_profile = base\ncredential_source = Environment\n",
        credentials="[base]\n" + STATIC,
        fails=True,
    ),
    "role-source-missing": Environment(config=f"[default]\n{ROLE}source_profile = gone\n", fails=True),
    "role-source-empty": Environment(
        config=f"[default]\n{ROLE}source_profile = base\n[profile base]\nregion = eu-west-1\n", fails=True
    ),
    "role-denied": Environment(
        config="[default]\nrole_arn = arn:aws:iam::1:role/denied\nsource_profile = base\nregion = eu-west-1\n",
        credentials="[base]\n" + STATIC,
        fails=True,
    ),
    "role-by-environment": Environment(
        KEYS | {"AWS_PROFILE": "p"},
        config=f"[profile p]\n{ROLE}credential_source = Environment\nregion = eu-west-1\n",
        profile="p",
    ),
    "role-by-instance": Environment(
        config=f"[default]\n{ROLE}credential_source = Ec2InstanceMetadata\nregion = eu-west-1\n", instance={}
    ),
    "role-by-container": Environment(
        {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/container/r"},
        config=f"[default]\n{ROLE}credential_source = EcsContainer\nregion = eu-west-1\n",
    ),
    "role-by-unknown": Environment(config=f"[default]\n{ROLE}credential_source = Cloud\n", fails=True),
    "role-by-process": Environment(
        config=f"[default]\n{ROLE}source_profile = p\nregion = eu-west-1\n"
        "[profile p]\ncredential_process = cat {home}/printed\n",
        files={"printed": PRINTED},
    ),
    "web-identity-variables": Environment(
        {
            "AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/token",
            "AWS_ROLE_ARN": "arn:aws:iam::1:role/w",
            "AWS_ROLE_SESSION_NAME": "pod",
            "AWS_DEFAULT_REGION": "eu-west-1",
        },
        files={"token": "web-token"},
    ),
    "web-identity-profile": Environment(
        config="[default]\nweb_identity_token_file = {home}/token\nrole_arn = arn:aws:iam::1:role/w\n"
        "region = eu-west-1\n",
        files={"token": "web-token"},
    ),
    "web-identity-without-role": Environment(
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/token"}, files={"token": "t"}, fails=True
    ),
    "web-identity-file-missing": Environment(
        {
            "AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/none",
            "AWS_ROLE_ARN": "arn:aws:iam::1:role/w",
            "AWS_DEFAULT_REGION": "eu-west-1",
        },
        fails=True,
    ),
    "web-identity-variables-and-profile-given": Environment(
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/token", "AWS_ROLE_ARN": "arn:aws:iam::1:role/w"},
        credentials="[p]\n" + STATIC,
        files={"token": "t"},
        profile="p",
    ),
    "sso-session": Environment(
        config=f"[default]\nsso_session = corp\n{SSO}region = eu-west-1\n{SESSION}",
        sso={"corp": {"accessToken": SSO_TOKEN, "expiresAt": ENDS}},
    ),
    "sso-old-form": Environment(
        config=f"[default]\n{SSO}sso_region = eu-west-1\nsso_start_url = https://old.awsapps.com/start\n",
        sso={"https://old.awsapps.com/start": {"accessToken": SSO_TOKEN, "expiresAt": ENDS}},
    ),
    "sso-renewed": Environment(
        config=f"[default]\nsso_session = corp\n{SSO}{SESSION}",
        sso={"corp": {"accessToken": SSO_TOKEN, "expiresAt": LONG_AGO, **REGISTERED}},
    ),
    "sso-refused-renewal": Environment(
        config=f"[default]\nsso_session = corp\n{SSO}{SESSION}",
        sso={"corp": {"accessToken": "wrong", "expiresAt": LONG_AGO, **REGISTERED, "refreshToken": "wrong"}},
        fails=True,
    ),
    "sso-ended": Environment(
        config=f"[default]\n{SSO}sso_region = eu-west-1\nsso_start_url = https://old.awsapps.com/start\n",
        sso={"https://old.awsapps.com/start": {"accessToken": SSO_TOKEN, "expiresAt": LONG_AGO}},
        fails=True,
    ),
    "sso-not-logged-in": Environment(config=f"[default]\nsso_session = corp\n{SSO}{SESSION}", fails=True),
    "sso-incomplete": Environment(config=f"[default]\n{SSO}", fails=True),
    "sso-session-missing": Environment(config=f"[default]\nsso_session = gone\n{SSO}", fails=True),
    "sso-as-source": Environment(
        config=f"[default]\n{ROLE}source_profile = s\nregion = eu-west-1\n"
        f"[profile s]\nsso_session = corp\n{SSO}{SESSION}",
        sso={"corp": {"accessToken": SSO_TOKEN, "expiresAt": ENDS}},
    ),
    "process": Environment(config=PROCESS, files={"printed": PRINTED}),
    "process-expiring": Environment(config=PROCESS, files={"printed": EXPIRING}),
    "process-after-key": Environment(config=PROCESS, credentials="[default]\n" + STATIC, files={"printed": PRINTED}),
    "process-version": Environment(config=PROCESS, files={"printed": PRINTED.replace("1", "2", 1)}, fails=True),
    "process-fails": Environment(config="[default]\ncredential_process = false\n", fails=True),
    "process-missing": Environment(config="[default]\ncredential_process = no-such-program\n", fails=True),
    "container": Environment({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/container/task"}),
    "container-full": Environment(
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:8080/container/pod",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "pass",
        }
    ),
    "container-token-file": Environment(
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost:8080/container/pod",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "pass",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "{home}/token",
        },
        files={"token": "from-file"},
    ),
    "container-token-line-break": Environment(
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:8080/container/pod",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "{home}/token",
        },
        files={"token": "from-file\nX: y"},
        fails=True,
    ),
    "container-elsewhere": Environment(
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://10.0.0.1/container/pod"}, instance={}, fails=True
    ),
    "instance": Environment(instance={}),
    "instance-old": Environment(instance={"token_status": 404}),
    "instance-old-disabled": Environment(
        {"AWS_EC2_METADATA_V1_DISABLED": "true"}, instance={"token_status": 404}, fails=True
    ),
    "instance-bad-request": Environment(instance={"token_status": 400}, fails=True),
    "instance-disabled": Environment({"AWS_EC2_METADATA_DISABLED": "TRUE"}, instance={}, fails=True),
    "instance-without-role": Environment(instance={"role": ""}, fails=True),
    "instance-expired": Environment(instance={"ends": LONG_AGO}, extended=True),
    "instance-ipv6": Environment({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6"}, instance={}),
    "instance-elsewhere": Environment({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:8080/"}, instance={}),
    "instance-odd-mode": Environment({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv5"}, instance={}, fails=True),
    "key-before-instance": Environment(credentials="[default]\n" + STATIC, instance={}),
}
