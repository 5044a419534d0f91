"""Where this person's folders are, and what `~` means: there may be no home directory, as in some containers."""

import os
import sys
from collections.abc import Callable
from pathlib import Path, PurePath, PureWindowsPath

import platformdirs

UNKNOWN = "no home directory is known for this user: set HOME to an absolute path"
NOBODY = "no user of this machine has the name behind the ~: write the path out"
WALLED = (
    "this Python is the Microsoft Store's: no other program sees what it writes into their folders or its own; install "
    "python.org's, or one with uv, and seatpool with that"
)
_STORE = "WindowsApps"
"""Where Windows keeps what the Store has installed. Writes to AppData end in a folder of each such program's own."""
_SAID = "home directory"
"""In what Python, and platformdirs, say of either."""


class NoHome(RuntimeError):
    """One line, which says how to mend it."""


def data() -> Path:
    """Of this person's seatpool. Raises `NoHome`."""
    return _known(platformdirs.user_data_path)


def state() -> Path:
    """Of what running processes leave there. Raises `NoHome`."""
    return _known(platformdirs.user_state_path)


def make_private(folder: Path, *, parents: bool = False) -> None:
    """Make a folder for this person alone; one that is there stays as it is. Raises `OSError`."""
    windows = os.name == "nt"
    folder.mkdir(private_mode(folder, Path.home() if windows else folder, windows=windows), parents, exist_ok=True)


def private_mode(folder: PurePath, profile: PurePath, *, windows: bool) -> int:
    """What has to be said to Python so that a new folder is its person's alone. `profile`: theirs, on Windows.

    Whatever is made in a profile is the person's by inheritance. Of 0700 Python makes rights in its place that are
    those of the folder's owner, and what a terminal of an administrator's makes the Administrators own: in every other
    terminal the person would be shut out of their own folder from then on (python/cpython#157876).
    """
    return 0o777 if windows and folder.is_relative_to(profile) else 0o700


def is_walled() -> bool:
    """Whether settings, certificates and tasks that are written here would be for nobody."""
    return _STORE in PureWindowsPath(sys.base_prefix).parts


def _known(path: Callable[[str], Path]) -> Path:
    try:
        return path("seatpool")
    except RuntimeError as error:
        raise NoHome(UNKNOWN) from error


def expanded(path: str | Path) -> Path:
    """With the folder in the place of a `~`. Raises `NoHome`."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise NoHome(f"{path}: {told(error)}") from error


def told(error: RuntimeError) -> str | None:
    """In one line, if it is about a home directory."""
    if isinstance(error, NoHome):
        return str(error)
    if _SAID not in str(error):
        return None
    return NOBODY if Path(os.path.expanduser("~")).is_absolute() else UNKNOWN  # noqa: PTH111 # which raises nothing
