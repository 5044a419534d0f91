"""Commands as a person can paste them into the shell that their system opens for them.

That of Windows is PowerShell; as far as it can be, its commands are what `cmd` takes as well, which knows no quotes but
the double ones.
"""

import platform
import re
import shlex
from collections.abc import Callable, Mapping, Sequence

import msgspec

_BARE = re.compile(r"[\w\\/.:+=-][\w\\/.:+=@~-]*")
"""Means itself to both shells of Windows. `@` and `~` mean something at the beginning."""
_EXPANDED = re.compile('[$`"\u201c-\u201e]')
"""What PowerShell does not take as it is between double quotes."""
_SINGLE = re.compile("['\u2018-\u201b]")
"""All of them end what begins with one of them in PowerShell."""


class Shell(msgspec.Struct, frozen=True):
    """How one says things there."""

    quote: Callable[[str], str]
    """One word."""
    join: Callable[[Sequence[str]], str]
    """A command."""
    setting: Callable[[Mapping[str, str]], str]
    """Has variables for what is started from there on."""
    unsetting: Callable[[str], str]
    """Has one no more."""
    then: str
    """Between two commands."""
    space: Callable[[str], str]
    """Tells how full the disk is that a folder is on."""
    users: Callable[[str], str]
    """Tells who has a file open."""
    writable: Callable[[str], Sequence[str]]
    """Lets its owner write to a file, or into a folder."""


def _export(variables: Mapping[str, str]) -> str:
    return " ".join(("export", *(f"{name}={shlex.quote(value)}" for name, value in variables.items())))


def _quoted(word: str) -> str:
    if _BARE.fullmatch(word):
        return word
    if _EXPANDED.search(word):
        return _literal(word)
    ending = word[len(word.rstrip("\\")) :]  # which would take the last quote for a part of the word
    return f'"{word}{ending}"'


def _literal(word: str) -> str:
    return f"'{_SINGLE.sub(r'\g<0>\g<0>', word)}'"


def _called(argv: Sequence[str]) -> str:
    words = list(map(_quoted, argv))
    return " ".join(words if words[:1] == [*argv[:1]] else ("&", *words))  # a text by itself is said, not run


def _assigned(variables: Mapping[str, str]) -> str:
    return "; ".join(f"$env:{name} = {_literal(value)}" for name, value in variables.items())


POSIX = Shell(
    quote=shlex.quote,
    join=shlex.join,
    setting=_export,
    unsetting=lambda name: f"unset {name}",
    then=" && ",
    space=lambda folder: f"df -h {shlex.quote(folder)}",
    users=lambda file: f"lsof {shlex.quote(file)}",
    writable=lambda path: ("chmod", "u+rwX", path),
)
POWERSHELL = Shell(
    quote=_quoted,
    join=_called,
    setting=_assigned,
    unsetting=lambda name: f"Remove-Item Env:{name}",
    then="; ",  # 5.1, which every Windows has, knows no &&
    space=lambda _folder: "Get-Volume",
    users=lambda _file: "resmon",
    writable=lambda path: ("attrib", "-R", path),
)


def of(system: str) -> Shell:
    """By the name that `platform` has for a system."""
    return POWERSHELL if system == "Windows" else POSIX


def here() -> Shell:
    """Of this machine."""
    return of(platform.system())
