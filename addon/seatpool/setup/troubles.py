"""What is wrong with the proxies that run, as each leaves it for `seatpool status`.

A small file in this person's runtime directory, which is there also when the database's disk is full. It goes with the
trouble, or with the process.
"""

import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec
import platformdirs

from seatpool import homes

_ENDS = (".json", ".new")
"""Of the names of a file and its draft."""


class Trouble(msgspec.Struct, frozen=True):
    """One thing that is wrong with one proxy."""

    pid: int
    since: datetime
    what: str


def folders() -> tuple[Path, ...]:
    """Where proxies leave them: in the runtime directory, or where they have seen none, beside other state.

    One that was started otherwise (by cron, in a container, before anybody had signed in) may have seen none.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    beside = platformdirs.user_state_path("seatpool")
    return (Path(runtime) / "seatpool", beside) if runtime and Path(runtime).is_dir() else (beside,)


def files() -> tuple[Path, ...]:
    """Of every proxy, alive or not, on whichever database."""
    return tuple(sorted(file for each in folders() for file in each.glob("trouble-*") if file.suffix in _ENDS))


def leave(database: str, troubles: Mapping[str, datetime]) -> None:
    """Say what is wrong with this process now, and since when; nothing: all is well. Raises `OSError`."""
    file, *others = (each / f"trouble-{os.getpid()}.json" for each in folders())
    for past in others if troubles else (file, *others):  # the runtime directory goes when nobody is signed in
        past.unlink(missing_ok=True)
    if not troubles:
        return
    homes.make_private(file.parent, parents=True)
    draft = file.with_suffix(_ENDS[1])
    told = {what: since.isoformat() for what, since in troubles.items()}
    draft.write_text(json.dumps({"database": database, "troubles": told}))
    draft.replace(file)


def read(database: str) -> tuple[Trouble, ...]:
    """Of every proxy on this database that is alive, the oldest first; what others left is taken away."""
    found = []
    for file in files():
        if file.suffix != _ENDS[0]:
            continue
        try:
            pid = int(file.stem.removeprefix("trouble-"))
            if not _alive(pid):
                file.unlink()
                continue
            left = json.loads(file.read_text())
            if left["database"] == database:
                told = left["troubles"].items()
                found += [Trouble(pid, datetime.fromisoformat(since), what) for what, since in told]
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue
    return tuple(sorted(found, key=lambda trouble: trouble.since))


def _alive(pid: int) -> bool:
    if sys.platform == "win32":  # where that would end it
        return _has_not_ended(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _has_not_ended(pid: int) -> bool:
    if sys.platform != "win32":
        return True
    import ctypes

    system = ctypes.WinDLL("kernel32", use_last_error=True)
    system.OpenProcess.restype = ctypes.c_void_p
    process = ctypes.c_void_p(system.OpenProcess(_LIMITED_INFORMATION, False, pid))
    if not process:
        return ctypes.get_last_error() == _ACCESS_DENIED
    code = ctypes.c_ulong(_STILL_ACTIVE)
    system.GetExitCodeProcess(process, ctypes.byref(code))
    system.CloseHandle(process)
    return code.value == _STILL_ACTIVE


_LIMITED_INFORMATION, _STILL_ACTIVE, _ACCESS_DENIED = 0x1000, 259, 5
