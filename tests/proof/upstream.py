"""The fake chatgpt.com: answers as the seed has it, and remembers every byte that it has sent."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from seatpool.core.model import ProviderName
from tests.proof.issuer import Issuer, Seat
from tests.proof.loop import Loop
from tests.proof.network import Line
from tests.proof.quota import Quota
from tests.proof.trial import Trial

TAG = re.compile(r'"tag": ?"(R\d+)"')
"""How an editor's message names its request; over HTTP that stands in `x-tag`."""
TOKENS = 100
"""What every answer costs of the input; told at its end."""
TOLD = b'"input_tokens":%d' % TOKENS


@dataclass
class Mood:
    """How often what goes wrong: shares of the requests."""

    limited: float = 0.05
    """The account's quota is spent from now on."""
    throttled: float = 0.04
    midway: float = 0.05
    """The same amid a turn on a socket, when a tool has been called."""
    nameless: float = 0.01
    """A limit that names no end."""
    failing: float = 0.05
    """5xx."""
    denied: float = 0.05
    """A token is not good any more, before its time."""
    cut: float = 0.1
    """The connection breaks before the answer is over."""
    late_limit: float = 0.3
    """A limit is told in the first events of a stream that has begun with 200."""
    refused: float = 0.05
    """A connection is refused."""
    silent: float = 0.01
    """Nothing ever comes."""
    returned: float = 0.5
    """Of the times that quota is spent: it is there again before its time."""
    mistaken: float = 0.3
    """Of those that it is told: as if it were there, while there is none."""
    idle: float = 0.1
    """A connection is closed after an answer, without a word before."""


@dataclass
class Answer:
    """What upstream sent for one attempt."""

    request: str
    seat: str | None
    status: int
    body: bytearray = field(default_factory=bytearray)
    frames: list[str] = field(default_factory=list)
    """Of a socket."""
    whole: bool = False
    until: float = 0.0
    """The limit that it tells, in upstream's time."""
    arrived: bool = False
    """The editor has got all of it."""
    at: float = 0.0
    """When it was begun."""

    @property
    def tokens(self) -> int:
        """Input tokens that it tells of."""
        told = TOLD in self.body or any(TOLD.decode() in frame for frame in self.frames)
        return TOKENS if told else 0


class Upstream:
    """All servers of models."""

    def __init__(self, loop: Loop, trial: Trial, issuer: Issuer, mood: Mood, quota: Quota) -> None:
        self.loop = loop
        self.trial = trial
        self.issuer = issuer
        self.mood = mood
        self.quota = quota
        self.answers: dict[str, list[Answer]] = {}
        """By the editors' requests."""
        self.asked: Callable[[Line, str, Seat], None] = lambda line, request, seat: None
        """To be called when a process begins to send a request with an account's credential."""
        self.served: Callable[[str, Seat], None] = lambda request, seat: None
        """To be called when one gets an answer that is more than a refusal."""
        self.late_at = -math.inf
        """When a request came last on a connection that had taken leave: nobody looked at it."""
        self._number = 0

    def ail(self, seat: Seat | None) -> None:
        """It does not answer as it was asked to."""
        if seat is not None:
            seat.ails = True

    def begin(self, request: str, seat: Seat | None, status: int) -> Answer:
        """Another attempt is answered."""
        answer = Answer(request, seat.name if seat is not None else None, status, at=self.loop.now)
        self.answers.setdefault(request, []).append(answer)
        self.loop.note(f"upstream: {request} of {answer.seat} gets {status}")
        return answer

    def number(self) -> int:
        """One that there was not yet."""
        self._number += 1
        return self._number

    def limit(self, seat: Seat | None, answer: Answer) -> dict[str, object] | None:
        """The account's limit, where there is one now or it begins just now; as an error."""
        if seat is None:
            return None
        random, now, mood = self.loop.random, self.issuer.now, self.mood
        if seat.limited_until > now:
            self.ail(seat)
            left_s = seat.limited_until - now
            if left_s > 40 and random.random() < 0.3:  # whoever throttles knows nothing of quota
                left_s = random.choice((3.0, 20.0))
                answer.until = now + left_s
                return _throttle(left_s) if seat.provider is ProviderName.CODEX else dict(_BRIEF)
            answer.until = seat.limited_until
            if seat.provider is ProviderName.COPILOT:
                return dict(_SPENT if left_s > 40 else _BRIEF)
            return _spent(seat.limited_until, left_s) if left_s > 40 else _throttle(left_s)
        dice = random.random()
        if dice < mood.limited:
            self.quota.spend(seat, now + random.choice((15.0, 90.0, 600.0, 3600.0)))
        elif dice < mood.limited + mood.throttled:
            seat.limited_until = now + random.choice((0.5, 3.0, 20.0))
        elif dice < mood.limited + mood.throttled + mood.nameless:
            self.ail(seat)
            return {"message": "Too many requests", "code": "too_many", "type": "x"}
        else:
            return None
        return self.limit(seat, answer)

    def spend(self, seat: Seat | None, answer: Answer) -> dict[str, object] | None:
        """The account's limit begins now, perhaps."""
        if seat is not None and self.loop.random.random() < self.mood.midway:
            self.quota.spend(seat, self.issuer.now + 600.0)
        return self.limit(seat, answer) if seat is not None and seat.limited_until > self.issuer.now else None

    def events(self, request: str) -> list[str]:
        """An answer's, with one call of a tool."""
        number = self.number()
        response = {"id": f"resp_{number}", "status": "in_progress"}
        usage = {"input_tokens": TOKENS, "output_tokens": 10, "total_tokens": TOKENS + 10}
        call = {"type": "function_call", "call_id": f"call_{number}", "name": "shell", "arguments": "{}"}
        deltas = [f"{request}.{number}.{n}" for n in range(self.loop.random.randrange(1, 5))]
        return [
            json.dumps(event, separators=(",", ":"))
            for event in (
                {"type": "response.created", "response": response},
                *({"type": "response.output_text.delta", "delta": text} for text in deltas),
                {"type": "response.output_item.done", "item": call},
                {"type": "response.completed", "response": {**response, "usage": usage}},
            )
        ]


