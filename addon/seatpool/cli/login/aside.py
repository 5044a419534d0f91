"""Errands that may hang for reasons of their own: a browser that stays in front, a clipboard whose screen is gone."""

import asyncio
import os
import sys
import threading
import webbrowser
from collections.abc import Callable

CLIPBOARD_S = 3.0
"""Most answer in milliseconds, PowerShell's within a second or two; one on a dead line never does."""


async def aside[T](errand: Callable[[], T], timeout_s: float) -> T | None:
    """What the errand returns; None when it takes too long, and then nobody waits for it, not even at the exit."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(result: T) -> None:
        if not done.done():
            done.set_result(result)

    def run() -> None:
        result = errand()
        try:
            loop.call_soon_threadsafe(finish, result)
        except RuntimeError:
            pass  # the loop is gone: the program ended meanwhile

    threading.Thread(target=run, daemon=True).start()
    try:
        async with asyncio.timeout(timeout_s):
            return await done
    except TimeoutError:
        return None


async def copy(text: str) -> bool:
    """Whether `text` is in the clipboard now."""
    return bool(await aside(lambda: _copy(text), CLIPBOARD_S))


def open_browser(url: str) -> None:
    """In the person's browser; it may be a program that stays in front, so nobody waits for it."""
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def has_display() -> bool:
    """Whether a browser with windows can be expected: otherwise Python may well choose one that takes the terminal."""
    if sys.platform in ("darwin", "win32") or os.environ.get("BROWSER"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _copy(text: str) -> bool:
    import pyperclip  # type: ignore[import-untyped] # looks for clipboards when it is imported

    try:
        pyperclip.copy(text)
        return bool(pyperclip.paste() == text)  # the tools behind it fail silently
    except (pyperclip.PyperclipException, OSError):
        return False
