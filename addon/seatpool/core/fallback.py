"""Which models a person would have in the place of one that nobody can serve: lists of them, by model.

An entry reads `MODEL: SUBSTITUTE, SUBSTITUTE`. MODEL may be a glob; the first entry that fits decides, and no other one
is looked at: substitutes have no substitutes.
"""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

EXAMPLE = "gpt-5.3-codex: gpt-5.2-codex, gpt-5.1"

_MODEL = re.compile(r"[\w.:/@+-]{1,128}", re.ASCII)
_PATTERN = re.compile(r"[\w./@+*?\[\]!-]{1,128}", re.ASCII)
"""A colon ends it: of a name that has one, `?` stands for that."""


class Fallback(msgspec.Struct, frozen=True):
    """A person's entries in their order."""

    entries: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Each: a glob in lower case, and the models to ask for, the first of them first."""

    def __bool__(self) -> bool:
        return bool(self.entries)

    def of(self, model: str | None) -> tuple[str, ...]:
        """What to ask for, in order, where nobody can serve the model."""
        if model is None:
            return ()
        asked = model.casefold()
        found = next((names for pattern, names in self.entries if fnmatchcase(asked, pattern)), ())
        return tuple(name for name in found if name.casefold() != asked)


NO_FALLBACK = Fallback()


def read(told: Iterable[str]) -> Fallback:
    """The entries that somebody has written, one or several in a text. Raises `ValueError`, which tells the slip."""
    entries: dict[str, tuple[str, ...]] = {}
    for text in (each.strip() for line in told for each in line.split(";")):
        if not text:
            continue
        pattern, colon, listed = (part.strip() for part in text.partition(":"))
        names = tuple(dict.fromkeys(name.strip() for name in listed.split(",")))
        if not colon or not pattern or not all(names):
            raise ValueError(f'"{text}": say MODEL: SUBSTITUTE, SUBSTITUTE, such as {EXAMPLE}')
        forms = ((pattern, _PATTERN), *((name, _MODEL) for name in names))
        wrong = next((name for name, form in forms if not form.fullmatch(name)), None)
        if wrong is not None:
            raise ValueError(f'"{text}": "{wrong}" is no model\'s name')
        if pattern.casefold() in entries:
            raise ValueError(f'"{text}": there is an entry for "{pattern}" already')
        entries[pattern.casefold()] = names
    return Fallback(tuple(entries.items()))
