"""The settings of a GCS store, one row each: a table, no logic.

The names are those of obstore. Each may carry the prefix ``google_``; with it, and in capitals, each is an environment
variable. Source: https://cloud.google.com/docs/authentication/application-default-credentials
"""

from __future__ import annotations

from objstore.settings.options import Option
from objstore.settings.value_types import BASE64_OF_32_BYTES, BOOL, BUCKET, URL, matching

_HOST = matching("host:port or a URL such as http://host:port", r"(https?://)?[^\s/?#]+/?")

_CREDENTIALS = (
    "service_account",
    "service_account_key",
    "application_credentials",
    "bearer_token",
    "access_key_id",
    "secret_access_key",
)

GCS_OPTIONS = (
    Option(
        "service_account",
        "File with the key of a service account, as JSON.",
        aliases=("service_account_path",),
        environment=("SERVICE_ACCOUNT",),
        yields_to=_CREDENTIALS,
    ),
    Option(
        "service_account_key",
        "The key of a service account itself, as JSON text.",
        secret=True,
        yields_to=_CREDENTIALS,
    ),
    Option(
        "application_credentials",
        "File with application default credentials, as JSON.",
        yields_to=_CREDENTIALS,
    ),
    Option(
        "bearer_token",
        "An access token, sent as it is and never renewed.",
        secret=True,
        yields_to=_CREDENTIALS,
    ),
    Option(
        "access_key_id",
        "The name of an HMAC key, by which the XML API alone is used.",
        environment=("GS_ACCESS_KEY_ID",),
        yields_to=_CREDENTIALS,
    ),
    Option(
        "secret_access_key",
        "The secret of the HMAC key.",
        secret=True,
        environment=("GS_SECRET_ACCESS_KEY",),
        yields_to=_CREDENTIALS,
    ),
    Option("skip_signature", "Send requests without a credential, for public buckets.", BOOL, False),
    Option("bucket", "The name of the bucket.", BUCKET, aliases=("bucket_name",)),
    Option("base_url", "The URL of the service, if it is not Google's.", URL),
    Option(
        "emulator_host",
        "A local server that takes the place of the service: plain http and no credential will do.",
        _HOST,
        environment=("STORAGE_EMULATOR_HOST",),
    ),
    Option(
        "user_project",
        "The project that pays for requests, where the bucket's owner does not.",
    ),
    Option(
        "project_id",
        "The project whose buckets are made and listed.",
        environment=("GOOGLE_CLOUD_PROJECT",),
    ),
    Option(
        "encryption_key",
        "The caller's own encryption key, which the service does not keep (CSEK).",
        BASE64_OF_32_BYTES,
        secret=True,
    ),
    Option(
        "kms_key_name",
        "The key of the key management service to encrypt with, where it is not the bucket's own.",
        matching(
            "a name such as projects/P/locations/L/keyRings/R/cryptoKeys/K",
            r"projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+",
        ),
    ),
    Option(
        "universe_domain",
        "The domain of the service, where it is a cloud of its own.",
        matching("a domain such as googleapis.com", r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"),
        environment=("GOOGLE_CLOUD_UNIVERSE_DOMAIN",),
    ),
)
"""The settings of GCS stores, in the order in which the documentation shows them."""
