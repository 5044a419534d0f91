"""The fake auth.openai.com, and who owns what: refresh tokens are good once, and whoever uses one twice loses all."""

import base64
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from urllib.parse import urlsplit

from seatpool.core.model import Credential, CredentialKind, ProviderName
from seatpool.providers.http import Headers, HttpReply, HttpRequest
from seatpool.service.network.transport import SideCallFailed
from tests.proof.loop import Loop, Owner
from tests.proof.trial import Trial

MARK = b"FAKESECRET"
COPILOT = "https://api.individual.githubcopilot.com"
HOSTS: Mapping[ProviderName, frozenset[str]] = MappingProxyType(
    {
        ProviderName.CODEX: frozenset({"chatgpt.com", "auth.openai.com", "eu.chatgpt.com"}),
        ProviderName.COPILOT: frozenset({"api.github.com", "api.individual.githubcopilot.com"}),
    }
)
"""Where a credential may go, whatever the product thinks."""
_TOKEN = re.compile(rb"FAKESECRET-([a-z]+)-\d+")
ASTRAY = "https://evil.example"
LATE_S = 1.5
"""How long a side call takes at most, each way."""


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@dataclass
class Rotation:
    """A refresh token was exchanged for a new one."""

    spent: str
    fresh: str
    asked_by: Owner
    arrived: bool = False
    """The answer reached who asked."""


@dataclass
class Seat:
    """An account, as its issuer knows it."""

    name: str
    provider: ProviderName = ProviderName.CODEX
    origin: str = "NO_CONSTRAINT"
    refresh: str = ""
    access: dict[str, float] = field(default_factory=dict)
    """Tokens by their end, in the issuer's time."""
    rotations: list[Rotation] = field(default_factory=list)
    asking: list[Owner] = field(default_factory=list)
    """Processes with an exchange under way."""
    limited_until: float = 0.0
    spent_until: float = 0.0
    """The same of a limit that is told as quota (`Quota`)."""
    is_back: bool = False
    """Its quota is there again before its time, and it has served nobody since."""
    ails: bool = False
    """Something came of it that nobody had asked for: no answer, a refusal, half of one. For good."""
    serial: int = 0
    id: int = 0
    """In the pool's database."""
    priority: int = 100
    """There."""
    chosen_at: float = -math.inf
    """When it was chosen last for a request, by the simulated world's own time."""

    @property
    def usable(self) -> bool:
        """Its workspace is served where its credential may go."""
        return self.origin != ASTRAY

    @property
    def identity(self) -> str:
        return f"user-{self.name}/ws-{self.name}"


