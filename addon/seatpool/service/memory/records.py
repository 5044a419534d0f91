"""What came of each attempt, as it is recorded: a refusal at once, what was served at its end, with everything.

A socket's turns are attempts of their own. They go on counting where its handshake was.
"""

import re
import time
from collections.abc import Callable

import msgspec

from seatpool.clock import utcnow
from seatpool.core.model import Attempt, Tokens
from seatpool.core.outcome import Outcome
from seatpool.core.reasons import SOCKET, WARM_UP
from seatpool.core.silence import silent
from seatpool.providers.base import RequestFacts
from seatpool.service.trail import Answered, Assignment, Trail, Turn

OK = "ok"
LEFT = "left"
"""The client went away before the answer was over."""
CUT = "cut"
"""The upstream broke off amid its answer."""

SWITCHING_PROTOCOLS = 101
"""Status of a WebSocket handshake that went well."""
NOT_YET = Answered(None, None)
"""Of an attempt that was sent when its flow ended."""
_CREATE = b'"response.create"'
_MODEL = re.compile(rb'"model"\s*:\s*"([A-Za-z0-9._:/@+-]{1,128})"')
"""It stands near the beginning of the message."""


class Ending(msgspec.Struct, frozen=True, gc=False):
    """How a flow ended whose answer had begun."""

    outcome: str = OK
    """`OK`, `LEFT` or `CUT`."""
    total_ms: float | None = None
    """From the sending of the last attempt; None where it was not sent."""
    tokens: Tokens | None = None
    refusal: Outcome | None = None
    """In which a streamed answer ended."""
    issued: bytes = b""
    """What of its answer gave out something that only its account can read."""

    __repr__ = silent("issued")

    @property
    def told(self) -> str:
        """As it is recorded."""
        return self.outcome if self.refusal is None else self.refusal.code


class Records:
    """Makes the rows."""

    def __init__(self, record: Callable[[Attempt], None]) -> None:
        """`record` returns at once."""
        self._record = record

    def refused(self, trail: Trail, code: str, answered: Answered) -> None:
        """The present attempt ended in a refusal, or in nothing."""
        if trail.current is not None:
            self._put(trail, trail.current, answered, Ending(code, answered.first_byte_ms))

    def served(self, trail: Trail, answered: Answered) -> None:
        """Its answer has begun. A handshake's is over."""
        if answered.status == SWITCHING_PROTOCOLS:
            self.refused(trail, OK, answered)
        else:
            trail.answered = answered

    def ended(self, trail: Trail, ending: Ending) -> None:
        """The flow is over, and with it the answer or the turn that was under way, or the wait for an answer."""
        answered, trail.answered = trail.answered, None
        current = trail.current
        if answered is None and ending.outcome != OK and ending.total_ms is not None:
            answered = NOT_YET if current is not None and trail.recorded < current.number else None
        if answered is not None and current is not None:
            self._put(trail, current, answered, ending)
        if trail.turn is not None:
            self.turn_over(trail, ending.outcome)

    # -- a socket's turns

    def turn_begins(self, trail: Trail, content: bytes) -> bool:
        """The client has sent this message; not every one begins a turn. Whether it does."""
        if not begins_turn(content):
            return False
        if trail.turn is not None:
            self.turn_over(trail, LEFT)
        named = _MODEL.search(content)
        trail.turn = Turn(utcnow(), time.monotonic(), named[1].decode() if named is not None else trail.facts.model)
        return True

    def turn_answered(self, trail: Trail) -> None:
        """The upstream has sent a message."""
        turn = trail.turn
        if turn is not None and turn.first_ms is None:
            turn.first_ms = _since(turn)

    def turn_over(self, trail: Trail, outcome: str, tokens: Tokens | None = None) -> None:
        """The turn under way has ended so; a refusal can come between two of them as well."""
        assignment = trail.current
        turn, trail.turn = trail.turn or Turn(utcnow(), time.monotonic(), trail.facts.model), None
        if assignment is None:
            return
        trail.turns += 1
        self._record(
            Attempt(
                trail.flow_id,
                trail.number + trail.turns,
                assignment.account.id,
                trail.facts.route.name,
                turn.model,
                outcome,
                None,
                turn.started_at,
                turn.first_ms,
                WARM_UP if turn.warming else SOCKET,
                None,
                _since(turn),
                tokens,
                *_where(trail.facts),
            )
        )

    def _put(self, trail: Trail, assignment: Assignment, answered: Answered, ending: Ending) -> None:
        facts = trail.facts
        trail.recorded = assignment.number
        self._record(
            Attempt(
                trail.flow_id,
                assignment.number + trail.turns,
                assignment.account.id,
                facts.route.name,
                facts.model,
                ending.told,
                answered.status,
                assignment.started_at,
                answered.first_byte_ms,
                assignment.reason,
                trail.chosen_in if assignment.number == 1 else None,
                ending.total_ms,
                ending.tokens,
                *_where(facts),
            )
        )


def begins_turn(content: bytes) -> bool:
    """Whether a client's message asks for an answer."""
    return _CREATE in content


def _where(facts: RequestFacts) -> tuple[str | None, str | None]:
    return facts.client, facts.repositories[0] if facts.repositories else None


def _since(turn: Turn) -> float:
    return (time.monotonic() - turn.sent_at) * 1000
