"""What an import costs: whole processes side by side, in turns. `python -m bench.imports [ROUNDS]`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median, quantiles

STORE = 'S3Store("bucket", region="eu-west-1", access_key_id="key", secret_access_key="secret")'
PROGRAMS = {
    "nothing": "pass",
    "obstore: import": "import obstore.store",
    "objstore: import": "import objstore.store",
    "obstore: a store and its get": f"from obstore.store import S3Store; {STORE}.get",
    "objstore: a store and its get": f"from objstore.store import S3Store; {STORE}.get",
}
# an installed package has its bytecode beside it
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(program: str) -> float:
    """Return how long an interpreter takes to start, run a program and end."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, env=ENVIRONMENT)
    return time.perf_counter() - begun


def main(rounds: int) -> None:
    """Print the medians, and how they compare with obstore's round by round."""
    for program in PROGRAMS.values():
        seconds(program)
    rows = [{name: seconds(program) for name, program in PROGRAMS.items()} for _ in range(rounds)]
    for name in PROGRAMS:
        times = [row[name] * 1e3 for row in rows]
        print(f"{name:32} {median(times):6.1f} ms  ({min(times):.1f} to {max(times):.1f})")
    for what in ("import", "a store and its get"):
        ratios = [row[f"objstore: {what}"] / row[f"obstore: {what}"] for row in rows]
        low, middle, high = quantiles(ratios, n=4)
        print(f"{what}: {middle:.2f} x obstore's (half of the rounds from {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
