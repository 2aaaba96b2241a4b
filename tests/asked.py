"""Ask a library who we are, in one environment after another: each in a process of its own."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

Ask = Callable[[], dict[str, Any]]


def in_turn(ask: Ask, is_here: Callable[[socket.socket, Any], bool]) -> None:
    """Answer until there is nothing more to answer: a line of JSON with variables in, one with the answer out.

    Args:
        ask: Asks the library.
        is_here: Tells whether a socket may connect to an address: everything else fails.
    """
    warnings.simplefilter("ignore")
    os.environ["TZ"] = "UTC"
    time.tzset()
    _stay_here(is_here)
    for line in sys.stdin:
        if os.fork() == 0:
            print(_answer(ask, json.loads(line)), flush=True)
            os._exit(0)
        _, status = os.wait()
        if status != 0:
            print(json.dumps({"broken": status}), flush=True)


def _stay_here(is_here: Callable[[socket.socket, Any], bool]) -> None:
    """Fail every connection to elsewhere that Python makes."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        assert is_here(self, address), f"went to {address}"
        connect(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign]


def _answer(ask: Ask, variables: dict[str, str]) -> str:
    """Ask in an environment."""
    os.environ.clear()
    os.environ.update(variables)
    begun = time.monotonic()
    try:
        found = ask()
    except AssertionError:
        raise
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {error}"}
    return json.dumps({**found, "took": time.monotonic() - begun})
