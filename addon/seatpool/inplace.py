"""A file takes another one's place whole, on Windows as well while somebody looks at that one."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PAUSES_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Between two tries. Who scans or indexes a new file is done within milliseconds."""


@contextmanager
def drafting(draft: Path, file: Path) -> Iterator[None]:
    """While the one is written that takes the other's place: none is left of what failed. Raises `OSError`."""
    with named(file):
        try:
            yield
        except BaseException:
            with suppress(OSError):  # what kept it from being written may keep it from being looked for as well
                draft.unlink()
            raise


@contextmanager
def named(file: Path) -> Iterator[None]:
    """A full disk does not say what could not be written, and a draft's name tells nothing. Raises `OSError`."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(file)) from error


def put(draft: Path, file: Path, *, windows: bool = os.name == "nt") -> None:
    """Move the one to where the other is, or will be. Raises `OSError`.

    Windows refuses while anybody has the other one open, be it a scanner of viruses or a program that reads its
    settings; Python asks it for no more than to move. Elsewhere a refusal stays one.
    """
    for pause_s in PAUSES_S if windows else ():
        try:
            draft.replace(file)
        except PermissionError:
            time.sleep(pause_s)
        else:
            return
    draft.replace(file)
