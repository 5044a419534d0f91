"""Types of what is given to the scripts on their command lines: what is wrong is told before anything begins."""

import argparse
from collections.abc import Callable
from math import inf
from pathlib import Path


def at_least(least: int) -> Callable[[str], int]:
    """A whole number, not below this one."""

    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"say {least} or more")
        return value

    return number


def more_than(least: float, most: float = inf) -> Callable[[str], float]:
    """A number above this one, and not above that one."""

    def number(text: str) -> float:
        if not least < (value := float(text)) <= most or value == inf:
            raise argparse.ArgumentTypeError(f"say more than {least:g}" + (f", {most:g} at most" if most < inf else ""))
        return value

    return number


def writable(text: str) -> Path:
    """A file that is there, or can be."""
    path = Path(text)
    if not path.parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no file that can be written")
    return path
