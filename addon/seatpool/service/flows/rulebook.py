"""A person's rules, as their file says them at this time.

The file is looked at twice a second, away from requests, and read when it has been still between two looks: an editor
that is in the middle of writing must not take a rule away for a moment. An edit with a mistake, and a file that is
gone, leave the last good rules in force.
"""

import asyncio
import logging
from collections import OrderedDict
from pathlib import Path

import msgspec
import platformdirs

from seatpool.core.model import ProviderName
from seatpool.core.rules import NO_RULES, Asked, Deciding, Mistake, Rule, RuleMistakes, Rules
from seatpool.providers.base import RequestFacts
from seatpool.service.threads import aside

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
LOCKED = "locked rules"
"""Where rules stand that an admin has fixed for every proxy on the database."""
CONVERSATIONS = 10_000
"""Of so many it is remembered what they told; the oldest are forgotten first."""

Signature = tuple[int, int, int]
"""Time of the last change, size and inode."""


class RulesError(Exception):
    """There are no rules to be had from a file; the text says where and why: `FILE:LINE: what is wrong`."""

    def __init__(self, path: Path, mistakes: tuple[Mistake, ...]) -> None:
        self.lines = tuple(f"{path}:{mistake.line}: {mistake.message}" for mistake in mistakes)
        more = f" (and {len(self.lines) - 1} more)" if len(self.lines) > 1 else ""
        super().__init__(self.lines[0] + more)


class UnreadableRules(RulesError):
    """The file cannot be read at all."""

    def __init__(self, path: Path, reason: str) -> None:
        Exception.__init__(self, f"{path}: {reason}")
        self.lines = (str(self),)


def default_path() -> Path:
    """Where rules are looked for when nobody names a file."""
    return platformdirs.user_config_path("seatpool") / "rules.toml"


def rules_in(path: Path) -> Rules:
    """The rules of a file (blocking). Raises `RulesError`."""
    try:
        return _read(path.read_bytes())
    except RuleMistakes as error:
        raise RulesError(path, error.mistakes) from None
    except OSError as error:
        raise UnreadableRules(path, error.strerror or type(error).__name__) from None


class RuleBook:
    """One per process. Everything but the reading of the file runs in the event loop."""

    def __init__(self) -> None:
        self.path = default_path()
        self.own = NO_RULES
        """Those of the file."""
        self._imposed: Rules | None = None
        self._deciding = Deciding()
        self._seen: Signature | None = None
        self._settling: Signature | None = None
        self._away = False
        self._told: OrderedDict[tuple[ProviderName, str], tuple[str, ...]] = OrderedDict()
        """Repositories of a conversation, as it last told them."""
        self._next: dict[tuple[ProviderName, str], Asked] = {}
        """What a conversation asked that was sent away from its socket: its next handshake is for exactly that."""
        self._watch: asyncio.Task[None] | None = None

    @property
    def rules(self) -> Rules:
        """Those in force."""
        return self._deciding.rules

    @property
    def title(self) -> str:
        """Where they stand."""
        return self.path.name if self._imposed is None else LOCKED

    def impose(self, text: str | None) -> None:
        """Have these be in force, whatever the file says; None: the file's again. Raises `RuleMistakes`."""
        self._imposed = _read(text.encode()) if text is not None else None
        self._deciding = Deciding(self._imposed if self._imposed is not None else self.own)

    # -- the file

    def load(self, named: str = "") -> None:
        """Read a file for the first time (blocking); no file is none, unless it was named.

        Raises `RulesError`, and then everything stays as it was.
        """
        path = _named(named) if named else default_path()
        try:
            seen = _signature(path)
        except OSError as error:
            raise UnreadableRules(path, error.strerror or type(error).__name__) from None
        rules = rules_in(path) if named or seen is not None else NO_RULES
        self.path, self._seen, self._settling, self._away = path, seen, None, False
        self._take(rules)

    def start(self) -> None:
        """Begin to follow the file."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._follow(), name="seatpool rules")

    async def stop(self) -> None:
        """Stop following it."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            path = self.path
            try:
                rules = await aside(self.look)
            except RulesError as error:
                logger.warning("action=rules-kept reason=%s", error)
            except Exception:
                logger.exception("action=rules-kept")
            else:
                if rules is not None and path == self.path:
                    self._take(rules)

    def look(self) -> Rules | None:
        """The file's rules, where it has changed and is still (blocking). Raises `RulesError`, once for an edit."""
        try:
            seen, problem = _signature(self.path), "it is gone; an empty file would mean no rules"
        except OSError as error:
            seen, problem = None, error.strerror or type(error).__name__
        if seen == self._seen:
            self._settling, self._away = None, False
            return None
        if seen is None:
            if not self._away:
                self._away = True
                raise UnreadableRules(self.path, problem)
            return None
        if seen != self._settling:
            self._settling = seen
            return None
        self._seen, self._settling, self._away = seen, None, False
        return rules_in(self.path)

    def _take(self, rules: Rules) -> None:
        before, self.own = self.own, rules
        if self._imposed is None:
            self._deciding = Deciding(rules)
        if rules.rules or before.rules:
            logger.info("action=rules file=%s rules=%d", self.path, len(rules.rules))

    # -- a request

    def of(self, facts: RequestFacts) -> Rule | None:
        """The rule that decides about a request, by what it tells and by what its conversation told before."""
        if not self._deciding.rules.rules:
            return None
        key = (facts.route.provider, facts.conversation or "")
        if facts.route.websocket and (asked := self._next.pop(key, None)) is not None:
            return self._deciding.first(asked)
        return self._deciding.first(self._asked(facts))

    def pending(self, facts: RequestFacts) -> Rule | None:
        """The binding rule that may decide as soon as the conversation tells its repositories, which it has not."""
        if not facts.early or not self._deciding.rules.rules:
            return None
        asked = self._asked(facts)
        return None if asked.repositories else self._deciding.rules.pending(asked)

    def of_turn(self, facts: RequestFacts) -> Rule | None:
        """The same for a message on an open socket."""
        return self._deciding.first(self._asked(facts)) if self._deciding.rules.rules else None

    def new_here(self, facts: RequestFacts) -> bool:
        """Whether a request tells repositories of a conversation of which none were known."""
        key = (facts.route.provider, facts.conversation or "")
        return bool(facts.repositories) and facts.conversation is not None and key not in self._told

    def again(self, facts: RequestFacts) -> None:
        """A conversation is sent away from its socket: its next handshake is to be for what these facts ask."""
        if facts.conversation is not None:
            if len(self._next) >= CONVERSATIONS:
                self._next.clear()
            self._next[facts.route.provider, facts.conversation] = self._asked(facts)

    def _asked(self, facts: RequestFacts) -> Asked:
        asked = Asked(facts.route.provider, facts.model, facts.client, facts.repositories)
        if facts.conversation is None:
            return asked
        key = (facts.route.provider, facts.conversation)
        if not facts.repositories:
            return msgspec.structs.replace(asked, repositories=self._told.get(key, ()))
        self._told[key] = facts.repositories
        self._told.move_to_end(key)
        while len(self._told) > CONVERSATIONS:
            self._told.popitem(last=False)
        return asked


def _named(path: str) -> Path:
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise UnreadableRules(Path(path), "no user of this machine has the name behind the ~") from None


def _read(content: bytes) -> Rules:
    from seatpool.core.rulefile import read  # most have no rules, and need no parser of TOML

    return read(content)


def _signature(path: Path) -> Signature | None:
    """None where there is no such file; raises `OSError` where that cannot be told."""
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
