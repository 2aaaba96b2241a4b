"""README.md: every block of Python runs as it is written, from top to bottom, by the names of real services."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from threading import Thread

import pytest

from objstore.store import S3Store
from tests.listener import Listener
from tests.servers import S3Server, WebDavServer
from tests.tls_proxy import standing_in

ROOT = Path(__file__).parent.parent
REGION = "eu-west-1"
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)

for module in ("boto3", "fsspec", "pandas", "pyarrow", "xarray", "zarr"):
    pytest.importorskip(module, reason=f"{module}, which README.md shows objstore with, is not installed")


def fill(server: S3Server) -> None:
    """Store what the blocks take to be there."""
    import pandas
    import zarr

    from objstore.zarr import Store

    server.client().create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    keys = {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key}
    place = {"endpoint": server.endpoint, "region": REGION, "client_options": {"allow_http": True}}
    store = S3Store("bucket", **keys, **place)
    arrays = Store(S3Store("bucket", prefix="arrays", **keys, **place))
    table = pandas.DataFrame({"a": [1, 2, 3]}).to_parquet()
    names = ("table.parquet", "table/part-0.parquet", "logs/2025/part-0.parquet", "logs/2026/part-0.parquet")
    store.put_many([(name, table) for name in names])
    store.put_many([("a", b"1"), ("b", b"2"), ("c", bytes(12288)), ("big", bytes(12 << 20)), ("huge/1", b"")])
    store.with_raw_keys().put("a//b/", b"")
    zarr.create_group(arrays).create_array("group/array", shape=(4,), dtype="i4", dimension_names=("x",))[:] = 1


def serve_files(folder: Path) -> Listener:
    """Run an HTTP server of the files in a folder."""
    (folder / "data").mkdir(parents=True)
    for name in ("a", "b"):
        (folder / "data" / name).write_bytes(bytes(4096))
    server = Listener(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    return server


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_every_block_runs(ministack: S3Server, webdav: WebDavServer, tmp_path: Path) -> None:
    fill(ministack)
    work = tmp_path / "work"
    work.mkdir()
    with serve_files(tmp_path / "site") as site:
        stand_ins = {
            f"s3.{REGION}.amazonaws.com": ministack.endpoint,
            "example.com": f"http://127.0.0.1:{site.server_address[1]}",
            "dav.example.com": webdav.url.removesuffix("/dav"),
        }
        with standing_in(stand_ins, tmp_path) as proxy:
            env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
            env |= {
                "AWS_ACCESS_KEY_ID": ministack.access_key_id,
                "AWS_SECRET_ACCESS_KEY": ministack.secret_access_key,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_EC2_METADATA_DISABLED": "true",
                "HTTPS_PROXY": proxy.url,
                "AWS_CA_BUNDLE": str(proxy.certificates),
                "PYTHONPATH": str(ROOT),
                "HOME": str(work),
            }
            program = "\n".join(f"# --- block {number}\n{block}" for number, block in enumerate(BLOCKS, 1))
            (work / "readme.py").write_text(program)
            ended = subprocess.run(
                [sys.executable, "readme.py"], cwd=work, env=env, capture_output=True, text=True, timeout=100
            )
        site.shutdown()
    assert ended.returncode == 0, ended.stderr
    assert "data/a" in ended.stdout
    assert len(BLOCKS) >= 10
