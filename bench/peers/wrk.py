"""wrk, a load generator in C over OpenSSL: the floor of rows over TLS, which raw sockets cannot speak.

It asks for as long as it is told and not as often, looks at no byte, and makes its connections inside the clock: a
fiftieth of it.
"""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.data import BUCKET
from bench.rows import Row
from bench.samples import Job, Sample
from bench.workloads import Workload

SECONDS = 3
SCRIPT = """
local paths = {%s}
local at = 0
request = function()
    at = at %% #paths + 1
    return wrk.format("GET", paths[at])
end
"""


def measure(row: Row, load: Workload, job: Job) -> Sample:
    program = shutil.which("wrk")
    if program is None:
        raise FileNotFoundError("no wrk on this machine: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "paths.lua")
        script.write_text(SCRIPT % ",".join(f'"/{BUCKET}/{key}"' for key in load.timed))
        options = ["--threads=1", f"--connections={row.concurrency}", f"--duration={SECONDS}s", f"--script={script}"]
        printed = subprocess.run([program, *options, job.url], check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in printed, printed
    done, wall = re.search(r"(\d+) requests in ([\d.]+)s", printed).groups()  # type: ignore[union-attr]
    share = load.requests / int(done)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Sample(float(wall) * share, (usage.ru_utime + usage.ru_stime) * share, load.requests, load.bytes, 0)
