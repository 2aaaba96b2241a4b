"""One measurement in a process of its own: reads a job from stdin, prints a sample on stdout, both JSON.

The clock runs around one call of the work alone: imports, clients, connections and checks are outside.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path

from bench import data
from bench.peers import PEERS, Target
from bench.rows import ROWS
from bench.samples import Job, Sample
from bench.workloads import workload

SPARE = 64 << 20
"""How much a library may need beside the results, in bytes."""


def measure(job: Job) -> Sample:
    """Run one job in this process."""
    peer = next(peer for peer in PEERS if peer.name == job.peer)
    row = next(row for row in ROWS if row.name == job.row)
    row = row.quick() if job.quick else row
    load = workload(row, Path(job.files), peer.share)
    module = importlib.import_module(f"bench.peers.{job.peer}")
    if hasattr(module, "measure"):  # a program that takes its own time
        measured: Sample = module.measure(row, load, job)
        return measured
    work = module.WORKS[row.operation, job.mode](Target(row, job.url, Path(job.certificate)))
    work(load.warm)
    if row.memory:
        copies = peer.copies if row.operation == "whole" else 1
        data.touch_memory(copies * row.memory + row.memory // 4 + SPARE)
    gc.collect()
    before = _reset_peak()
    wall, cpu = time.perf_counter(), _cpu()
    result = work(load.timed)
    wall, cpu = time.perf_counter() - wall, _cpu() - cpu
    memory = _resident("VmHWM") - before
    load.check(result)
    return Sample(wall, cpu, load.requests, load.bytes, max(memory, 0))


def _cpu() -> float:
    """Return what this process and those below it have taken, of which some still live and others have ended."""
    ended = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in ended) + sum(map(_cpu_of, _below(os.getpid())))


def _below(pid: int) -> list[int]:
    """Return the processes that one has started, and those that they have (Linux: proc(5))."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [each for child in map(int, children) for each in (child, *_below(child))]


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _reset_peak() -> int:
    """Set the peak of resident memory back to what is resident now, and return that (Linux: proc(5))."""
    Path("/proc/self/clear_refs").write_text("5")
    return _resident("VmRSS")


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Job(**json.load(sys.stdin))))))
