"""The floor: floor.c, raw epoll sockets, which takes its own time and CPU. It checks lengths, not bytes."""

from __future__ import annotations

import json
import subprocess
import tempfile
from typing import Any
from urllib.parse import urlsplit

from bench.data import BUCKET, LARGE
from bench.rows import Row
from bench.samples import Job, Sample
from bench.workloads import Workload


def measure(row: Row, load: Workload, job: Job) -> Sample:
    port = str(urlsplit(job.url).port)
    if row.operation in ("whole", "put"):
        return _run(load, [job.floor, row.operation, port, f"/{BUCKET}/{row.key}", str(LARGE[row.key])])
    warm, timed = _asks(row, load.warm), _asks(row, load.timed)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("".join(warm + timed))
        file.flush()
        return _run(load, [job.floor, "many", port, str(row.concurrency), str(len(warm)), file.name])


def _asks(row: Row, inputs: list[Any]) -> list[str]:
    if row.operation == "ranges":
        return [f"/{BUCKET}/{row.key} {start} {start + row.each}\n" for call in inputs for start in call]
    end = row.each if row.operation == "serial" else 0
    return [f"/{BUCKET}/{key} 0 {end}\n" for key in inputs]


def _run(load: Workload, argv: list[str]) -> Sample:
    printed = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    assert printed["bytes"] == load.bytes, f"the floor got {printed['bytes']} bytes of {load.bytes}"
    return Sample(printed["wall"], printed["cpu"], load.requests, load.bytes, 0)
