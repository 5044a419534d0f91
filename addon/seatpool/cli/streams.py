"""Standard input, output and error as every command may count on them."""

import os
import sys
from io import TextIOWrapper

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def settle() -> None:
    """Those that were closed read and write nothing; what the output cannot show becomes `?`."""
    if os.name == "posix":  # what Windows starts without a window has none either: `run` writes to a file there
        for name, mode in _STREAMS:
            if getattr(sys, name) is None:
                setattr(sys, name, _nothing(mode))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _nothing(mode: str) -> TextIOWrapper:
    """For what is started from here as well: its number is the closed one's, which the next file would have had."""
    stream = open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, SIM115 # no file, and it stays open
    os.set_inheritable(stream.fileno(), True)
    assert isinstance(stream, TextIOWrapper)
    return stream
