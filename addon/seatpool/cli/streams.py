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


def let_go() -> str | None:
    """What keeps the output from taking what was said, if anything does: a full disk. It takes nothing more then.

    What it has not taken Python would try to write once more when it ends, to complain of it in words of its own.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return None  # whoever reads has read enough
    except OSError as error:
        with open(os.devnull, "w") as nothing:  # noqa: PTH123 # no file
            os.dup2(nothing.fileno(), sys.stdout.fileno())
        return error.strerror or str(error)
    return None


def _nothing(mode: str) -> TextIOWrapper:
    """For what is started from here as well: its number is the closed one's, which the next file would have had."""
    stream = open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, SIM115 # no file, and it stays open
    os.set_inheritable(stream.fileno(), True)
    assert isinstance(stream, TextIOWrapper)
    return stream
