"""Programs of tests, in a process of their own: python -m tests.engine.programs SECONDS MODULE.FUNCTION ARGUMENTS.

After so many seconds the program ends, and so does each child that it forks: who has started it may have been ended.
"""

import os
import signal
import sys
from importlib import import_module

if __name__ == "__main__":
    seconds = int(sys.argv[1])
    signal.alarm(seconds)
    os.register_at_fork(after_in_child=lambda: signal.alarm(seconds))
    module, _, name = sys.argv[2].partition(".")
    sys.exit(getattr(import_module(f"tests.engine.programs.{module}"), name)(*sys.argv[3:]))
