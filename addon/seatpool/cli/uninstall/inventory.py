"""What stands in the data directory and beside other state, told by name: what seatpool makes, and what a person wrote.

What has neither name is somebody else's, and `uninstall` leaves it alone.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import platformdirs

from seatpool.cli.handed_on import CONFIG
from seatpool.setup import troubles

_MADE = {
    ".": (
        *("page-token", "recording.json", "service.json", "service.log"),
        *("unknown-hosts.json", "unknown-paths.json"),
    ),
    "ca": (
        *("next.pem", "seatpool-*.pem", "with-system-roots.pem"),
        # mitmproxy's, whose `confdir` it is
        *("mitmproxy-ca.*", "mitmproxy-ca-cert.*", "mitmproxy-dhparam.pem", "command_history", "wireguard.conf"),
    ),
    "setup": (f"*-{'[0-9a-f]' * 16}.*",),
}
"""Below the data directory: what can be made anew. A draft has a dot before the name and a number behind it."""


def data() -> Path:
    """This person's data directory."""
    return platformdirs.user_data_path("seatpool")


def made() -> Iterator[Path]:
    """Files that seatpool made and could make anew."""
    for folder, names in _MADE.items():
        patterns = [pattern for name in names for pattern in (name, f".{name}.*")]
        for path in sorted((data() / folder).glob("*")):
            if not _is_folder(path) and any(fnmatchcase(path.name, pattern) for pattern in patterns):
                yield path
    yield from troubles.files()


def folders() -> tuple[Path, ...]:
    """Those that seatpool makes for such files, but for the data directory; as far as they are there."""
    places = {*(data() / name for name in _MADE), *troubles.folders()} - {data()}
    return tuple(sorted(folder for folder in places if _is_folder(folder)))


def written() -> tuple[Path, ...]:
    """What the person has written, as far as it is there."""
    return tuple(path for name in CONFIG if (path := data() / "ca" / name).exists())


def everything() -> Iterator[Path]:
    """What is in the data directory, and in those folders in place of them."""
    within = {data() / name for name in _MADE} - {data()}
    for folder in (data(), *sorted(within)):
        if _is_folder(folder):
            yield from (path for path in sorted(folder.iterdir()) if path not in within or not _is_folder(path))


def _is_folder(path: Path) -> bool:
    """And no link to one: what is behind that is elsewhere."""
    return path.is_dir() and not path.is_symlink()
