"""`python -m tests.bars`: measure, print both columns with the bars, and fail where objstore is short of one."""

from __future__ import annotations

import argparse
import os
import sys
import time
from importlib.metadata import version

from tests.bars.library import NAMES
from tests.bars.runner import Outcome, Results, run
from tests.bars.table import LEFT_OUT, ROWS, Row

SUBJECT = NAMES[0]


def main() -> int:
    """Run the rows that are asked for; return 1 if one is short."""
    asked = arguments()
    rows = [row for row in ROWS if row.number in asked.rows]
    begun = time.monotonic()
    results = run(rows)
    print(f"{SUBJECT} and obstore {version('obstore')}, load average {os.getloadavg()[0]:.1f}; * is short of the bar")
    for row in rows:
        print_row(row, results)
    for number, reason in LEFT_OUT.items():
        print(f"{number:>3}  left out: {reason}")
    short = [row.number for row in rows if row.shortcomings(results[row.number, SUBJECT].figures)]
    print(
        f"{len(rows) - len(short)} of {len(rows)} rows reach their bars, in {time.monotonic() - begun:.0f} s.", end=" "
    )
    print(f"Short: {short}" if short else "")
    return bool(short)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ci/faults", description=__doc__)
    known = [row.number for row in ROWS]
    parser.add_argument("--rows", type=numbers, default=known, help=f"comma-separated numbers of {known}")
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    """Return the numbers in an argument."""
    found = [int(number) for number in text.split(",")]
    if unknown := set(found) - {row.number for row in ROWS}:
        raise argparse.ArgumentTypeError(f"there is no row {', '.join(map(str, sorted(unknown)))}")
    return found


def print_row(row: Row, results: Results) -> None:
    """Print the name, and a line for each figure: bar, objstore, obstore."""
    print(f"{row.number:>3}  {row.name}")
    for name, bar in row.bars.items():
        columns = [column(row, name, results[row.number, library]) for library in NAMES]
        print(f"     {name:<20} {bar!s:>12} {columns[0]:>16} {columns[1]:>16}")
    for library in NAMES:
        if said := results[row.number, library].said.strip():
            print(f"       {library}: {said.splitlines()[-1]}")


def column(row: Row, name: str, outcome: Outcome) -> str:
    """Return a figure with its mark, or how the row failed."""
    if outcome.failure:
        return f"{outcome.failure}*"
    bar, figure = row.bars[name], outcome.figures[name]
    return bar.form.format(figure) + ("" if bar.met(figure) else "*")


if __name__ == "__main__":
    sys.exit(main())
