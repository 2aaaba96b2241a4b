"""The real servers are worth testing against: they keep objects, and refuse a wrong signature."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.servers import S3Server


def test_keeps_an_object(s3_server: S3Server) -> None:
    bucket = s3_server.make_bucket("kept-bucket")
    s3_server.client().put_object(Bucket=bucket, Key="a/b c", Body=b"data")
    assert s3_server.client().get_object(Bucket=bucket, Key="a/b c")["Body"].read() == b"data"


@pytest.mark.parametrize(
    ("wrong", "codes"),
    [
        ({"secret_access_key": "another-secret-key"}, ["SignatureDoesNotMatch"]),
        ({"access_key_id": "another-key-id"}, ["InvalidAccessKeyId", "XAdminUserNotFound"]),
    ],
)
def test_refuses_wrong_keys(s3_server: S3Server, wrong: dict[str, str], codes: list[str]) -> None:
    bucket = s3_server.make_bucket("kept-bucket")
    with pytest.raises(ClientError) as refused:
        replace(s3_server, **wrong).client().put_object(Bucket=bucket, Key="refused", Body=b"data")
    assert refused.value.response["Error"]["Code"] in codes


@pytest.mark.parametrize("ending", ["time.sleep(60)", "sys.exit()"])
def test_guard_leaves_nothing_behind(ending: str) -> None:
    script = f"import subprocess, sys, time; subprocess.Popen(['sleep', '60']); print('up', flush=True); {ending}"
    guard = [sys.executable, str(Path(__file__).with_name("guard.py")), sys.executable, "-c", script]
    with subprocess.Popen(guard, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.communicate(timeout=30)  # returns once the grandchild, too, has closed its standard output
