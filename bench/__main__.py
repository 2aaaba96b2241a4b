"""`python -m bench`: measure, print as rows are done, then write the result file and the picture."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import signal
import sys
import time
from typing import Any

from bench import machine, picture, report, summary
from bench.bars import Figure
from bench.peers import PEERS
from bench.rows import ROWS
from bench.runner import Plan, run
from bench.servers.process import MissingProgramError
from bench.site import HERE, Site

RESULTS = HERE / "results"
ALL_PEERS = frozenset(peer.name for peer in PEERS)
QUICK_PEERS = ("objstore", "obstore", "tensorstore", "floor")
QUIET_LOAD = 0.5


def main() -> int:
    asked = _arguments()
    plan = Plan(
        rows=[row.quick() if asked.quick else row for row in ROWS if row.name in asked.rows],
        peers=frozenset(asked.peers or (QUICK_PEERS if asked.quick else ALL_PEERS)),
        rounds=asked.rounds or (1 if asked.quick else 5),
        quick=asked.quick,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that a gigabyte of files in memory goes with the run
    try:
        _run(plan, _name(plan))
    except MissingProgramError as missing:
        _say(str(missing))
        return 1
    return 0


def _name(plan: Plan) -> str:
    """Return the name of the result files: a whole run is not overwritten by less than one."""
    if plan.quick:
        return "quick"
    return "latest" if plan.peers == ALL_PEERS and len(plan.rows) == len(ROWS) else "selected"


def _run(plan: Plan, name: str) -> None:
    began = time.monotonic()
    result: dict[str, Any] = {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "quick": plan.quick,
        "rounds": plan.rounds,
        "machine": machine.machine(),
        "rows": [],
    }
    _say(f"{len(plan.rows)} rows, {plan.rounds} rounds")
    if os.getloadavg()[0] > QUIET_LOAD:
        _say(f"the machine is not quiet (load {os.getloadavg()[0]:.1f}): figures will be noise")
    with Site() as site:
        result["versions"] = machine.versions(site)
        figures = _measure(site, plan, result)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    picture.draw(plan.rows, figures, RESULTS / f"{name}.png")
    _say(f"done in {time.monotonic() - began:.0f} s: bench/results/{name}.json and {name}.png")


def _measure(site: Site, plan: Plan, result: dict[str, Any]) -> dict[str, dict[str, Figure]]:
    figures: dict[str, dict[str, Figure]] = {}
    for row, entries in run(site, plan, _say):
        lines = summary.lines(entries)
        figures[row.name] = summary.figures(row, lines)
        verdicts = summary.verdicts(row, figures)
        for text in (report.table(row, lines, figures[row.name]), report.failures(entries), report.bars(verdicts)):
            if text:
                print(text)
        print(flush=True)
        result["rows"].append(report.record(row, entries, lines, verdicts))
    return figures


def _arguments() -> argparse.Namespace:
    rows, peers = [row.name for row in ROWS], sorted(ALL_PEERS)
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", type=_names(rows), default=rows, help=f"comma-separated, of: {', '.join(rows)}")
    parser.add_argument("--peers", type=_names(peers), help=f"comma-separated, of: {', '.join(peers)}")
    parser.add_argument("--rounds", type=int, help="rounds of each row (default 5; 1 with --quick)")
    parser.add_argument("--quick", action="store_true", help="a part of the work, one round, four peers: does all run?")
    return parser.parse_args()


def _names(known: list[str]) -> Any:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(known)}")
        return names

    return parse


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
