"""Folders above the data directory and that of other state which were made for them.

`uninstall` removes them, as far as they are empty then.
"""

import json
from pathlib import Path

import click
import platformdirs

_KEY = "seatpool.footprint"
_FILE = "made.json"


def watch() -> None:
    """Before a command: remember what is not there yet."""
    data = platformdirs.user_data_path("seatpool")
    above = dict.fromkeys((*reversed(data.parents), *reversed(platformdirs.user_state_path("seatpool").parents)))
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
    return platformdirs.user_data_path("seatpool") / _FILE


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
        file().write_text(json.dumps(missing))
