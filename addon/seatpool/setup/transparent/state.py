"""What is known from outside of the process that holds the rules: a file of root's in `/run/seatpool`.

Rules belong to a network namespace, so the file does as well. It goes with the machine's memory, as the rules do.
"""

import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from signal import SIGKILL, SIGTERM

import msgspec

from seatpool.setup.transparent import TransparentError
from seatpool.setup.transparent.backends import BACKENDS, all_here
from seatpool.setup.transparent.process import Process

ENDS_WITHIN_S = 20.0
"""A holder that is asked to; it gives its proxy half of that."""


class Phase(StrEnum):
    """What is the case."""

    ON = "on"
    OFF = "off"
    BROKEN = "broken"
    """Somebody has died who should have cleaned up."""


class State(msgspec.Struct, frozen=True):
    """Written by the holder."""

    backend: str
    holder: Process
    proxy: Process
    port: int
    user: str
    hosts: tuple[str, ...]
    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]
    since: str
    log: str
    asked: str = ""
    """A digest of the order that it serves."""
    note: str | None = None
    """Of the backend."""

    @property
    def phase(self) -> Phase:
        """By the processes alone, which anybody may look at."""
        return Phase.ON if self.holder.is_alive and self.proxy.is_alive else Phase.BROKEN


def folder() -> Path:
    """Where root keeps what lasts until the machine is started again."""
    return Path("/run/seatpool" if platform.system() == "Linux" else "/var/run/seatpool")


def file_of(suffix: str = "json") -> Path:
    """Of this network namespace."""
    try:
        namespace = str(os.stat("/proc/self/ns/net").st_ino)  # noqa: PTH116 # resolving it would lead nowhere
    except OSError:
        namespace = "all"
    return folder() / f"transparent-{namespace}.{suffix}"


def read() -> State | None:
    """None where nothing was switched on, or nothing can be understood."""
    try:
        return msgspec.json.decode(file_of().read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError):
        return None


def write(state: State) -> None:
    """Whole."""
    make_folder()
    draft = file_of(f"{os.getpid()}")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
    draft.chmod(0o644)
    draft.replace(file_of())


def forget(*, log: bool = True) -> None:
    """All of it, and the folder where nobody else needs it; without `log` what the proxy has said stays."""
    for suffix in ("json", "log") if log else ("json",):
        file_of(suffix).unlink(missing_ok=True)
    try:
        folder().rmdir()
    except OSError:
        pass  # another namespace's is there, or none was made


def make_folder() -> None:
    """Root's, for all to read."""
    folder().mkdir(mode=0o755, parents=True, exist_ok=True)


@contextmanager
def alone() -> Iterator[None]:
    """One at a time switches something. Raises `TransparentError`."""
    lock = os.open("/run" if Path("/run").is_dir() else "/var/run", os.O_RDONLY)
    try:
        until = time.monotonic() + ENDS_WITHIN_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise TransparentError("another `transparent` command is at work; try again") from None
                time.sleep(0.1)
        yield
    finally:
        os.close(lock)


def end() -> bool:
    """Root ends whatever is there, dead or alive, and leaves nothing. Whether there was anything."""
    state = read()
    if state is not None:
        _end(state.holder)
        _end(state.proxy)  # unless the holder has
    found = state is not None
    for backend in all_here():
        if backend.present() or (state is not None and state.backend == backend.name and state.note):
            found = True
            backend.take(state.note if state else None)
    forget()
    return found


def rules_are_there(state: State | None) -> bool | None:
    """None: only root may know."""
    if os.geteuid() != 0:
        return None
    if state is not None:
        return BACKENDS[state.backend]().present()
    return any(backend.present() for backend in all_here())


def _end(process: Process) -> None:
    process.signal(SIGTERM)
    until = time.monotonic() + ENDS_WITHIN_S
    while process.is_alive and time.monotonic() < until:
        time.sleep(0.02)
    process.signal(SIGKILL)
