"""Changes of settings files: planned, shown, written, and taken back.

A plan holds the bytes that it was made from. Whoever changes the file between the question and the answer wins: then
nothing is written.
"""

import difflib
import os
import stat
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path

import msgspec
from msgspec.structs import replace

from seatpool import homes, inplace
from seatpool.setup.address import hidden
from seatpool.setup.editors.content import Unreadable, decode
from seatpool.setup.editors.forms import AnyForm, Value
from seatpool.setup.editors.journal import Entry, Journal, digest
from seatpool.setup.editors.model import Spot, State, Target, Wish

SHARED = "its folder is mounted: who else has it reads this as well, with another loopback and other paths"
"""As a rule a host's `~/.codex` in a dev container. Codex reaches nobody where its `.env` names a file that is away."""


class Unchangeable(Exception):
    """A file cannot be changed as it is; the text is one line that begins with its name."""


class Plan(msgspec.Struct, frozen=True):
    """What one file is, and what it is to be."""

    title: str
    file: Path
    before: bytes | None
    """None: there is no such file."""
    after: bytes | None
    """None: there is to be none."""
    entry: Entry
    """What the journal is to hold once this is written; when taking back, what it holds."""
    former: Entry | None = None
    """What it holds of the same file and target already."""
    settings: tuple[Value, ...] = ()
    """What is to stand there."""
    note: str = ""
    """What a person should know of it; one line."""
    displaces: bool = False
    """Whether it names another proxy until then."""
    then: str = ""
    """What is left to do once it is written; one line."""

    @property
    def changes(self) -> bool:
        """Whether there is anything to write."""
        return self.before != self.after

    def diff(self) -> str:
        """Without the lines around a change, which are nobody's business, and without passwords."""
        old, new = ("" if raw is None else decode(raw).text for raw in (self.before, self.after))
        was, will = (os.devnull if raw is None else str(self.file) for raw in (self.before, self.after))
        lines = difflib.unified_diff(old.splitlines(), new.splitlines(), was, will, n=0, lineterm="")
        return hidden("".join(f"{line}\n" for line in lines))


def plan_all(asked: Iterable[tuple[Target, Spot, Path]], wish: Wish, journal: Journal) -> list[Plan]:
    """What it takes to bring files to the wish, each once for each form of lines in it. Raises `Unchangeable`."""
    plans: list[Plan] = []
    seen: set[tuple[Path, AnyForm]] = set()
    pending: dict[Path, bytes | None] = {}
    for target, spot, file in asked:
        if (file, spot.form) not in seen:
            seen.add((file, spot.form))
            plans.append(_plan(target, spot, file, pending.get(file) or _read(file), wish, journal))
            pending[file] = plans[-1].after
    return plans


def undo_all(entries: Iterable[Entry]) -> list[Plan]:
    """What it takes to take entries back, in this order. Raises `Unchangeable`."""
    plans: list[Plan] = []
    pending: dict[Path, bytes | None] = {}
    for entry in entries:
        plans.append(_undo(entry, pending[entry.file] if entry.file in pending else _read(entry.file)))
        pending[entry.file] = plans[-1].after
    return plans


def _plan(target: Target, spot: Spot, file: Path, before: bytes | None, wish: Wish, journal: Journal) -> Plan:
    found = spot.judged(file, before or b"", wish)
    if found.complaint:
        raise Unchangeable(f"{found.complaint}; nothing was changed")
    content = decode(before or b"")
    present = spot.form.read(content.text)
    settings = {
        setting.key: wish.of(setting.value)
        for setting in spot.settings
        if spot.form.whole or not setting.holds(present.get(setting.key), wish)
    }
    wanted = tuple(wish.of(setting.value) for setting in spot.settings)
    former = journal.find(target.name, file)
    entry = Entry(target.name, spot.title, str(file), before, "", spot.form, settings)
    if found.state is State.CONFIGURED:
        return Plan(spot.title, file, before, before, entry, former, wanted)
    _check_writable(file)
    text = spot.form.put(content.text, settings)
    if content.text.isascii() and not text.isascii():
        content = replace(content, mark=content.mark or spot.form.mark)
    after = content.encode(text)
    if after == before:
        raise Unchangeable(f"{file}: something behind seatpool's lines sets the same otherwise; take that out first")
    if former is not None:
        entry = _on(former, entry)
    displaces = found.state is State.ELSEWHERE
    notes = [f"it names another proxy now, {found.proxy}"] if displaces else []
    notes += [SHARED] if file.parent.is_mount() and file.parent != Path.home() else []
    then = spot.first if before is None else ""
    entry = replace(entry, written=digest(after))
    return Plan(spot.title, file, before, after, entry, former, wanted, "; ".join(notes), displaces, then)


def _on(former: Entry, entry: Entry) -> Entry:
    """On top of an earlier change, so that taking back leads to what was before all of them."""
    present = entry.original
    original = former.original
    if present is None:
        original = None
    elif present != original and digest(present) != former.written:
        original = _without(former, present)
    return replace(entry, original=original, settings={**former.settings, **entry.settings}, folders=former.folders)


