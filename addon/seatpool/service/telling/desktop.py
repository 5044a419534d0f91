"""Notifications of the person's desktop, by the program that each system has for that.

What is said reaches it as an argument or in its environment, never as a part of a script.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from html import escape

import msgspec

from seatpool.core.notices import Notice

LONGEST_S = 10.0
"""For the program to say it."""
SHOWN_MS = 10_000
_NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""Windows: of a console, which would open for PowerShell where the proxy has none."""
_APPLESCRIPT = ("on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run")
_POWERSHELL = """
[void][Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType = WindowsRuntime]
$kind = [Windows.UI.Notifications.ToastTemplateType]::ToastText02
$toast = [Windows.UI.Notifications.ToastNotificationManager]::GetTemplateContent($kind)
$lines = $toast.GetElementsByTagName('text')
[void]$lines.Item(0).AppendChild($toast.CreateTextNode($env:SEATPOOL_TITLE))
[void]$lines.Item(1).AppendChild($toast.CreateTextNode($env:SEATPOOL_TEXT))
$app = '{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\\WindowsPowerShell\\v1.0\\powershell.exe'
$shown = [Windows.UI.Notifications.ToastNotification]::new($toast)
[Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier($app).Show($shown)
"""
"""Of Windows PowerShell 5, which every Windows has; newer ones cannot do this. The application is itself, which may."""


class NotDelivered(Exception):
    """Nobody was told; why, in a few words without addresses."""


class Call(msgspec.Struct, frozen=True):
    """A program to run."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = {}


Which = Callable[[str], str | None]


def call(notice: Notice, platform: str, which: Which) -> Call | None:
    """What shows it on such a system; None where there is nothing that could."""
    if platform == "darwin":
        script = tuple(part for line in _APPLESCRIPT for part in ("-e", line))
        return Call(("osascript", *script, notice.title, notice.text))
    if platform == "win32":
        flags = ("-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-Command")
        return Call(
            ("powershell.exe", *flags, _POWERSHELL), {"SEATPOOL_TITLE": notice.title, "SEATPOOL_TEXT": notice.text}
        )
    body = escape(notice.text, quote=False)  # it may hold markup, where a server can do that
    if which("notify-send") is not None:
        body = body.replace("\\", "\\\\")  # of the body alone it takes C's escapes (dunst's issue 1055)
        return Call(("notify-send", "--app-name=seatpool", f"--expire-time={SHOWN_MS}", "--", notice.title, body))
    if which("gdbus") is not None:
        return Call(_gdbus(notice.title, body))
    return None


def _gdbus(title: str, body: str) -> tuple[str, ...]:
    """The specification's own method: name, replaces, icon, summary, body, actions, hints, milliseconds."""
    where = "org.freedesktop.Notifications"
    said = (_quoted("seatpool"), "0", _quoted(""), _quoted(title), _quoted(body), "@as []", "@a{sv} {}", str(SHOWN_MS))
    path = f"/{where.replace('.', '/')}"
    call = ("gdbus", "call", "--session", "--timeout=5", "--dest", where, "--object-path", path)
    return (*call, "--method", f"{where}.Notify", "--", *said)


def _quoted(words: str) -> str:
    """As GVariant's text format has a string."""
    escaped = words.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


class Desktop:
    """Shows notices where this process runs."""

    name = "desktop"

    async def deliver(self, notice: Notice) -> None:
        """Raises `NotDelivered`."""
        wanted = call(notice, sys.platform, shutil.which)
        if wanted is None:
            raise NotDelivered("neither notify-send nor gdbus is installed")
        await _run(wanted.argv, wanted.env)


async def _run(argv: Sequence[str], env: Mapping[str, str]) -> None:
    quiet = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=quiet, stdout=quiet, stderr=quiet, env={**os.environ, **env}, creationflags=_NO_WINDOW
        )
    except OSError as error:
        raise NotDelivered(f"{argv[0]}: {error.strerror}") from None
    try:
        async with asyncio.timeout(LONGEST_S):
            code = await process.wait()
    except TimeoutError:
        raise NotDelivered(f"{argv[0]} took longer than {LONGEST_S:.0f} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if code != 0:
        raise NotDelivered(f"{argv[0]} ended with {code}: is there a desktop session?")
