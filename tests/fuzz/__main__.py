"""Usage: python -m tests.fuzz [COUNT [FIRST SEED]]"""

import sys
import time
from itertools import chain

from tests.fuzz import listings
from tests.fuzz.hunt import hunt

STEP = 10_000


def main(count: int = 1_000_000, first: int = 0) -> int:
    """Read so many replies, and as many listings; print what is found, and return 1 if that is anything."""
    found, begun = 0, time.monotonic()
    for start in range(first, first + count, STEP):
        end = min(start + STEP, first + count)
        for one in chain(hunt(range(start, end)), listings.hunt(range(start, end))):
            print(one, flush=True)
            found += 1
        print(
            f"{end - first:,} replies and listings in {time.monotonic() - begun:,.0f} s, {found} read wrongly",
            flush=True,
        )
    return found > 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
