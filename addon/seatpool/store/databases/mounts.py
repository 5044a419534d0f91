"""Which disks are another machine's. SQLite's files want memory that all who use them share, and locks that hold."""

import re
from collections.abc import Iterator
from pathlib import Path

TABLE = Path("/proc/self/mountinfo")
"""Of Linux alone; elsewhere nothing is known."""

_ELSEWHERE = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "fuse.sshfs", "fuse.rclone"),
        *("9p", "virtiofs", "vboxsf", "prl_fs", "vmhgfs", "fuse.vmhgfs-fuse"),
        *("fakeowner", "fuse.grpcfuse", "fuse.osxfs"),  # Docker Desktop's
    )
)
_OCTAL = re.compile(r"\\([0-7]{3})")


def elsewhere(path: Path, table: Path = TABLE) -> str | None:
    """The kind of file system that a path is on, where that is another machine's, or the host's of a virtual one."""
    real, found = path.resolve(), ("", Path("/"))
    try:
        for kind, at in _read(table):
            if real.is_relative_to(at) and len(at.parts) >= len(found[1].parts):  # of two at one place the later one
                found = kind, at
    except OSError:
        return None
    return found[0] if found[0] in _ELSEWHERE else None


def _read(table: Path) -> Iterator[tuple[str, Path]]:
    for line in table.read_text(errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        yield after.split()[0], Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), before.split()[4]))
