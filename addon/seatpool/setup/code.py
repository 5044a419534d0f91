"""Which code this is, and for which mitmproxy.

A proxy that runs goes on with what it has loaded, whatever is in the files by now.
"""

from pathlib import Path

PACKAGE = Path(__file__).parent.parent
MITMPROXY = "mitmproxy>=12.2,<13"
"""As `pyproject.toml` has it."""


def stamp(package: Path = PACKAGE) -> str:
    """Changes when a file of the package is changed, added or taken away; some milliseconds."""
    latest, count = 0, 0
    for path in package.rglob("*.py"):
        try:
            latest, count = max(latest, path.stat().st_mtime_ns), count + 1
        except OSError:
            continue  # taken away in this moment
    return f"{count}-{latest:x}"
