"""What a command is asked for: some of what it knows, by their names."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Protocol


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """Return it."""


def add_choice(parser: argparse.ArgumentParser, option: str, known: Sequence[Named]) -> None:
    """Have an option take names, divided by commas; without it, it is all that there are."""
    names = {each.name: each for each in known}

    def read(text: str) -> list[Named]:
        if unknown := set(text.split(",")) - set(names):
            raise argparse.ArgumentTypeError(f"there is no {min(unknown)!r}")
        return [names[name] for name in text.split(",")]

    parser.add_argument(option, type=read, default=list(known), help=f"comma-separated, of: {', '.join(names)}")
