"""Programs that tests run in a process of their own: python -m tests.engine.programs MODULE.FUNCTION ARGUMENTS."""

import sys
from importlib import import_module

if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(".")
    sys.exit(getattr(import_module(f"tests.engine.programs.{module}"), name)(*sys.argv[2:]))
