"""The places on this machine where a credential of AWS may be: each found, or a few words on why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.credentials.aws_keys import config_key, shared_key
from objstore.credentials.aws_process import Process
from objstore.credentials.aws_profiles import text
from objstore.credentials.aws_sso import single_sign_on
from objstore.credentials.aws_sts import WebIdentity, session_name
from objstore.exceptions import UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.credentials.aws_config import AwsConfig
    from objstore.credentials.aws_keys import Found

BOTO3 = "Give credential_provider=objstore.auth.boto3.Boto3CredentialProvider(): boto3 can do this."


def web_identity(config: AwsConfig) -> Found:
    """Return the role for which a token file stands, which the environment or the profile names."""
    names = ("web_identity_token_file", "role_arn", "role_session_name")
    file, role, session = (config.setting(name) or text(config.profile, name) for name in names)
    if not file:
        return "no AWS_WEB_IDENTITY_TOKEN_FILE is set, and the profile has no web_identity_token_file"
    if not role:
        raise UnauthenticatedError("There is a web identity token file and no role", hint="Set AWS_ROLE_ARN.")
    return WebIdentity(config, file, {"RoleArn": role, "RoleSessionName": session or session_name()})


def login(config: AwsConfig) -> Found:
    """Refuse the credential that ``aws login`` leaves, which is bound to a key that signs in a way of its own."""
    if text(config.profile, "login_session") is None:
        return f"the profile {config.name!r} has no login_session"
    raise UnauthenticatedError(f"The profile {config.name!r} uses `aws login`", hint=BOTO3)


def process(config: AwsConfig) -> Found:
    """Return the program that the profile names."""
    command = text(config.profile, "credential_process")
    return Process(command, config.name) if command else f"the profile {config.name!r} has no credential_process"


OF_PROFILE: tuple[tuple[str, Callable[[AwsConfig], Found]], ...] = (
    ("web-identity", web_identity),
    ("sso", single_sign_on),
    ("credentials-file", shared_key),
    ("login", login),
    ("credential-process", process),
    ("config-file", config_key),
)
