"""Where the programs that sign in with ChatGPT or GitHub keep their logins, as data."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

_HOME = "~"


class Base(msgspec.Struct, frozen=True):
    """A folder that begins at a variable of the environment, or at the person's home."""

    variable: str
    """`~` for the home; any other one counts only while it is set, and absolute."""
    below: str = ""
    windows_only: bool = False


class Place(msgspec.Struct, frozen=True):
    """The logins of one program."""

    program: str
    bases: tuple[Base, ...]
    """The first that counts is the one that the program uses."""
    files: tuple[str, ...]
    """Glob patterns below it, the most useful first."""


PLACES = (
    Place(
        "Codex",
        (Base("CODEX_HOME"), Base(_HOME, ".codex")),
        ("auth.json", "account-sessions/*/auth.json"),
    ),
    Place(
        "opencode",
        (Base("XDG_DATA_HOME", "opencode"), Base(_HOME, ".local/share/opencode")),
        ("auth.json",),
    ),
    Place(
        "pi",
        (Base("PI_CODING_AGENT_DIR"), Base(_HOME, ".pi/agent")),
        ("auth.json",),
    ),
    Place(
        "Copilot's editors",
        (
            Base("XDG_CONFIG_HOME", "github-copilot"),
            Base("USERPROFILE", "AppData/Local/github-copilot", windows_only=True),
            Base(_HOME, ".config/github-copilot"),
        ),
        ("auth.db", "apps.json", "hosts.json"),
    ),
    Place(
        "the Copilot CLI",
        (Base("COPILOT_HOME"), Base(_HOME, ".copilot")),
        ("config.json",),
    ),
    Place(
        "the GitHub CLI",
        (
            Base("GH_CONFIG_DIR"),
            Base("XDG_CONFIG_HOME", "gh"),
            Base("APPDATA", "GitHub CLI", windows_only=True),
            Base(_HOME, ".config/gh"),
        ),
        ("hosts.yml",),
    ),
)
"""Seen with Codex 0.169, opencode 1.18, language server 1.539, Copilot CLI 1.0.102 and gh 2.103 (codex.md 4)."""

FILES = tuple(dict.fromkeys(pattern for place in PLACES for pattern in place.files))
"""What is looked for in a folder that a person names."""


def folder(place: Place, environ: Mapping[str, str], home: Path, *, windows: bool) -> Path:
    """The one that the program uses under these circumstances."""
    for base in place.bases:
        if base.windows_only and not windows:
            continue
        start = home if base.variable == _HOME else Path(environ.get(base.variable) or "")
        if start.is_absolute():
            return start / base.below
    raise AssertionError(f"{place.program} ends without a folder in the home")


def files_in(directory: Path, patterns: tuple[str, ...] = FILES) -> Iterator[Path]:
    """The files there that may hold logins, in the order of the patterns."""
    for pattern in patterns:
        yield from (path for path in sorted(directory.glob(pattern)) if path.is_file())


def known(environ: Mapping[str, str], home: Path, *, windows: bool) -> Iterator[Path]:
    """Every file of every program that is there."""
    for place in PLACES:
        yield from files_in(folder(place, environ, home, windows=windows), place.files)
