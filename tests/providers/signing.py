"""Plays a sign-in through by hand: its clock moves with its pauses, its requests get the answers that a test gives."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from seatpool.providers.http import HttpReply, HttpRequest
from seatpool.providers.signin import (
    Callback,
    Clock,
    Invitation,
    NotSignedIn,
    Pause,
    SignedIn,
    SignIn,
    Step,
    Visit,
)

Sent = HttpReply | Callback | None
Answer = Sent | Callable[[HttpRequest | Visit], Sent]
"""What a request or a visit is sent back, or how to find out."""


@dataclass
class Played:
    """What a sign-in did."""

    began: datetime
    steps: list[Step] = field(default_factory=list)
    end: SignedIn | NotSignedIn | None = None
    took_s: float = 0.0

    @property
    def requests(self) -> list[HttpRequest]:
        return [step for step in self.steps if isinstance(step, HttpRequest)]

    @property
    def pauses(self) -> list[float]:
        return [step.seconds for step in self.steps if isinstance(step, Pause)]

    @property
    def invitation(self) -> Invitation:
        (found,) = [step for step in self.steps if isinstance(step, Invitation)]
        return found

    @property
    def visit(self) -> Visit:
        (found,) = [step for step in self.steps if isinstance(step, Visit)]
        return found

    @property
    def signed_in(self) -> SignedIn:
        assert isinstance(self.end, SignedIn), self.end
        return self.end

    @property
    def code(self) -> str:
        assert isinstance(self.end, NotSignedIn), self.end
        return self.end.code


def play(flow: Callable[[Clock], SignIn], answers: Iterable[Answer], began: datetime) -> Played:
    """Play to the end; every answer has to be used up, unless there is no end of them."""
    played, rest = Played(began), iter(answers)
    steps = flow(lambda: began + timedelta(seconds=played.took_s))
    sent: Sent = None
    while True:
        try:
            step = steps.send(sent)
        except StopIteration as stop:
            played.end = stop.value
            assert not isinstance(answers, tuple) or not list(rest), "not every answer was asked for"
            return played
        played.steps.append(step)
        sent = None
        if isinstance(step, Pause):
            played.took_s += step.seconds
        elif isinstance(step, HttpRequest | Visit):
            answer = next(rest)
            sent = answer(step) if callable(answer) else answer