_SPENT = {"code": "user_global_rate_limited:pro", "message": "Sorry, you have been limited."}
_BRIEF = {"code": "rate_limited", "message": "Sorry, you have been limited."}


def _spent(until: float, left_s: float) -> dict[str, object]:
    said = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "plan_type": "plus"}
    return {**said, "resets_at": int(until) + 1, "resets_in_seconds": int(left_s) + 1}


def _throttle(left_s: float) -> dict[str, object]:
    words = f"Rate limit reached. Please try again in {left_s:.3f}s."
    return {"message": words, "type": "tokens", "code": "rate_limit_exceeded"}


class Channel(Protocol):
    """What one answer goes out by."""

    @property
    def over(self) -> bool:
        """Nobody hears it any more."""

    def begin(self, status: int, fields: Mapping[str, str], length: int | None) -> None:
        """Send its head; None: what comes is a stream."""

    def send(self, data: bytes) -> None:
        """Send a part of its body."""

    def finish(self) -> None:
        """It was all."""

    def break_off(self) -> None:
        """It was not, but nothing more comes."""

    def upgrade(self, answer: Answer, seat: Seat | None) -> None:
        """Open a WebSocket."""


class Asked:
    """One attempt of a request, and what becomes of it."""

    def __init__(self, upstream: Upstream, channel: Channel, host: str, fields: Mapping[str, str]) -> None:
        """`fields` by lower-case name."""
        self._upstream = upstream
        self._loop = upstream.loop
        self._channel = channel
        self._host = host
        self._fields = fields
        self._token = fields.get("authorization", "").removeprefix("Bearer ")
        self._seat = upstream.issuer.owner_of(self._token)
        self._request = fields.get("x-tag", "none")

    def look(self, line: Line) -> None:
        """At the moment of its sending."""
        if self._upstream.issuer.astray("".join(self._fields.values()).encode(), self._host):
            self._upstream.trial.broken("foreign-host", f"a credential went to {self._host}")
        if self._seat is not None:
            self._upstream.asked(line, self._request, self._seat)

    def arrive(self) -> None:
        """Some time later it is dealt with."""
        self._loop.post(self._loop.world, self._loop.random.random() * 0.3, self._answer)

    def _answer(self) -> None:
        if self._channel.over:
            return
        random, mood, seat = self._loop.random, self._upstream.mood, self._seat
        answer = self._upstream.begin(self._request, seat, 200)
        if seat is not None:
            if random.random() < mood.denied and seat.provider is ProviderName.CODEX:
                seat.access.pop(self._token, None)
            if not self._upstream.issuer.accepts(seat, self._token):
                self._refuse(answer, 401, {"message": "Provided token is expired.", "code": "token_expired"})
                return
        # What goes on with the editor's own login takes the time that it takes: it would wait for ever.
        if random.random() < mood.silent and seat is not None:
            self._loop.note(f"upstream: {self._request} is never answered")
            self._upstream.ail(seat)
            return
        dice = random.random()
        if dice < mood.cut / 3:
            answer.status = 0
            self._upstream.ail(seat)
            self._channel.break_off()
        elif dice > 1 - mood.failing:
            broken: dict[str, object] = {"message": "Something went wrong.", "code": "server_error"}
            self._refuse(answer, random.choice((500, 502, 503)), broken)
        elif not self._is_limited(answer):
            if "upgrade" in self._fields:
                self._channel.upgrade(answer, seat)
            else:
                self._stream(answer)

    def _is_limited(self, answer: Answer) -> bool:
        """Before it begins; where not, that may still be told later."""
        if self._loop.random.random() < self._upstream.mood.late_limit:
            return False
        limit = self._upstream.limit(self._seat, answer)
        if limit is not None:
            self._refuse(answer, 429, limit)
        return limit is not None

    def _refuse(self, answer: Answer, status: int, error: dict[str, object]) -> None:
        answer.status = status
        self._upstream.ail(self._seat)
        answer.body += json.dumps({"error": error}).encode()
        fields = {"content-type": "application/json"}
        if answer.until and self._host.endswith("githubcopilot.com"):
            fields["retry-after"] = str(int(answer.until - self._upstream.issuer.now) + 1)
        self._begin(status, fields, len(answer.body))
        if self._loop.random.random() < self._upstream.mood.cut / 4:
            answer.until = 0.0
            self._channel.send(bytes(answer.body[: self._loop.random.randrange(len(answer.body))]))
            self._channel.break_off()
            return
        answer.whole = True
        self._channel.send(bytes(answer.body))
        self._channel.finish()

    def _begin(self, status: int, fields: Mapping[str, str], length: int | None) -> None:
        quota = self._upstream.quota.head(self._seat, self._upstream.issuer.now)
        self._channel.begin(status, {**fields, **quota}, length)

    def _stream(self, answer: Answer) -> None:
        events = self._upstream.events(answer.request)
        limit = self._upstream.limit(self._seat, answer)
        random = self._loop.random
        if limit is not None:
            at = random.choice((1, random.randrange(1, len(events)), len(events) - 1))
            answer.until = answer.until if "resets_at" in limit else 0.0
            error = {**limit, "code": limit["type"]} if "resets_at" in limit else limit
            failed = {"type": "response.failed", "response": {"id": "resp_x", "error": error}}
            events[at:] = [json.dumps(failed, separators=(",", ":"))]
        if self._seat is not None:  # a limit of quota is told by the status: by whatever comes after 200 it is over
            self._upstream.served(answer.request, self._seat)
        data = b"".join(f"event: {json.loads(e)['type']}\ndata: {e}\n\n".encode() for e in events)
        cuts = sorted(random.randrange(1, len(data)) for _ in range(random.randrange(5)))
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
        stop = random.randrange(len(pieces) + 1) if random.random() < self._upstream.mood.cut else None
        nameless = self._seat is not None and self._seat.provider is ProviderName.CODEX  # as ChatGPT's backend sends it
        self._begin(200, {} if nameless else {"content-type": "text/event-stream"}, None)
        self._piece(answer, pieces, 0, stop)

    def _piece(self, answer: Answer, pieces: list[bytes], at: int, stop: int | None) -> None:
        if self._channel.over:
            return
        if at == stop:
            self._loop.note(f"upstream: {answer.request} is cut")
            self._upstream.ail(self._seat)
            self._channel.break_off()
        elif at == len(pieces):
            answer.whole = True
            self._channel.finish()
        else:
            answer.body += pieces[at]
            self._channel.send(pieces[at])
            delay = self._loop.random.choice((0.0, 0.01, 0.1, 0.5))
            self._loop.post(self._loop.world, delay, self._piece, answer, pieces, at + 1, stop)
