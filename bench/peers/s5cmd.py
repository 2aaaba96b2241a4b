"""s5cmd, a program in Go, as ci/servers builds it: told one line for each object."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.data import ACCESS_KEY_ID, BUCKET, REGION, SECRET_ACCESS_KEY
from bench.peers import Target, Work
from bench.servers.process import MissingProgramError

PROGRAM = Path(__file__).parents[2] / "build" / "servers" / "s5cmd"


def folder(target: Target) -> Work:
    if not PROGRAM.exists():
        raise MissingProgramError("SKIPPED: s5cmd is not built: ci/servers builds it, with Go")
    keys = {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_REGION": REGION,
    }
    command = [str(PROGRAM), "--endpoint-url", target.url, "--log", "error", "run"]

    def work(job: tuple[Sequence[tuple[str, int]], Path]) -> None:
        lines = "".join(f"cp s3://{BUCKET}/{key} {job[1] / key}\n" for key, _ in job[0])
        subprocess.run(command, input=lines, text=True, check=True, env={**os.environ, **keys})

    return work


WORKS = {("folder", "run"): folder}
