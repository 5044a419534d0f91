"""What a client reads so that its requests come through the proxy, as values: targets, their files, their settings."""

import os
import platform
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec
import platformdirs

from seatpool.setup import address
from seatpool.setup.editors.content import Unreadable, decode
from seatpool.setup.editors.forms import AnyForm, Value

PROXY, HOST, PORT, TRUSTED, BUNDLE = "{proxy}", "{host}", "{port}", "{trusted}", "{bundle}"
"""What stands for a part of the `Wish` in a setting's value."""


class State(StrEnum):
    """What a client's files say."""

    CONFIGURED = "configured"
    NOT_CONFIGURED = "not configured"
    ELSEWHERE = "elsewhere"
    """They name another proxy."""
    ABSENT = "absent"
    """There is no such client."""


def _documents() -> Path:
    """Windows may have it in OneDrive, by another name."""
    return platformdirs.user_documents_path() if platform.system() == "Windows" else Path.home() / "Documents"


class Person(msgspec.Struct, frozen=True):
    """Whose settings; tests make one up."""

    home: Path = msgspec.field(default_factory=Path.home)
    system: str = msgspec.field(default_factory=platform.system)
    environ: Mapping[str, str] = msgspec.field(default_factory=lambda: dict(os.environ))
    documents: Path = msgspec.field(default_factory=_documents)

    def folder(self, root: str) -> Path:
        """Where a kind of settings begins here."""
        if root == "nvim":
            return self.folder("xdg") / (self.environ.get("NVIM_APPNAME") or "nvim")
        if root == "documents":
            return self.documents
        variable, below = _ROOTS[root].get(self.system) or _ROOTS[root][""]
        named = Path(self.environ.get(variable) or "") if variable else Path()
        return named if named.is_absolute() else self.home / below


_XDG = ("XDG_CONFIG_HOME", ".config")
_ROOTS: dict[str, dict[str, tuple[str, str]]] = {
    "home": {"": ("", "")},
    "config": {
        "": _XDG,
        "Darwin": ("", "Library/Application Support"),
        "Windows": ("APPDATA", "AppData/Roaming"),
    },
    "xdg": {"": _XDG, "Windows": ("LOCALAPPDATA", "AppData/Local")},
    "codex": {"": ("CODEX_HOME", ".codex")},
    "copilot": {"": ("COPILOT_HOME", ".copilot")},
    "zsh": {"": ("ZDOTDIR", "")},
}
"""The variable that may name it, and where it is below the home otherwise; by system, `""` is any."""


class Wish(msgspec.Struct, frozen=True):
    """What clients are to be told."""

    proxy: address.Address
    trusted: Path
    """The seatpool roots alone: for what is added to a client's own."""
    bundle: Path
    """With the system's: for what takes the place of a client's own."""

    def of(self, value: Value) -> Value:
        """A setting's value with this in it."""
        if not isinstance(value, str):
            return value
        parts = (self.proxy.url, self.proxy.host, str(self.proxy.port), str(self.trusted), str(self.bundle))
        for sign, part in zip((PROXY, HOST, PORT, TRUSTED, BUNDLE), parts, strict=True):
            value = value.replace(sign, part)
        return value


class Setting(msgspec.Struct, frozen=True):
    """One key and why it is needed."""

    key: str
    value: Value
    why: str
    fine: tuple[Value | None, ...] = ()
    """Values that do as well and are left alone; None: that the key is not there."""
    kept: bool = False
    """Whatever is there already is left alone."""
    beside: bool = False
    """Written with the others; where it alone is missing, that is a person's own affair."""

    def holds(self, present: Value | None, wish: Wish) -> bool:
        """Whether a file that says this needs no change."""
        if present in [each if each is None else wish.of(each) for each in self.fine]:
            return True
        if self.kept and present is not None:
            return True
        wanted = wish.of(self.value)
        if isinstance(wanted, tuple):
            return isinstance(present, tuple) and set(wanted) <= set(present)
        if self.value in (PROXY, HOST) and isinstance(present, str):
            return address.same(present, str(wanted))
        return present == wanted

    def leads_elsewhere(self, present: Value | None, wish: Wish) -> bool:
        """Whether it names another proxy."""
        return self.value in (PROXY, HOST, PORT) and bool(present) and not self.holds(present, wish)


class Where(msgspec.Struct, frozen=True):
    """A file below a kind of folder; both patterns may be globs."""

    root: str
    file: str
    sign: str
    """What tells that the client is there; `.` is the folder itself."""
    systems: tuple[str, ...] = ()
    """Where it can be; everywhere if empty."""
    sign_root: str = ""
    """Where the sign is, if elsewhere."""
    own_shell: str = ""
    """The shell that tells it as well, where it is the person's own."""

    def is_here(self, person: Person) -> bool:
        """Whether the client is."""
        if self.systems and person.system not in self.systems:
            return False
        if self.own_shell and Path(person.environ.get("SHELL", "")).name == self.own_shell:
            return True
        return any(_matching(person.folder(self.sign_root or self.root), self.sign))

    def files(self, person: Person) -> Iterator[Path]:
        """Those that are there, or would be."""
        if not self.is_here(person):
            return
        folder = person.folder(self.root)
        if "*" not in self.file:
            yield folder / self.file
            return
        depth = len(Path(self.file).parts) - len(Path(self.sign).parts)
        for found in _matching(folder, self.sign):
            yield found / Path(*Path(self.file).parts[-depth:])


