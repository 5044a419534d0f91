"""Which accounts a person allows, or would rather have, for what is asked: rules, and the first that matches decides.

Every field that a rule names must match; of a list, any entry. Entries are globs (`*`, `?`, `[...]`) that know neither
upper nor lower case, and `*` goes across `/`. An empty entry stands for a request that does not tell.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from seatpool.core.model import Account, ProviderName

Patterns = tuple[str, ...]

REMEMBERED = 1_000
"""Answers kept of each kind; then all are forgotten."""


class Mistake(msgspec.Struct, frozen=True):
    """What is wrong in a file of rules, and where."""

    line: int
    """From 1."""
    message: str


class RuleMistakes(ValueError):
    """A file says no rules; it tells every mistake, by line."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("; ".join(f"{m.line}: {m.message}" for m in mistakes))
        self.mistakes = mistakes


class Asked(msgspec.Struct, frozen=True):
    """What rules look at of a request."""

    provider: ProviderName
    model: str | None = None
    client: str | None = None
    repositories: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True):
    """One rule. Empty patterns match everything."""

    name: str
    line: int
    """Where it begins in its file, from 1."""
    only: Patterns = ()
    """Names or globs of accounts, groups resolved: no other one may serve what the rule matches."""
    prefer: Patterns = ()
    """The same, but others may serve where none of these can. A rule has one or the other."""
    providers: tuple[ProviderName, ...] = ()
    models: Patterns = ()
    clients: Patterns = ()
    repositories: Patterns = ()

    @property
    def binding(self) -> bool:
        """Whether what it matches may be served by no other account, nor by the editor's own login."""
        return bool(self.only)

    def matches(self, asked: Asked) -> bool:
        """Whether this is about that request."""
        return (
            (not self.providers or asked.provider in self.providers)
            and _any(self.models, (asked.model or "",))
            and _any(self.clients, (asked.client or "",))
            and _any(self.repositories, asked.repositories or ("",))
        )

    def covers(self, other: "Rule") -> bool:
        """Whether it matches whatever the other one does, as far as their words tell."""
        pairs = (
            (self.providers, other.providers),
            (self.models, other.models),
            (self.clients, other.clients),
            (self.repositories, other.repositories),
        )
        return all(not mine or (theirs and _folded(theirs) <= _folded(mine)) for mine, theirs in pairs)


class Rules(msgspec.Struct, frozen=True):
    """A person's rules in their order."""

    rules: tuple[Rule, ...] = ()

    def first(self, asked: Asked) -> Rule | None:
        """The rule that decides about a request."""
        return next((rule for rule in self.rules if rule.matches(asked)), None)

    def binding(self, provider: ProviderName) -> Rule | None:
        """The first rule, if any, that may keep a request to this provider from every other account."""
        return next((r for r in self.rules if r.binding and (not r.providers or provider in r.providers)), None)

    def pending(self, asked: Asked) -> Rule | None:
        """The binding rule that may turn out to decide, once the request can tell its repositories."""
        for rule in self.rules:
            if replace(rule, repositories=()).matches(asked):
                if rule.binding and rule.repositories:
                    return rule
                if not rule.repositories:
                    return None
        return None

    @property
    def by_turn(self) -> bool:
        """Whether a rule looks at what a socket's messages tell anew with each turn."""
        return any(rule.models or rule.repositories for rule in self.rules)


NO_RULES = Rules()


class Deciding:
    """Rules, with their answers of late: a dictionary's look-up for most requests."""

    def __init__(self, rules: Rules = NO_RULES) -> None:
        self.rules = rules
        self._known: dict[tuple[object, ...], Rule | None] = {}

    def first(self, asked: Asked) -> Rule | None:
        """As `Rules.first`."""
        if not self.rules.rules:
            return None
        key = (asked.provider, asked.model, asked.client, asked.repositories)
        try:
            return self._known[key]
        except KeyError:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            found = self._known[key] = self.rules.first(asked)
            return found


class Naming:
    """Whom names and globs mean, as long as the accounts have the names they have."""

    def __init__(self) -> None:
        self._version = -1
        self._known: dict[tuple[Patterns, ProviderName], frozenset[int]] = {}

    def ids(
        self, patterns: Patterns, provider: ProviderName, accounts: Mapping[int, Account], version: int
    ) -> frozenset[int]:
        """The accounts of a provider that are meant; `version` changes whenever a name does."""
        if version != self._version or len(self._known) >= REMEMBERED:
            self._known.clear()
            self._version = version
        key = (patterns, provider)
        found = self._known.get(key)
        if found is None:
            mine = (a for a in accounts.values() if a.provider is provider)
            found = self._known[key] = frozenset(account.id for account in meant(patterns, mine))
        return found


def meant(patterns: Patterns, accounts: Iterable[Account]) -> tuple[Account, ...]:
    """The accounts whose name is one of these, or fits one of these globs."""
    exact, fits = _folded(patterns), _glob(patterns)
    return tuple(a for a in accounts if a.name.casefold() in exact or fits(a.name.casefold()) is not None)


def _any(patterns: Patterns, told: Iterable[str]) -> bool:
    return not patterns or any(_glob(patterns)(value.casefold()) is not None for value in told)


@lru_cache(maxsize=4 * REMEMBERED)
def _folded(patterns: tuple[str, ...]) -> frozenset[str]:
    return frozenset(pattern.casefold() for pattern in patterns)


@lru_cache(maxsize=REMEMBERED)
def _glob(patterns: Patterns) -> Callable[[str], re.Match[str] | None]:
    return re.compile("|".join(translate(pattern.casefold()) for pattern in patterns)).match
