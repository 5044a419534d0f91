"""What proxies that are over have left is told of nobody."""

import ctypes
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from seatpool.setup import troubles

RUNNING, ENDED, SOMEBODY_ELSES, NOBODYS = 10, 11, 12, 13
STILL_ACTIVE, ACCESS_DENIED, INVALID_PARAMETER = 259, 5, 87


class _Function:
    def __init__(self, act: Callable[..., Any]) -> None:
        self._act = act
        self.restype: Any = ctypes.c_int

    def __call__(self, *arguments: Any) -> Any:
        return self._act(*arguments)


class Kernel:
    """Of Windows, with four processes."""

    def __init__(self, *_: object, **__: object) -> None:
        self.opened: set[int] = set()
        self.error = 0
        self.OpenProcess = _Function(self._open)
        self.GetExitCodeProcess = _Function(self._code)
        self.CloseHandle = _Function(lambda handle: self.opened.remove(handle.value))

    def _open(self, _access: int, _inherited: bool, pid: int) -> int | None:
        self.error = {SOMEBODY_ELSES: ACCESS_DENIED, NOBODYS: INVALID_PARAMETER}.get(pid, 0)
        if not self.error:
            self.opened.add(pid)
        return None if self.error else pid

    def _code(self, handle: Any, code: Any) -> int:
        code._obj.value = STILL_ACTIVE if handle.value == RUNNING else 1
        return 1


def test_on_windows_what_a_proxy_that_was_killed_has_left_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    told = json.dumps({"database": "pool.db", "troubles": {"no space": "2026-11-20T10:00:00+00:00"}})
    (tmp_path / "seatpool").mkdir()
    for pid in (RUNNING, ENDED, SOMEBODY_ELSES, NOBODYS):
        (tmp_path / "seatpool" / f"trouble-{pid}.json").write_text(told)
    kernel = Kernel()
    monkeypatch.setattr(ctypes, "WinDLL", lambda *_, **__: kernel, raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: kernel.error, raising=False)
    with monkeypatch.context() as windows:
        windows.setattr(os, "kill", None)
        windows.setattr(sys, "platform", "win32")
        assert {each.pid for each in troubles.read("pool.db")} == {RUNNING, SOMEBODY_ELSES}
    assert not kernel.opened
    assert len(list((tmp_path / "seatpool").iterdir())) == 2


def test_what_a_proxy_has_left_that_knows_no_runtime_directory_is_told_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was started by cron or in a container, or goes on since its person has signed out."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    now = datetime(2026, 11, 20, tzinfo=UTC)

    def told() -> list[str]:
        return [each.what for each in troubles.read("pool.db")]

    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    troubles.leave("pool.db", {"no space": now})
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    assert told() == ["no space"]
    troubles.leave("pool.db", {"locked": now})
    assert told() == ["locked"], "once, wherever it was told before"
    troubles.leave("pool.db", {})
    assert told() == [] and not troubles.files()
