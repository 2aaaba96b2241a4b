"""Environments that are seldom, and that AWS's own tools take in their own ways."""

from __future__ import annotations

from tests.aws.environments import KEYS, ROLE, SESSION, SSO, STATIC, Environment
from tests.aws.services import ENDS, SSO_TOKEN

CONTAINER = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:8080/container/pod"}
PRINTED = '"AccessKeyId": "AKIAPROC", "SecretAccessKey": "proc-secret"'

ODD: dict[str, Environment] = {
    "bom": Environment(credentials="\ufeff[default]\n" + STATIC, fails=True),
    "crlf": Environment(
        credentials=("[default]\n" + STATIC).replace("\n", "\r\n"), config="[default]\r\nregion = eu-west-1\r\n"
    ),
    "tabs": Environment(credentials="[default]\naws_access_key_id\t=\tAKIATABS\naws_secret_access_key\t=\ts\t\n"),
    "nested, odd": Environment(
        config="[default]\nregion = eu-west-1\ns3 =\n\t\taddressing_style=path\n      max_queue_size   =  1\n\t\n"
        "  use_accelerate_endpoint = false\n" + STATIC
    ),
    "nested, of one name twice": Environment(config="[default]\ns3 =\n  a = 1\n  a = 2\n" + STATIC),
    "blanks in a name": Environment(config="[profile  'a  b' ]\n" + STATIC, profile="a  b"),
    "a name without quotes": Environment(config="[profile a b]\n" + STATIC, profile="a b", fails=True),
    "half a quote": Environment(config='[profile "a]\n' + STATIC, profile="a", fails=True),
    "a name in other letters": Environment(credentials="[Default]\n" + STATIC, fails=True),
    "profile default after default": Environment(
        config=f"[default]\n{STATIC}region = eu-west-1\n[profile default]\nregion = eu-west-2\n",
        fails=True,
    ),
    "profile default before default": Environment(
        config=f"[profile default]\nregion = eu-west-2\n[default]\n{STATIC}region = eu-west-1\n"
    ),
    "profile default alone": Environment(config=f"[profile default]\n{STATIC}region = eu-west-2\n"),
    "profile in the credentials file": Environment(credentials="[profile p]\n" + STATIC, profile="p", fails=True),
    "profile default without files": Environment({"AWS_PROFILE": "default"}, instance={}, fails=True),
    "a name in a comment": Environment(credentials="[default] ; mine\n" + STATIC),
    "a comment behind a value": Environment(
        credentials="[default]\naws_access_key_id = AKIA\naws_secret_access_key = base-secret # mine\n", refused=True
    ),
    "an empty file": Environment(credentials="\n", config="\n", instance={}),
    "a folder for a file": Environment({"AWS_SHARED_CREDENTIALS_FILE": "/tmp"}, config="[default]\n" + STATIC),
    "a key in quotes": Environment(credentials='[default]\naws_access_key_id = "A"\naws_secret_access_key = "b"\n'),
    "percent": Environment(credentials="[default]\naws_access_key_id = A\naws_secret_access_key = %(x)s%%\n"),
    "an end that is none": Environment(KEYS | {"AWS_CREDENTIAL_EXPIRATION": "soon"}, fails=True),
    "blanks around a variable": Environment(
        {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "   "}, refused=True
    ),
    "role by an empty environment": Environment(
        config=f"[default]\n{ROLE}credential_source = Environment\nregion = eu-west-1\n", instance={}, fails=True
    ),
    "role by a container that is not there": Environment(
        config=f"[default]\n{ROLE}credential_source = EcsContainer\nregion = eu-west-1\n", instance={}, fails=True
    ),
    "role by a source in other letters": Environment(
        KEYS | {"AWS_PROFILE": "p"},
        config=f"[profile p]\n{ROLE}credential_source = environment\nregion = eu-west-1\n",
        profile="p",
        fails=True,
    ),
    "role and key": Environment(
        config=f"[default]\n{STATIC}{ROLE}source_profile = base\nregion = eu-west-1\n[profile base]\n{STATIC}"
    ),
    "role whose source is web identity": Environment(
        config=f"[default]\n{ROLE}source_profile = w\nregion = eu-west-1\n"
        "[profile w]\nrole_arn = arn:aws:iam::1:role/w\nweb_identity_token_file = {home}/token\n"
        "role_session_name = name\n",
        files={"token": "web-token"},
    ),
    "role and web identity": Environment(
        config=f"[default]\n{ROLE}web_identity_token_file = {{home}}/token\nsource_profile = base\n"
        f"region = eu-west-1\n[profile base]\n{STATIC}",
        files={"token": "web-token"},
    ),
    "role whose source has half a key": Environment(
        config=f"[default]\n{ROLE}source_profile = b\nregion = eu-west-1\n[profile b]\naws_access_key_id = A\n",
        fails=True,
    ),
    "web identity with a line break": Environment(
        {
            "AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/token",
            "AWS_ROLE_ARN": "arn:aws:iam::1:role/w",
            "AWS_ROLE_SESSION_NAME": "pod",
            "AWS_DEFAULT_REGION": "eu-west-1",
        },
        files={"token": "web-token\n"},
    ),
    "container token that ends its line": Environment(
        {**CONTAINER, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "{home}/token"}, files={"token": "pass\n"}, fails=True
    ),
    "container twice": Environment(
        {**CONTAINER, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/container/task"},
    ),
    "container token file that is not there": Environment(
        {**CONTAINER, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "{home}/none"}, fails=True
    ),
    "process with quotes": Environment(
        config='[default]\ncredential_process = echo \'{"Version": 1, ' + PRINTED + "}'\n"
    ),
    "process with a version in a text": Environment(
        config='[default]\ncredential_process = echo \'{"Version": "1", ' + PRINTED + "}'\n", fails=True
    ),
    "process with an end and no token": Environment(
        config='[default]\ncredential_process = echo \'{"Version": 1, ' + PRINTED + f', "Expiration": "{ENDS}"' + "}'\n"
    ),
    "process in a pipe": Environment(config="[default]\ncredential_process = echo a | cat\n", fails=True),
    "sso token of the old time": Environment(
        config=f"[default]\nsso_session = corp\n{SSO}region = eu-west-1\n{SESSION}",
        sso={"corp": {"accessToken": SSO_TOKEN, "expiresAt": "2040-01-01T00:00:00UTC"}},
    ),
    "sso that differs from its session": Environment(
        config=f"[default]\nsso_session = corp\nsso_region = us-east-1\n{SSO}{SESSION}",
        sso={"corp": {"accessToken": SSO_TOKEN, "expiresAt": ENDS}},
        fails=True,
    ),
    "sso whose session has a quoted name": Environment(
        config=f"[default]\nsso_session = corp\n{SSO}{SESSION.replace('corp]', chr(34) + 'corp' + chr(34) + ']')}",
        sso={"corp": {"accessToken": SSO_TOKEN, "expiresAt": ENDS}},
    ),
    "sso beside a key": Environment(
        config=f"[default]\nsso_session = corp\n{SSO}{SESSION}",
        credentials="[default]\n" + STATIC,
        sso={"corp": {"accessToken": SSO_TOKEN, "expiresAt": ENDS}},
    ),
    "instance that answers slowly once": Environment({"AWS_METADATA_SERVICE_NUM_ATTEMPTS": "2"}, instance={}),
    "instance with a number that is none": Environment(
        {"AWS_METADATA_SERVICE_TIMEOUT": "soon"}, instance={}, fails=True
    ),
    "instance by a name in other letters": Environment({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "ipv6"}, instance={}),
}
