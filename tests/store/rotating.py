"""Rotations that are killed, for programs that fork: to start Python anew for each would take most of the time."""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import keyring

from seatpool.store import Store
from seatpool.store.sealing import masterkey, rotation
from tests.store.drawers import Chest
from tests.store.made import oauth, sign_in

ACCOUNTS = range(1, 4)


def in_every_line(path: Path, chest: Path | None) -> int:
    """Rotate, killed one line later each time, until nothing is left to kill; how often that was.

    Raises where anything cannot be read afterwards, or where a second key stays: in the file after the next opening,
    in the keyring after the next rotation.
    """
    if chest is not None:
        os.environ.pop("SEATPOOL_KEYRING")
        keyring.set_keyring(Chest(chest))
    with Store.open(str(path)) as store:
        for number in ACCOUNTS:
            sign_in(store, f"a{number}", identity=str(number), credentials=[oauth(number)])
    killed = 0
    while forked(partial(_rotate, path, killed + 1)) == signal.SIGKILL:
        killed += 1
        check(path)
        if chest is not None:
            _next_one_tidies(path, chest)
    check(path)
    return killed


def check(path: Path) -> None:
    """A fresh start reads everything, with one key."""
    with Store.open(str(path)) as store:
        tokens = [held.token for kinds in store.every_credential().values() for held in kinds.values()]
    assert sorted(tokens) == [oauth(number).token for number in ACCOUNTS], tokens
    file = masterkey.key_file(str(path), "")
    assert not file.exists() or len(file.read_text().split()) == 1
    assert not [left.name for left in path.parent.iterdir() if left.name.endswith(".new")]


def _next_one_tidies(path: Path, chest: Path) -> None:
    with Store.open(str(path)) as store:
        assert store.keys.rotate() == len(ACCOUNTS)
    assert len(Chest(chest).kept_now()) == 1


def forever(path: Path) -> None:
    """For each line that comes in: a process that rotates once, tells its number, and goes on until it is killed."""
    for _ in sys.stdin:
        if (pid := os.fork()) == 0:
            with Store.open(str(path)) as store:
                store.keys.rotate()
                print(os.getpid(), flush=True)
                while True:
                    store.keys.rotate()
        os.waitpid(pid, 0)
        print("dead", flush=True)


def forked(work: Callable[[], object]) -> int:
    """The signal that killed a process which did `work`, or 0."""
    if (pid := os.fork()) == 0:
        work()
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def _rotate(path: Path, line: int) -> None:
    left = line

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in (rotation.__file__, masterkey.__file__):
            return None
        left -= event == "line"
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    with Store.open(str(path)) as store:
        sys.settrace(trace)
        store.keys.rotate()
        sys.settrace(None)
