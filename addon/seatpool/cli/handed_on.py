"""What is handed on to mitmdump, as far as a start has to know of it. What is wrong with it mitmdump says itself."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec


class HandedOn(msgspec.Struct, frozen=True):
    """None: mitmdump is not told."""

    port: int | None = None
    """Of two that it is told mitmdump takes the last."""
    confdir: Path | None = None
    """mitmdump refuses an option that is set twice."""


def read(arguments: Sequence[str]) -> HandedOn:
    """From mitmdump's own arguments."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--listen-port", "-p")
    parser.add_argument("--set", action="append", default=[])
    try:
        found, _ = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        return HandedOn()
    port = found.listen_port or ""
    confdir = dict(option.partition("=")[::2] for option in found.set).get("confdir")
    return HandedOn(
        int(port) if port.isdecimal() else None, Path(confdir).expanduser() if confdir is not None else None
    )