def _undo(entry: Entry, before: bytes | None) -> Plan:
    if before is None or before == entry.original:
        return Plan(entry.title, entry.file, before, before, entry, entry, note="it is as it was before")
    _check_writable(entry.file)
    if digest(before) == entry.written:
        return Plan(entry.title, entry.file, before, entry.original, entry, entry)
    try:
        after = _reverted(entry, before)
    except Unreadable as error:
        raise Unchangeable(f"{entry.file}: {error}; nothing was changed") from None
    note = "it was changed since: only what seatpool has put there is taken out"
    return Plan(entry.title, entry.file, before, after, entry, entry, note=note)


def _reverted(entry: Entry, present: bytes) -> bytes | None:
    """What would be there now had the entry's change not been made. Raises `Unreadable`."""
    if present == entry.original or digest(present) == entry.written:
        return entry.original
    after = _without(entry, present)
    return None if entry.original is None and not after.strip() else after


def _without(entry: Entry, present: bytes) -> bytes:
    """Our settings taken out of what is there now. Raises `Unreadable`."""
    content = decode(present)
    former = decode(entry.original or b"").text
    return content.encode(entry.form.take(content.text, entry.settings, former))


def carry_out(plans: Sequence[Plan], journal: Journal) -> None:
    """Write all, or none: what was written is put back where one fails. Raises `OSError`, `Unchangeable`."""
    begun: list[Plan] = []
    try:
        for each in plans:
            _check_unchanged(each)
            folders = each.entry.folders or _missing_folders(each.file)
            each = replace(each, entry=replace(each.entry, folders=folders))
            journal.keep(each.entry)
            begun.append(each)
            _write(each.file, each.after)
    except BaseException:
        for each in reversed(begun):
            _write(each.file, each.before)
            _tidy(each)
            if each.former is None:
                journal.forget(each.entry)
            else:
                journal.keep(each.former)
        raise


def carry_back(plans: Iterable[Plan], journal: Journal) -> None:
    """Take back. What was done before one fails stays done. Raises `OSError`, `Unchangeable`."""
    for each in plans:
        _check_unchanged(each)
        if each.changes:
            _write(each.file, each.after)
        for above in _lifted(each, journal):
            journal.amend(above)
        _tidy(each)
        journal.forget(each.entry)


def _lifted(taken: Plan, journal: Journal) -> list[Entry]:
    """The entries that lie on one that was taken back, as if that had never been: what they go back to held its change.

    They take over the folders that were made for the file, which stays as long as one of them does.
    """
    entry = taken.entry
    later = takewhile(lambda each: (each.target, each.path) != (entry.target, entry.path), journal.entries())
    above = [each for each in later if each.file == entry.file]
    states = {each.original: _reverted_or_same(entry, each.original) for each in above}
    states[taken.before] = taken.after
    digests = {digest(was): digest(now) for was, now in states.items() if was is not None and now is not None}
    return [
        replace(
            each,
            original=states[each.original],
            written=digests.get(each.written, each.written),
            folders=each.folders or entry.folders,
        )
        for each in above
    ]


def _reverted_or_same(entry: Entry, present: bytes | None) -> bytes | None:
    try:
        return None if present is None else _reverted(entry, present)
    except Unreadable:
        return present  # by hand since; whoever takes that back takes out its own part


def _check_unchanged(each: Plan) -> None:
    if _read(each.file) != each.before:
        raise Unchangeable(f"{each.file} has changed meanwhile; nothing was written to it, try again")


def _tidy(each: Plan) -> None:
    """Remove the folders that were made for a file, as far as nobody else has used them."""
    for folder in reversed(each.entry.folders):
        try:
            Path(folder).rmdir()
        except OSError:
            return


def _read(file: Path) -> bytes | None:
    if file.exists() and not file.is_file():
        raise Unchangeable(f"{file} is no file; nothing was changed")
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _check_writable(file: Path) -> None:
    real = _real(file)
    if real.exists() and not (real.stat().st_mode & stat.S_IWUSR and os.access(real, os.W_OK)):
        told = "" if real == file else f" ({real})"
        raise Unchangeable(f"{file}{told} is read-only; nothing was changed")


def _real(file: Path) -> Path:
    """Behind links: a dotfile that is one stays one."""
    return Path(os.path.realpath(file))


def _missing_folders(file: Path) -> tuple[str, ...]:
    missing = [folder for folder in _real(file).parents if not folder.exists()]
    return tuple(str(folder) for folder in reversed(missing))


def _write(file: Path, content: bytes | None) -> None:
    """Whole or not at all, with the mode that it has; for nobody else's eyes where it is new."""
    real = _real(file)
    if content is None:
        real.unlink(missing_ok=True)
        return
    for folder in _missing_folders(file):
        homes.make_private(Path(folder))
    present = real.stat() if real.exists() else None
    draft = real.with_name(f".{real.name}.{os.getpid()}")
    with inplace.drafting(draft, file):
        draft.unlink(missing_ok=True)  # of a process that was killed here
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if present is not None:
            _as_before(draft, present)
        inplace.put(draft, real)


def _as_before(draft: Path, present: os.stat_result) -> None:
    draft.chmod(stat.S_IMODE(present.st_mode))
    if os.name != "nt" and (present.st_uid, present.st_gid) != (draft.stat().st_uid, draft.stat().st_gid):
        os.chown(draft, present.st_uid, present.st_gid)
