"""Programs that fork while another thread makes the first store or call: a child that meets an import cut short would
hang."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from objstore.store import HTTPStore, S3Store


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


def fork_beside_the_first_store() -> None:
    """Fork children that make a store, too, until the thread has made its own; say how many have failed."""

    assert "objstore._core" not in sys.modules
    thread = threading.Thread(target=S3Store, args=("bucket",), kwargs={"region": "eu-west-1", "skip_signature": True})
    thread.start()
    pids = []
    while thread.is_alive() and len(pids) < 8:
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)
            S3Store("bucket", region="eu-west-1", skip_signature=True)
            os._exit(0)
        pids.append(pid)
        time.sleep(0.01)
    thread.join()
    print(bool(pids), sum(os.waitpid(pid, 0)[1] != 0 for pid in pids))
