"""The settings of an Azure store, one row each: a table, no logic.

The names are those of obstore. Each may carry the prefix ``azure_`` or ``azure_storage_``; with it, and in capitals,
each is an environment variable. The variables of the ``az`` command line count too. Sources:
https://learn.microsoft.com/cli/azure/azure-cli-configuration,
https://learn.microsoft.com/python/api/azure-identity/azure.identity.environmentcredential
"""

from __future__ import annotations

from objstore.settings.azure_hosts import ACCOUNT_NAME
from objstore.settings.options import Option
from objstore.settings.value_types import BASE64, BASE64_OF_32_BYTES, BOOL, BUCKET, URL, choice, matching

_CREDENTIALS = (
    "account_key",
    "sas_key",
    "token",
    "connection_string",
    "client_secret",
    "client_certificate_path",
    "federated_token_file",
)

AZURE_OPTIONS = (
    Option("container_name", "The name of the container.", BUCKET),
    Option(
        "account_name",
        "The name of the storage account.",
        matching("the name of an account, not its host: letters, digits and dashes", ACCOUNT_NAME),
        environment=("AZURE_STORAGE_ACCOUNT",),
    ),
    Option(
        "account_key",
        "A key of the storage account.",
        BASE64,
        aliases=("access_key", "master_key"),
        environment=("AZURE_STORAGE_KEY",),
        secret=True,
        yields_to=_CREDENTIALS,
    ),
    Option(
        "sas_key",
        "A shared access signature: the query of its URL.",
        aliases=("sas_token",),
        secret=True,
        yields_to=_CREDENTIALS,
    ),
    Option(
        "token",
        "An access token, sent as it is and never renewed.",
        aliases=("bearer_token",),
        secret=True,
        yields_to=_CREDENTIALS,
    ),
    Option(
        "connection_string",
        "Account, key or signature, and endpoint in one text, as the portal shows it.",
        secret=True,
        yields_to=_CREDENTIALS,
    ),
    Option("client_id", "The application, or the identity of this machine, to authenticate as."),
    Option("client_secret", "The secret of the application.", secret=True, yields_to=_CREDENTIALS),
    Option(
        "client_certificate_path",
        "File with the certificate and the key of the application, in PEM form or as PKCS #12.",
        yields_to=_CREDENTIALS,
    ),
    Option("client_certificate_password", "The password of that file.", secret=True),
    Option(
        "client_send_certificate_chain", "Send all certificates of that file with requests for tokens.", BOOL, False
    ),
    Option("tenant_id", "The tenant of the application.", aliases=("authority_id",)),
    Option("authority_host", "Where tokens are issued, if it is not where the cloud of the endpoint has it."),
    Option("federated_token_file", "File with the token of a workload identity.", yields_to=_CREDENTIALS),
    Option(
        "msi_endpoint",
        "The URL that gives tokens of the identity of this machine.",
        URL,
        aliases=("identity_endpoint",),
        environment=("IDENTITY_ENDPOINT",),
    ),
    Option("object_id", "The identity of this machine to use, by its object id."),
    Option("msi_resource_id", "The identity of this machine to use, by its resource id."),
    Option("use_azure_cli", "Ask the az command line for tokens.", BOOL, False),
    Option(
        "credential_type",
        "Which credential to use of those that are there.",
        choice(
            "auto",
            "bearer_token",
            "access_key",
            "client_secret",
            "client_certificate",
            "workload_identity",
            "sas_token",
            "azure_cli",
            "azure_developer_cli",
            "managed_identity",
            "fabric",
            "anonymous",
        ),
        "auto",
    ),
    Option("skip_signature", "Send requests without a credential, for public containers.", BOOL, False),
    Option("endpoint", "The URL of the account's blob service, if it is not the usual one.", URL),
    Option(
        "api_version",
        "The version of the service that requests are written for, as a date.",
        matching("a date such as 2023-11-03", r"20\d\d-\d\d-\d\d"),
        "2023-11-03",
    ),
    Option("use_fabric_endpoint", "The account is a workspace of Microsoft Fabric (OneLake).", BOOL, False),
    Option("use_emulator", "Use the emulator Azurite on this machine.", BOOL, False),
    Option(
        "emulator_url", "Where Azurite is.", URL, "http://127.0.0.1:10000", environment=("AZURITE_BLOB_STORAGE_URL",)
    ),
    Option("disable_tagging", "Leave out the tags of objects, for accounts that refuse them.", BOOL, False),
    Option(
        "checksum_algorithm",
        "The checksum sent with what is written, for the service to compare: crc64nvme or md5. With crc64nvme, that of "
        "ranges of up to 4 MiB is asked for when they are read: get, open and download read all in such. What "
        "get_many, iter_many, get_range and get_ranges read by larger ones, and whole, is not compared.",
        choice("crc64nvme", "md5"),
    ),
    Option("encryption_key", "The caller's own encryption key.", BASE64_OF_32_BYTES, secret=True),
    Option("fabric_token_service_url", "In a Fabric notebook: where tokens are issued.", URL),
    Option("fabric_workload_host", "In a Fabric notebook: the host of the workload."),
    Option(
        "fabric_session_token", "In a Fabric notebook: the token of the session.", secret=True, yields_to=_CREDENTIALS
    ),
    Option("fabric_cluster_identifier", "In a Fabric notebook: the identifier of the cluster."),
)
"""The settings of Azure stores, in the order in which the documentation shows them."""
