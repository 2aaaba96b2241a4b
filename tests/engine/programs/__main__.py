"""Programs that tests run in a process of their own: python -m tests.engine.programs MODULE.FUNCTION ARGUMENTS."""

import os
import signal
import sys
from importlib import import_module

LONGEST = 1000
"""After so many seconds a program ends, and each child that it forks: who was to end them may have been ended."""

if __name__ == "__main__":
    signal.alarm(LONGEST)
    os.register_at_fork(after_in_child=lambda: signal.alarm(LONGEST))
    module, _, name = sys.argv[1].partition(".")
    sys.exit(getattr(import_module(f"tests.engine.programs.{module}"), name)(*sys.argv[2:]))
