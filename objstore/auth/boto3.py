"""Credentials of Amazon Web Services from boto3: profiles, single sign-on, credential processes, assumed roles.

Needs ``objstore[boto3]``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from objstore.auth._extras import extra

if TYPE_CHECKING:
    import boto3
    import botocore.session

    from objstore.types import S3Config, S3Credential

    Session: TypeAlias = boto3.Session | botocore.session.Session


class Boto3CredentialProvider:
    """A credential provider for S3Store: the credential of a boto3 or botocore session.

    Args:
        session: The session; a new ``boto3.Session()`` if not given.
        ttl: For how long a credential is used before the session is asked again, if it does not end sooner.

    Attributes:
        config: The session's region, if it has one; S3Store takes it where none is given.

    Raises:
        ValueError: The session finds no credential.
    """

    def __init__(self, session: Session | None = None, *, ttl: timedelta = timedelta(minutes=30)) -> None:
        session = session or extra("boto3", "boto3").Session()
        self.config: S3Config = _region(session)
        self.credentials: Any = session.get_credentials()
        if self.credentials is None:
            raise ValueError("The boto3 session finds no credential: run `aws configure`, or name a profile")
        self.ttl = ttl

    def __call__(self) -> S3Credential:
        """Return the session's credential, renewed by boto3 where that is due."""
        frozen = self.credentials.get_frozen_credentials()
        ends = datetime.now(UTC) + self.ttl
        # botocore has no public name for when a credential ends; what cannot end has no such attribute.
        known = getattr(self.credentials, "_expiry_time", None)
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": ends if known is None else min(ends, known),
        }


class StsCredentialProvider:
    """A credential provider for S3Store: a role, assumed anew whenever its credential ends.

    Args:
        session: The boto3 session that assumes the role; a new ``boto3.Session()`` if not given.
        **kwargs: The arguments of ``assume_role``: RoleArn and RoleSessionName at the least.

    Attributes:
        config: The session's region, if it has one; S3Store takes it where none is given.

    Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """

    def __init__(self, session: boto3.Session | None = None, **kwargs: Any) -> None:
        self.session: Any = session or extra("boto3", "boto3").Session()
        self.config: S3Config = _region(self.session)
        self.kwargs = kwargs

    def __call__(self) -> S3Credential:
        """Assume the role."""
        found = self.session.client("sts").assume_role(**self.kwargs)["Credentials"]
        return {
            "access_key_id": found["AccessKeyId"],
            "secret_access_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expires_at": found["Expiration"],
        }


def _region(session: Any) -> S3Config:
    """Return the region of a session, of boto3 or of botocore."""
    known = hasattr(session, "region_name")
    region = session.region_name if known else session.get_config_variable("region")
    return {"region": region} if region else {}
