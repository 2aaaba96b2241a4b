"""Uploads to a server that hangs up, in a process that dies of SIGPIPE as C programs do."""

import os
import signal
import socket
import tempfile

from objstore._core import ClientSettings
from objstore.plans.run import run
from tests.engine.client import new_batch, settle
from tests.engine.raw import answering


def hung_up(connection: socket.socket) -> None:
    """Read little, and close."""
    connection.recv(1000)
    connection.close()


def upload_files() -> None:
    """Send files until a `sendfile` has met a connection that is gone, and print how the process fared."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    with tempfile.TemporaryFile() as file, answering(hung_up) as raw:
        file.truncate(30_000_000)
        for background in (False, True):
            for _ in range(10):
                made = new_batch(raw.origin, "PUT", ClientSettings(user_agent="tests"))
                made.add(b"/a", body=(file.fileno(), 0, 30_000_000))
                made.seal()
                assert list(run(settle(made, background=background))) == [0]
    assert signal.SIGPIPE not in signal.sigpending()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    os.write(1, b"alive")
