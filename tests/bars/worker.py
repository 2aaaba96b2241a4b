"""One row for one library in this process; prints the figures as JSON. Usage: ROW LIBRARY ENDPOINT."""

from __future__ import annotations

import json
import sys

from tests.bars.library import Library
from tests.bars.table import ROWS
from tests.faults.client import FaultServer


def main(number: str, name: str, endpoint: str) -> None:
    """Measure."""
    row = next(row for row in ROWS if row.number == int(number))
    print(json.dumps(row.measure(Library(name), FaultServer(endpoint))))


if __name__ == "__main__":
    main(*sys.argv[1:])