class Issuer:
    """Answers side calls."""

    def __init__(self, loop: Loop, trial: Trial, skew_s: float) -> None:
        self._loop = loop
        self._trial = trial
        self.skew_s = skew_s
        """By how much the clocks of upstream are ahead."""
        self.seats: dict[str, Seat] = {}
        self.unreachable = 0.0
        """Share of the calls that never get there."""
        self.lost = 0.0
        """Share of the answers that never come back."""
        self.lasts_s = 900.0
        """How long an access token is good."""
        self.usage: Callable[[Seat], dict[str, object] | None] = lambda seat: None
        """What is told to whoever asks for an account's quota, if anything is."""

    @property
    def now(self) -> float:
        """In upstream's time."""
        return self._loop.wall_s + self._loop.now + self.skew_s

    def add(self, name: str, lasts_s: float) -> tuple[Seat, Credential]:
        """An account, with the login that its owner has just made."""
        seat = self.seats[name] = Seat(name)
        token = self._grant(seat, lasts_s)
        expires_at = datetime.fromtimestamp(seat.access[token], UTC)
        known = {"account_id": f"ws-{name}", "user_id": f"user-{name}"}
        endpoints = {"api": "https://chatgpt.com"}
        kind = CredentialKind.CODEX_OAUTH
        return seat, Credential(kind, token, seat.refresh, expires_at, endpoints=endpoints, attributes=known)

    def add_copilot(self, name: str) -> tuple[Seat, Credential]:
        """A Copilot account; its login is for good."""
        seat = self.seats[name] = Seat(name, ProviderName.COPILOT)
        token = f"gho_FAKESECRET-{name}-1"
        seat.access[token] = float("inf")
        return seat, Credential(CredentialKind.GITHUB_OAUTH, token, endpoints={"api": COPILOT})

    def astray(self, data: bytes, host: str) -> bool:
        """Whether there is a credential of the pool in what goes to that host, and it must not be."""
        return any(host not in HOSTS[seat.provider] for seat in self._named_in(data))

    def _named_in(self, data: bytes) -> list[Seat]:
        """Those whose credentials are in there."""
        names = {found[1].decode() for found in _TOKEN.finditer(data)} if MARK in data else ()
        return [self.seats[name] for name in names]

    def owner_of(self, token: str) -> Seat | None:
        """Whose access token it is, be it good or not."""
        return self.seats.get(token.rsplit("-", 2)[-2]) if token.count("-") >= 2 and "FAKESECRET" in token else None

    def accepts(self, seat: Seat, token: str) -> bool:
        """Whether the token is good now."""
        return seat.access.get(token, 0.0) > self.now

    def _grant(self, seat: Seat, lasts_s: float) -> str:
        seat.serial += 1
        end = float(int(self.now + lasts_s))
        auth = {"chatgpt_account_id": f"ws-{seat.name}", "chatgpt_user_id": f"user-{seat.name}"}
        claims = {"exp": int(end), "https://api.openai.com/auth": auth}
        token = f"{_part({'alg': 'none'})}.{_part(claims)}.FAKESECRET-{seat.name}-{seat.serial}"
        seat.access[token] = end
        seat.refresh = f"rt-FAKESECRET-{seat.name}-{seat.serial}"
        return token

    def clock_set(self, by_s: float) -> None:
        """The machine's clock, not ours."""
        self.skew_s -= by_s

    # -- a side call, on its way

    async def call(self, owner: Owner, request: HttpRequest) -> HttpReply:
        """Send it and wait for the answer."""
        host = urlsplit(request.url).hostname or ""
        said = request.body + "".join(value for _, value in request.headers).encode()
        if self.astray(said, host):
            self._trial.broken("foreign-host", f"{owner} sent a credential to {host} by a side call")
        loop, answer = self._loop, self._loop.create_future()
        seat = self._begin(owner, request)
        chance = loop.random
        if chance.random() < self.unreachable:
            loop.post(owner, chance.random() * LATE_S, _fail, answer, host)
        else:
            loop.post(loop.world, chance.random() * LATE_S, self._arrive, owner, request, answer)
        try:
            reply: HttpReply = await answer
            if reply.status not in (200, 404):
                self._ail(said)
        except SideCallFailed:
            self._ail(said)
            raise
        finally:
            if seat is not None and owner in seat.asking:
                seat.asking.remove(owner)
        return reply

    def _ail(self, said: bytes) -> None:
        for seat in self._named_in(said):
            seat.ails = True

    def _begin(self, owner: Owner, request: HttpRequest) -> Seat | None:
        if not request.url.endswith("/oauth/token"):
            return None
        seat = self._seat_of(request)
        others = [each for each in seat.asking if not each.dead]
        if others:
            self._trial.broken("one-refresh", f"{owner} renews {seat.name} while {others[0]} does")
        seat.asking.append(owner)
        self._loop.note(f"renews {seat.name}")
        return seat

    def _seat_of(self, request: HttpRequest) -> Seat:
        return self.seats[json.loads(request.body)["refresh_token"].rsplit("-", 2)[-2]]

    def _arrive(self, owner: Owner, request: HttpRequest, answer: "object") -> None:
        loop = self._loop
        reply, rotation = self._answer(owner, request)
        delay = loop.random.random() * LATE_S
        if loop.random.random() < self.lost:
            loop.note(f"an answer to {owner} is lost")
            loop.post(owner, delay, _fail, answer, "auth.openai.com")
        else:
            loop.post(owner, delay, _tell, answer, reply, rotation)

    def _answer(self, owner: Owner, request: HttpRequest) -> tuple[HttpReply, Rotation | None]:
        path = urlsplit(request.url).path
        if path == "/oauth/token":
            return self._exchange(owner, request)
        token = Headers(request.headers).get("authorization", "").removeprefix("Bearer ")
        seat = self.owner_of(token)
        if seat is None or not self.accepts(seat, token):
            return _json(401, {"error": {"code": "token_expired", "message": "no"}}), None
        if path == "/backend-api/wham/accounts/check":
            override = {"account_routing_override": "NO_CONSTRAINT", "workspace_backend_origin": seat.origin}
            return _json(200, {"accounts": [{"id": f"ws-{seat.name}", **override}]}), None
        usage = self.usage(seat) if path == "/backend-api/wham/usage" else None
        return _json(200 if usage is not None else 404, usage or {}), None

    def _exchange(self, owner: Owner, request: HttpRequest) -> tuple[HttpReply, Rotation | None]:
        seat, sent = self._seat_of(request), json.loads(request.body)["refresh_token"]
        if sent != seat.refresh:
            rotation = next((each for each in seat.rotations if each.spent == sent), None)
            self._trial.reused(owner, seat, rotation)
            self._loop.note(f"{seat.name}: a spent token, from {owner}")
            return _json(401, {"error": {"code": "refresh_token_reused", "message": "no"}}), None
        if self._loop.random.random() < 0.05:
            return _json(503, {}), None
        token = self._grant(seat, self.lasts_s)
        rotation = Rotation(sent, seat.refresh, owner)
        seat.rotations.append(rotation)
        self._loop.note(f"{seat.name}: token {seat.serial}, for {owner}")
        return _json(200, {"access_token": token, "refresh_token": seat.refresh}), rotation


class Sender:
    """What a process sends its side calls with."""

    def __init__(self, issuer: Issuer, owner: Owner) -> None:
        self._issuer = issuer
        self._owner = owner

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send one."""
        return await self._issuer.call(self._owner, request)


def _tell(answer: "object", reply: HttpReply, rotation: Rotation | None) -> None:
    if not answer.done():  # type: ignore[attr-defined]
        if rotation is not None:
            rotation.arrived = True
        answer.set_result(reply)  # type: ignore[attr-defined]


def _fail(answer: "object", host: str) -> None:
    if not answer.done():  # type: ignore[attr-defined]
        answer.set_exception(SideCallFailed(f"{host}: simulated"))  # type: ignore[attr-defined]


def _json(status: int, body: object) -> HttpReply:
    return HttpReply(status, Headers([("content-type", "application/json")]), json.dumps(body).encode())
