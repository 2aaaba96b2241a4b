"""Two builds of objstore side by side: rounds of each row alternate between the trees, and are compared pair by pair.

`python -m bench.trees OTHER_TREE [--rows get_many,serial] [--rounds 9]`, where the other tree has its extension built.
A ratio above 1: this tree takes longer, or more CPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from statistics import median

from bench.asked import add_choice
from bench.peers import PEERS
from bench.rows import ROWS, Row
from bench.runner import WORKER_SECONDS, environment
from bench.samples import Job, Sample
from bench.site import HERE, Site

OURS = next(peer for peer in PEERS if peer.name == "objstore")


def sample(site: Site, row: Row, tree: Path) -> Sample:
    """Measure a row once with the build of a tree."""
    mode = next(iter(OURS.modes_for(row))).name
    job = Job(
        row.name, False, OURS.name, mode, site.url(row.door), str(site.certificate), str(site.files), str(site.floor)
    )
    done = subprocess.run(
        [sys.executable, "-m", "bench.worker"],
        input=json.dumps(asdict(job)),
        cwd=tree,
        env=environment(site) | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=WORKER_SECONDS,
    )
    if not done.stdout:
        raise SystemExit(f"{tree}: {row.name}: {done.stderr}")
    return Sample(**json.loads(done.stdout.splitlines()[-1]))


def compare(site: Site, row: Row, other: Path, rounds: int) -> str:
    """Return the medians of the paired ratios of a row, with their spread."""
    pairs = []
    for turn in range(rounds):
        trees = (other, HERE.parent) if turn % 2 else (HERE.parent, other)
        found = {tree: sample(site, row, tree) for tree in trees}
        pairs.append((found[HERE.parent], found[other]))
    shown = []
    for what in ("wall", "cpu"):
        ratios = sorted(getattr(new, what) / getattr(old, what) for new, old in pairs)
        shown.append(f"{what} {median(ratios):.3f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    return f"{row.name:16} {', '.join(shown)}; wall here {median(new.wall for new, _ in pairs):.3f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=lambda text: Path(text).resolve())
    add_choice(parser, "--rows", ROWS)
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    with Site() as site:
        for row in asked.rows:
            print(compare(site, row, asked.other, asked.rounds), flush=True)


if __name__ == "__main__":
    main()
