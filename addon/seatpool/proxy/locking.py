"""What an admin has fixed for every proxy on the database: here it is held at that, whatever was set here.

A lock goes through mitmproxy's own options, so whatever follows an option follows a lock. What was set here counts
again when the lock is cleared.
"""

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from mitmproxy import ctx, exceptions

from seatpool.core.locks import PREFIX, RULES, Lock, as_option
from seatpool.core.rules import RuleMistakes
from seatpool.proxy import options
from seatpool.proxy.faults import Faults
from seatpool.service.flows.rulebook import RuleBook

logger = logging.getLogger(__name__)

_RULES = PREFIX + RULES


class _Own(msgspec.Struct, frozen=True):
    """What an option was before it was locked."""

    value: Any
    said: bool
    """A person has set it here."""


class Locking:
    """One per proxy."""

    def __init__(self, book: RuleBook, faults: Faults) -> None:
        self._book = book
        self._faults = faults
        self._locks: dict[str, Lock] = {}
        """Those that this version understands, by option."""
        self._own: dict[str, _Own] = {}

    def check(self, updated: set[str]) -> None:
        """Raises `OptionsError` for what is locked to something else; mitmproxy puts it back then."""
        for name in updated & self._locks.keys() - {_RULES}:
            lock = self._locks[name]
            if getattr(ctx.options, name) != as_option(lock):
                raise exceptions.OptionsError(f"{name} is locked to {lock.value} by {lock.person}: seatpool lock list")

    def take(self, locks: Mapping[str, Lock]) -> None:
        """From now on these hold, and no others."""
        wanted = {lock.option: lock for lock in locks.values() if lock.name == RULES or as_option(lock) is not None}
        before, self._locks = self._locks, wanted
        for lock in locks.values():
            if lock.option not in wanted:
                logger.warning("action=lock-unknown name=%s by=%s: update seatpool", lock.name, lock.person)
        self._rule(before.get(_RULES))
        values: dict[str, Any] = {}
        for name, lock in wanted.items():
            if name != _RULES and (name not in before or before[name].value != lock.value):
                self._own.setdefault(name, _Own(getattr(ctx.options, name), options.was_set(ctx.options, name)))
                values[name] = as_option(lock)
        given_back = {name: self._own.pop(name) for name in before.keys() - wanted.keys() if name in self._own}
        try:
            ctx.options.update(**values, **{name: own.value for name, own in given_back.items()})
        except exceptions.OptionsError as error:  # somebody else's addon will not have it
            logger.error("action=lock-refused reason=%s", error)
            return
        for name in values:
            self._say(name)
        for name, own in given_back.items():
            if not own.said:
                options.unset(ctx.options, name)
            logger.info("action=unlocked option=%s value=%s", name, _shown(own.value))
        self._faults.overruled(map(self._overruled, filter(self._differs, wanted)))

    def _rule(self, before: Lock | None) -> None:
        lock = self._locks.get(_RULES)
        if (lock.value if lock is not None else None) == (before.value if before is not None else None):
            return
        try:
            self._book.impose(lock.value if lock is not None else None)
        except RuleMistakes as error:  # a newer version's: those of before stay
            mistake = error.mistakes[0]
            logger.error("action=rules-kept reason=line %d of the locked rules: %s", mistake.line, mistake.message)
        else:
            if lock is not None:
                self._say(_RULES)
            else:
                logger.info("action=unlocked option=%s value=%s", _RULES, self._book.path)

    def _say(self, name: str) -> None:
        lock = self._locks[name]
        value = "team" if name == _RULES else lock.value
        if self._differs(name):
            here = self._book.path if name == _RULES else _shown(self._own[name].value)
            words = "action=locked option=%s value=%s by=%s here=%s: what is set here does not count"
            logger.warning(words, name, value, lock.person, here)
        else:
            logger.info("action=locked option=%s value=%s by=%s", name, value, lock.person)

    def _differs(self, name: str) -> bool:
        """Whether a person has said otherwise here."""
        if name == _RULES:
            return bool(self._book.own.rules)
        own = self._own[name]
        return own.said and own.value != as_option(self._locks[name])

    def _overruled(self, name: str) -> str:
        lock = self._locks[name]
        if name == _RULES:
            return f"the rules in {self._book.path} do not count, {lock.person} has locked others: seatpool lock list"
        here = f"{name}={_shown(self._own[name].value)}"
        return f"{here} does not count here, {lock.person} has locked it to {lock.value}: seatpool lock list"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
