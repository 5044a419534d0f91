"""Files with a secret in them that a person asks for: their owner's alone, and whole or not there at all."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import FileIO
from pathlib import Path

from seatpool import inplace

type Write = Callable[[bytes], None]
"""To be called once. All of it is on the disk when it returns; raises `OSError`."""


@contextmanager
def new(file: Path) -> Iterator[Write]:
    """Where nothing is yet. It goes again where the block ends in an exception. Raises `OSError`."""
    handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with _taken_back(file), os.fdopen(handle, "wb", buffering=0) as stream:
        yield partial(_write, file, stream)


@contextmanager
def replacing(file: Path) -> Iterator[Write]:
    """What is there stays until the block has ended, and where that is in an exception. Raises `OSError`."""
    with inplace.named(file):
        handle, draft = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)  # which makes files 0600
    with _taken_back(Path(draft)):
        with os.fdopen(handle, "wb", buffering=0) as stream:
            yield partial(_write, file, stream)
        inplace.put(Path(draft), file)


@contextmanager
def _taken_back(file: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _write(file: Path, stream: FileIO, content: bytes) -> None:
    left = memoryview(content)
    with inplace.named(file):
        while left:  # nothing is kept back, to be written and to fail once more when it is closed
            left = left[stream.write(left) :]
        os.fsync(stream.fileno())
