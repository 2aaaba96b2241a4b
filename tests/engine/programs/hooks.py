"""A program whose own hooks run while it forks."""

from __future__ import annotations

import os
import threading
import time


def fork_beside_threads(origin: str) -> None:
    """Fork while threads send requests, and go on with them while a hook is slow."""

    def hook() -> None:
        time.sleep(0.02)

    os.register_at_fork(before=hook, after_in_parent=hook)
    # Only now: Python runs what was registered first closest to the fork.
    from tests.engine.programs.asking import good
    from tests.engine.programs.forks import child, codes

    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            good(origin)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    pids = [child(origin) for _ in range(10)]
    over.set()
    for thread in threads:
        thread.join()
    print(codes(pids))
