"""Runs rows for libraries, each in a process and with a fault server of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tests.bars.figures import Figures
from tests.bars.library import NAMES
from tests.bars.table import Row
from tests.faults.client import ROOT, fault_server

LIMIT = 100.0  # seconds of one row for one library
AT_ONCE = 6  # rows that wait


class Outcome(NamedTuple):
    """What a row gave for a library: figures, or how its process failed."""

    figures: Figures
    failure: str = ""
    said: str = ""


Results = dict[tuple[int, str], Outcome]


def run(rows: Sequence[Row]) -> Results:
    """Run the rows: first those that wait, side by side, then the others, both libraries at the same time."""
    jobs = [(row, name) for row in rows for name in NAMES]
    results: Results = {}
    for waits, at_once in ((True, AT_ONCE), (False, len(NAMES))):
        chosen = sorted((job for job in jobs if job[0].waits is waits), key=lambda job: -SECONDS.get(job[0].number, 0))
        with ThreadPoolExecutor(at_once) as pool:
            outcomes = pool.map(lambda job: measured(*job), chosen)
            results |= {(row.number, name): outcome for (row, name), outcome in zip(chosen, outcomes, strict=True)}
    return results


SECONDS = {10: 45, 7: 40, 9: 30, 3: 20, 5: 20, 15: 30}
"""About what the longest rows take: they begin first."""


def measured(row: Row, name: str) -> Outcome:
    """Measure, and once more what is short because the machine may have been busy."""
    outcome = measured_once(row, name)
    return measured_once(row, name) if row.paced and name == NAMES[0] and row.shortcomings(outcome.figures) else outcome


def measured_once(row: Row, name: str) -> Outcome:
    """Measure in a process group of its own, which is killed when its time is up."""
    with fault_server() as server:
        command = [sys.executable, "-m", "tests.bars.worker", str(row.number), name, server.endpoint]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
        )
        try:
            out, said = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return Outcome({}, "hang")
    return understood(process.returncode, out, said)


def understood(code: int, out: str, said: str) -> Outcome:
    if code == 0:
        return Outcome(json.loads(out), said=said)
    return Outcome({}, "crash" if code < 0 else "error", said)