class Spot(msgspec.Struct, frozen=True):
    """A file that one client reads, and what has to stand in it."""

    title: str
    places: tuple[Where, ...]
    form: AnyForm
    settings: tuple[Setting, ...]
    first: str = ""
    """What is left to a person whose first such file it is; one line."""

    def files(self, person: Person) -> tuple[Path, ...]:
        """Those of this person's machine, missing ones of clients that are there included."""
        return tuple(dict.fromkeys(file for place in self.places for file in place.files(person)))

    def finding(self, file: Path, wish: Wish) -> "Finding":
        """What stands in a file."""
        try:
            return self.judged(file, file.read_bytes() if file.exists() else b"", wish)
        except OSError as error:
            return Finding(self, file, State.NOT_CONFIGURED, complaint=f"{file}: {error.strerror or error}")

    def judged(self, file: Path, raw: bytes, wish: Wish) -> "Finding":
        """What these bytes would say."""
        try:
            present = self.form.read(decode(raw).text)
        except Unreadable as error:
            return Finding(self, file, State.NOT_CONFIGURED, complaint=f"{file}: {error}")
        named = {s.value: present.get(s.key) for s in self.settings if s.value in (PROXY, HOST, PORT)}
        proxy = named.get(PROXY) or ":".join(str(part) for part in named.values() if part)
        if any(setting.leads_elsewhere(present.get(setting.key), wish) for setting in self.settings):
            state = State.ELSEWHERE
        elif all(each.beside or each.holds(present.get(each.key), wish) for each in self.settings):
            state = State.CONFIGURED
        else:
            state = State.NOT_CONFIGURED
        bundled = any(s.value == BUNDLE and present.get(s.key) == wish.of(BUNDLE) for s in self.settings)
        return Finding(self, file, state, proxy=address.shown(str(proxy)) if proxy else None, bundled=bundled)


class Finding(msgspec.Struct, frozen=True):
    """What one file says."""

    spot: Spot
    file: Path
    state: State
    proxy: str | None = None
    """The one that it names."""
    complaint: str | None = None
    """Why it cannot be read; one line."""
    bundled: bool = False
    """Whether it names the file with the system's authorities and seatpool's."""


class Target(msgspec.Struct, frozen=True):
    """A client that can be set up."""

    name: str
    title: str
    spots: tuple[Spot, ...]
    missing: str
    """What a person is told who has no such client."""
    signs: tuple[Where, ...] = ()
    """What tells that it is there, where its files do not."""
    trusts: tuple[str, ...] = ()
    """Kinds of the machine's stores (`seatpool ca trust`) that have to hold the root besides."""
    then: tuple[str, ...] = ()
    """What is left to a person: lines."""
    check: str = ""
    """How one sees that it works."""
    takes_login: bool = True
    """Whether the proxy's address may have a name and a password in it."""

    @property
    def mend(self) -> str:
        """The command that brings it to `State.CONFIGURED`."""
        return f"seatpool setup {self.name}"

    def findings(self, person: Person, wish: Wish) -> tuple[Finding, ...]:
        """What each of its files says; nothing where there is no such client."""
        return tuple(spot.finding(file, wish) for spot, file in self.files(person))

    def files(self, person: Person) -> tuple[tuple[Spot, Path], ...]:
        """What it reads here; nothing where there is no such client."""
        if self.signs and not any(sign.is_here(person) for sign in self.signs):
            return ()
        return tuple((spot, file) for spot in self.spots for file in spot.files(person))

    def spot_of(self, file: Path) -> Spot:
        """The one that a file is of which a person names: by the end of its path, else by the end of its name."""

        def likeness(spot: Spot) -> tuple[int, bool]:
            named = file.parts[::-1]
            known = [Path(place.file).parts[::-1] for place in spot.places]
            alike = max(
                next((i for i, (a, b) in enumerate(zip(k, named, strict=False)) if a != b), len(k)) for k in known
            )
            return alike, any(Path(place.file).suffix == file.suffix for place in spot.places)

        return max(self.spots, key=likeness)

    def state(self, person: Person, wish: Wish) -> State:
        """Of all of them together: the one that needs attention most."""
        found = {finding.state for finding in self.findings(person, wish)}
        order = (State.ELSEWHERE, State.NOT_CONFIGURED, State.CONFIGURED)
        return next((state for state in order if state in found), State.ABSENT)


def _matching(folder: Path, pattern: str) -> Iterator[Path]:
    if pattern in ("", "."):
        yield from [folder] if folder.is_dir() else []
    elif folder.is_dir():
        yield from sorted(folder.glob(pattern))
