"""The real clients, installed from npm into `node_modules` beside this file at the versions of `package.json`."""

import fcntl
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

FOLDER = Path(__file__).parent
BINARIES = FOLDER / "node_modules" / ".bin"
_STAMP = FOLDER / "node_modules" / ".installed"
_INSTALL_S = 300


class NoClients(Exception):
    """The clients cannot be had here; the text says why."""


def install() -> None:
    """Install the clients unless exactly these are there already. Raises `NoClients`.

    Of several processes one does it, and the others wait.
    """
    with (FOLDER / "package.json").open() as wanted:
        fcntl.flock(wanted, fcntl.LOCK_EX)
        _install(wanted.read())


def _install(wanted: str) -> None:
    if _STAMP.exists() and _STAMP.read_text() == wanted:
        return
    missing = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    if missing:
        raise NoClients(f"no {' and no '.join(missing)} on this machine")
    # No scripts: none of these packages needs one, and nothing of theirs is to run outside of the lab.
    argv = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    try:
        ran = subprocess.run(argv, cwd=FOLDER, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        raise NoClients(f"npm install did not end within {_INSTALL_S} s") from None
    if ran.returncode != 0:
        raise NoClients("npm install failed: " + " | ".join(ran.stderr.splitlines()[:3]))
    absent = [
        name for name in ("codex", "copilot", "copilot-language-server", "node") if not (BINARIES / name).exists()
    ]
    if absent:
        raise NoClients(f"npm has no {', '.join(absent)} for this kind of machine")
    _STAMP.write_text(wanted)


def path_with_clients() -> str:
    """PATH with the clients, and with the Node that the newest of them need."""
    return f"{BINARIES}{os.pathsep}{os.environ['PATH']}"


def opencode() -> str:
    """Its program, which its packages link to nowhere. Raises `NoClients`."""
    found = next((FOLDER / "node_modules").glob("opencode-*/bin/opencode"), None)
    if found is None:
        raise NoClients("npm has no opencode for this kind of machine")
    return str(found)


if __name__ == "__main__":  # ahead of the tests, which say themselves why there are none
    with suppress(NoClients):
        install()
