"""A program that forks while another thread makes the first call: a child that meets an import cut short would hang."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from objstore.store import HTTPStore


def fork_beside_it(origin: str) -> None:
    """Fork children that make a call, too, until the thread has made its own; say how many have failed."""

    assert "objstore.operations" not in sys.modules
    store = HTTPStore(origin, client_options={"allow_http": True})
    imported = {*sys.modules}

    def use() -> bool:
        return len(store.get("5/a").bytes()) == 5

    thread = threading.Thread(target=use)
    thread.start()
    pids = []
    while thread.is_alive() and len(pids) < 4:
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)
            os._exit(0 if use() else 1)
        pids.append(pid)
        time.sleep(0.005)
    thread.join()
    assert {*sys.modules} <= imported
    print(sum(os.waitpid(pid, 0)[1] != 0 for pid in pids))
