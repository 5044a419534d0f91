"""The rules file: TOML in, rules out, or its mistakes, each with the line that it stands on.

[groups]
work = ["alice", "corp-*"]

[[rule]]
name = "work code"
repository = "github.com/acme/*"
only = ["work"]
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from seatpool.core.model import ProviderName
from seatpool.core.repositories import normalised
from seatpool.core.rules import Mistake, Patterns, Rule, RuleMistakes, Rules

LARGEST = 256 * 1024
"""Bytes; a longer file is none that a person wrote."""
LONGEST_LINE = 4_096
"""Characters; a key of thousands of parts keeps the parser busy for minutes."""
MOST = 1_000
"""Rules; each is compared with every other one."""

Path = tuple[str | int, ...]
"""Keys and indexes from the top of the document."""


def read(content: bytes) -> Rules:
    """The rules of a file. Raises `RuleMistakes`."""
    text = _text(content)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RuleMistakes((_syntax(str(error), text),)) from None
    except RecursionError:
        raise RuleMistakes((Mistake(1, "lists within lists without end"),)) from None
    reading = _Reading(document, lines_of(text))
    rules = reading.rules()
    if reading.mistakes:
        raise RuleMistakes(tuple(sorted(reading.mistakes, key=lambda m: m.line)))
    return Rules(rules)


def _text(content: bytes) -> str:
    if len(content) > LARGEST:
        raise RuleMistakes((Mistake(1, f"longer than {LARGEST // 1024} KiB: that is no rules file"),))
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RuleMistakes((Mistake(line, "not UTF-8 text"),)) from None
    for number, said in enumerate(text.split("\n"), 1):
        if len(said) > LONGEST_LINE:
            wrong = f"longer than {LONGEST_LINE} characters: a list may go over several lines"
            raise RuleMistakes((Mistake(number, wrong),))
    return text


_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def _syntax(message: str, text: str) -> Mistake:
    at = _AT.search(message)
    line = int(at[1]) if at is not None and at[1] else text.rstrip("\n").count("\n") + 1
    return Mistake(line, f"not TOML: {_AT.sub('', message)}")


# -- lines


def lines_of(text: str) -> dict[Path, int]:
    """On which line each key and table of a sound document begins.

    A statement of TOML is one line, or several where a list or a string goes on; the parser tells what each one says.
    """
    found: dict[Path, int] = {}
    tables: dict[str, int] = {}
    here: Path = ()
    for line, statement, said in _statements(text):
        if statement.startswith("["):
            name, *inner = _first_keys(said)
            if statement.startswith("[[") and not inner:
                tables[name] = tables.get(name, -1) + 1
            here = (name, tables[name], *inner) if name in tables else (name, *inner)
            found.setdefault(here, line)
        else:
            for path in _paths(said):
                found.setdefault((*here, *path), line)
    return found


_PIECE = re.compile(
    r"""
      \"{3} (?: [^\\] | \\. )*? \"{3,5}  # text over several lines; two quotes may stand before its end
    | '{3} .*? '{3,5}
    | " (?: [^"\\\n] | \\. )*+ "
    | ' [^'\n]*+ '
    | \# [^\n]*+
    | [\[\]{}\n]
    """,
    re.VERBOSE | re.DOTALL,
)
"""Whatever can begin, end or go over a line of sound TOML."""


def _statements(text: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    begun, line, depth = 0, 1, 0
    for piece in _PIECE.finditer(text + "\n"):
        mark = piece[0]
        if mark != "\n" or depth:
            depth += (mark in ("[", "{")) - (mark in ("]", "}"))
            continue
        statement = text[begun : piece.start()]
        if said := tomllib.loads(statement):
            yield line, statement.lstrip(), said
        line += statement.count("\n") + 1
        begun = piece.end()


def _first_keys(said: Mapping[str, Any]) -> Iterator[str]:
    value: Any = said
    while isinstance(value, dict) and value:
        name, value = next(iter(value.items()))
        yield name


DEEPEST = 4
"""Nothing that has a meaning stands deeper."""


def _paths(value: Any, depth: int = DEEPEST) -> Iterator[Path]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in pairs if depth else ():
        yield (key,)
        yield from ((key, *path) for path in _paths(inside, depth - 1))


# -- meaning


class _Reading(msgspec.Struct):
    """One document; mistakes are gathered, so that a person sees all of them at once."""

    document: Mapping[str, Any]
    lines: Mapping[Path, int]
    mistakes: list[Mistake] = msgspec.field(default_factory=list)
    groups: dict[str, Patterns] = msgspec.field(default_factory=dict)

    def wrong(self, path: Path, message: str) -> None:
        """Note a mistake at the line of the path, or of what it stands in."""
        near = (path[:length] for length in range(len(path), 0, -1))
        self.mistakes.append(Mistake(next((self.lines[p] for p in near if p in self.lines), 1), message))

    def rules(self) -> tuple[Rule, ...]:
        """Everything that the document says."""
        for key in self.document.keys() - {"groups", "rule"}:
            self.wrong((key,), f'unknown key "{key}"; at the top stand [groups] and [[rule]]')
        self._read_groups()
        tables = self.document.get("rule", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self.wrong(("rule",), "write [[rule]], in two brackets, above each rule")
            return ()
        if len(tables) > MOST:
            self.wrong(("rule", MOST), f"more than {MOST} rules: globs and lists say more with less")
            return ()
        rules: list[Rule] = []
        for index, table in enumerate(tables):
            rule = self._rule(index, table)
            self._unlike(index, rule, rules)
            rules.append(rule)
        return tuple(rules)

    def _read_groups(self) -> None:
        groups = self.document.get("groups", {})
        if not isinstance(groups, dict):
            self.wrong(("groups",), 'write [groups], and below it lines such as: work = ["alice", "corp-*"]')
            return
        for name, members in groups.items():
            told = self._strings(("groups", name), members, f'group "{name}"', "accounts")
            self.groups[name.casefold()] = told

    def _rule(self, index: int, table: Mapping[str, Any]) -> Rule:
        at: Path = ("rule", index)
        before = len(self.mistakes)
        name = table.get("name", f"rule {index + 1}")
        if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
            self.wrong((*at, "name"), f"name: say a few words on one line, {LONGEST_NAME} characters at most")
            name = f"rule {index + 1}"
        who = f'rule "{name}"'
        for key in table.keys() - FIELDS.keys() - {"name", "only", "prefer"}:
            self.wrong((*at, key), f'{who}: unknown key "{key}"; known are {", ".join(KEYS)}')
        read = {key: self._strings((*at, key), table[key], f"{who}: {key}", of) for key, of in _present(table)}
        for key, values in read.items():
            for problem in filter(None, map(FIELDS.get(key, _fine), values)):
                self.wrong((*at, key), f"{who}: {key}: {problem}")
        if len({"only", "prefer"} & table.keys()) != 1:
            self.wrong(at, f"{who}: give it either only = [...] or prefer = [...], with names of accounts or groups")
        sound = len(self.mistakes) == before
        return Rule(
            name,
            self.lines.get(at) or self.lines.get(("rule",), 1),
            only=self._members(read.get("only", ())),
            prefer=self._members(read.get("prefer", ())),
            providers=tuple(ProviderName(p.lower()) for p in read.get("provider", ())) if sound else (),
            models=read.get("model", ()),
            clients=read.get("client", ()),
            repositories=tuple(_repository(pattern) for pattern in read.get("repository", ())),
        )

    def _members(self, names: Patterns) -> Patterns:
        """Accounts, with what a group stands for in the place of its name."""
        told = (member for name in names for member in self.groups.get(name.casefold(), (name,)))
        return tuple(dict.fromkeys(told))

    def _strings(self, path: Path, value: Any, what: str, of: str) -> Patterns:
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(v, str) for v in values):
            self.wrong(path, f'{what}: say {of} as "text" or as a list of such')
            return ()
        if of == "accounts" and not all(v.strip() for v in values):
            self.wrong(path, f"{what}: an account's name is not empty")
        return tuple(dict.fromkeys(v.strip() for v in values))

    def _unlike(self, index: int, rule: Rule, before: list[Rule]) -> None:
        """Refuse what could only be a slip: a name that is taken, a rule that no request ever reaches."""
        if self.mistakes:
            return
        for other in before:
            if other.name.casefold() == rule.name.casefold():
                self.wrong(("rule", index, "name"), f'the name "{rule.name}" is taken by the rule on line {other.line}')
            elif other.covers(rule):
                reason = f'"{other.name}" on line {other.line} takes everything before it'
                self.wrong(("rule", index), f'rule "{rule.name}" never decides: {reason}')


LONGEST_NAME = 100


def _provider(value: str) -> str | None:
    known = [name.value for name in ProviderName]
    return None if value.lower() in known else f'"{value}" is none; known are {", ".join(known)}'


def _place(value: str) -> str | None:
    host, _, path = _repository(value).partition("/")
    plain = not any(mark in host for mark in ".*?[:")
    if "://" in _repository(value) or (value and plain and path.count("/") < 1):
        return f'"{value}" is no repository; say host/owner/name, such as github.com/acme/*'
    return None


def _repository(pattern: str) -> str:
    """A remote pasted as it is means its repository."""
    return normalised(pattern) or pattern.lower().strip("/").removesuffix(".git")


def _fine(_: str) -> None:
    return None


FIELDS: Mapping[str, Callable[[str], str | None]] = MappingProxyType(
    {"provider": _provider, "model": _fine, "client": _fine, "repository": _place}
)
"""What a rule can ask for, and what is wrong with a value."""
KEYS = ("name", *FIELDS, "only", "prefer")


def _present(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The lists of a rule, with what they are of."""
    for key in (*FIELDS, "only", "prefer"):
        if key in table:
            yield key, "accounts" if key in ("only", "prefer") else f"one {key} or several"
