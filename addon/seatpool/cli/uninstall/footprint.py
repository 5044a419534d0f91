"""Folders above the data directory and that of other state which were made for them.

`uninstall` removes them, as far as they are empty then.
"""

import json
from pathlib import Path

import click

from seatpool import homes

_KEY = "seatpool.footprint"
_FILE = "made.json"


def watch() -> None:
    """Before a command: remember what is not there yet."""
    try:
        data, state = homes.data(), homes.state()
    except homes.NoHome:
        return  # what needs them says so
    above = dict.fromkeys((*reversed(data.parents), *reversed(state.parents)))
    missing = [str(folder) for folder in above if _is_missing(folder)]
    if missing and _is_missing(data):
        context = click.get_current_context()
        context.meta[_KEY] = missing
        context.call_on_close(lambda: _write(missing))


def settle() -> None:
    """Before this process becomes another program: write it down now."""
    _write(click.get_current_context().meta.get(_KEY, []))


def file() -> Path:
    """Where it is written down."""
    return homes.data() / _FILE


def made() -> tuple[Path, ...]:
    """The innermost first."""
    try:
        names = json.loads(file().read_text())
    except (OSError, ValueError):
        return ()
    return tuple(Path(name) for name in reversed(names) if isinstance(name, str))


def _is_missing(folder: Path) -> bool:
    try:
        return not folder.exists()
    except OSError:  # somebody else's, as root's home is for whoever has its HOME in the environment
        return False


def _write(missing: list[str]) -> None:
    if missing and file().parent.is_dir() and not file().exists():
        try:
            file().write_text(json.dumps(missing))
        except OSError:  # a full disk, of which the command has spoken: empty folders may stay one day
            file().unlink(missing_ok=True)
