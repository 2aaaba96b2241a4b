"""Run a program beside an S3 server of its own, in a network that has nothing but loopback, where that can be made.

Usage: unshare --net python -m tests.alone COMMAND [ARGUMENT ...]

``STORE`` among the arguments stands for the URL of a bucket with 100 objects in a folder called objects; who may use
it, and where it is, is in the environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from objstore.store import S3Store
from tests.servers import rclone

ROOT = Path(__file__).parent.parent
BODIES = {f"{number * 40503 % 65536:04x}": bytes(number << 8) + b"x" for number in range(100)}
"""Bodies by names that are spread as hashes are."""

ZEROS = sum(len(body) - 1 for body in BODIES.values())


def main(command: list[str]) -> int:
    """Run a command; return how it ended."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with rclone() as server, tempfile.TemporaryDirectory() as home:
        bucket = server.make_bucket("alone")
        settings = {
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_REGION": server.region,
            "AWS_ALLOW_HTTP": "true",
            "AWS_CONDITIONAL_PUT": "etag",  # it ignores conditions, and one runner of a job needs none
            "AWS_ACCESS_KEY_ID": server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
        }
        os.environ |= {
            **settings,
            "HOME": home,
            "RAY_AUTH_MODE": "disabled",
            "RAY_TMPDIR": home,
            "DASK_TEMPORARY_DIRECTORY": home,
        }
        os.environ["PYTHONPATH"] = str(ROOT)
        S3Store(bucket).put_many((f"objects/{name}", body) for name, body in BODIES.items())
        filled = [each.replace("STORE", f"s3://{bucket}") for each in command]
        return subprocess.run(filled, cwd=ROOT / "examples").returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
