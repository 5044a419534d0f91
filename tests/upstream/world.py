"""Who exists at the fake upstream, and how it treats each of them."""

import itertools
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.upstream import tokens
from tests.upstream.hosts import copilot_endpoints
from tests.upstream.signins import Grant, Person

ANYBODY = "*"
REQUEST, HANDSHAKE, PREWARM, FRAME = "request", "handshake", "prewarm", "frame"
BROKEN = frozenset(
    {"close", "reset", "goaway", "goaway_late", "refused_stream", "hang", "half_head", "bad_head", "junk"}
)
"""Kinds that give no answer."""
BREAKS = frozenset({"cut", "stall", "failed", "truncated", "leave", "close_code", "garbled"})
"""Kinds that break a stream."""
_STREAM_KINDS = BREAKS | {"ok"}


@dataclass(slots=True)
class Behaviour:
    """How requests are answered. `kind` is one of:

    - `ok`: the route's own good answer, streamed where it streams;
    - refusals, see `refusals.py`: `usage_limit`, `rate_limited`, `not_included`, `unauthorized`, `payment`,
      `forbidden`, `cloudflare`, `misdirected`, `overloaded`, `server_error`, `invalid_encrypted`,
      `model_not_supported`, `status` (any, given by `status`, `body` and `headers`);
    - broken before an answer: `close`, `reset`, `hang`, `goaway` (the request untouched), `goaway_late` (taken, but
      never answered), `refused_stream`; all three of them are a plain close over HTTP/1.1;
    - broken in the head: `half_head`, `bad_head` (a field that is none), `junk` (no HTTP at all); then `end` follows;
    - broken streams, after `after` deltas: `cut` (ends as `end` says), `stall` (silence), `failed` (an error event),
      `truncated` (a clean end without the terminal event; close 1000 on a WebSocket), `leave` (GOAWAY, and the answer
      goes on to its end), `close_code` (WebSocket close with `code`), `garbled` (a WebSocket frame that is none).

    A refusal on a `frame` is an error frame, sent after `after` deltas.
    """

    kind: str = "ok"
    route: str = ANYBODY
    """Name of a route (`responses`, `chat-completions`, `oauth-token`, ...)."""
    on: tuple[str, ...] = ()
    """`request` (plain HTTP); `handshake`, `prewarm` and `frame` (WebSocket). Refusals default to the first two,
    streams to the first and the last."""
    first: int | None = None
    """For how many requests it holds before the next behaviour (at last: ok) takes over; None for all."""
    model: str | None = None
    host: str | None = None
    reused: bool | None = None
    """True: only for a request that is not the first one of its connection."""
    deltas: int = 3
    gap_ms: float = 0
    delay_ms: float = 0
    """Before the head of the answer, after what the request does has been done."""
    after: int = 0
    size: int = 0
    """Pads every delta's text to this many characters."""
    status: int | None = None
    code: str | int | None = None
    message: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """More headers of the answer."""
    body: Any = None
    """A string goes out as it is, anything else as JSON. On a WebSocket a string is a message ahead of the answer, a
    list holds all the events of the answer."""
    cut_at: int | None = None
    """A whole answer breaks off after so many bytes of its body, as `end` says."""
    length: int | None = None
    """The content-length that a whole answer announces, instead of the true one."""
    end: str = "close"
    """How an answer breaks off: `close`, `reset` (TCP's), or `hang` (silence)."""
    piece: int = 0
    """Streams go out in pieces of so many bytes, `gap_ms` apart."""
    accept: bool = True
    """False: the handshake's answer does not prove that the other side speaks WebSocket."""
    retry_after: float | None = None
    resets_in_s: int = 3600
    input_tokens: int = 20_000
    """Of the prompt in all, as the end of an answer tells; of that from a prompt cache; and of the answer."""
    cached_tokens: int = 18_000
    output_tokens: int = 300
    turn_state: bool = True
    reasoning: bool = False
    """Puts an encrypted reasoning item before the message."""
    rate_limits: bool = True
    """Quota in headers, and as a frame on a WebSocket."""
    ping: bool = False
    """Asks the WebSocket's client for a sign of life ahead of the answer."""
    close_after: bool = False
    """Closes the connection behind the answer, unannounced; a WebSocket with `code`, or 1006 without a word."""

    def __post_init__(self) -> None:
        if isinstance(self.on, str):
            self.on = (self.on,)
        if not self.on:
            self.on = (REQUEST, FRAME) if self.kind in _STREAM_KINDS else (REQUEST, HANDSHAKE)


@dataclass(slots=True)
class FakeAccount:
    """One paying customer of an upstream."""

    name: str
    provider: str
    """`codex` or `copilot`."""
    plan: str = ""
    """ChatGPT plan type, or `individual`, `business`, `enterprise`, `ghe`."""
    account_id: str = ""
    origin: str = "https://chatgpt.com"
    """`workspace_backend_origin` of accounts/check (codex.md 1.1)."""
    override: str = "NO_CONSTRAINT"
    entry: dict[str, Any] = field(default_factory=dict)
    """More fields of the accounts/check entry."""
    quota: dict[str, Any] = field(default_factory=dict)
    """Codex: `primary`, `secondary` and names of additional limits in percent used. Copilot: percent left by snapshot
    name."""
    strict: bool = False
    """Refuses what other accounts gave out: turn-states, ciphers, item ids, signatures."""
    models: list[str] | None = None
    """Which models a Copilot seat may use, None for the whole catalogue; those of a Codex account's list, if any."""
    token_life_s: float = 1800
    revoked: bool = False
    """Every credential of the account is refused with 401."""
    revoked_below: int = 0
    """Access tokens of lower generations are refused with 401."""
    generation: int = 0
    """Codex: generation of the refresh token that is good now."""
    others: set[int] = field(default_factory=set)
    """Codex: those of earlier sign-ins, which are good as well."""
    login: str = ""
    """Copilot: the name on GitHub, which its owner can change; the account's own unless told."""
    minted: int = 0
    """Copilot: how many tokens were minted."""
    behaviours: list[Behaviour] = field(default_factory=list)

    def __post_init__(self) -> None:
        tokens.check_name(self.name)
        self.plan = self.plan or ("plus" if self.provider == "codex" else "individual")
        self.login = self.login or self.name
        self.account_id = self.account_id or tokens.codex_account_id(self.name)
        self.behaviours = [made(each) for each in self.behaviours]

    @property
    def endpoints(self) -> dict[str, str]:
        """Copilot endpoints of the plan."""
        return copilot_endpoints(self.plan)

    @property
    def number(self) -> int:
        """A GitHub user id, which stays when the login changes."""
        return zlib.crc32(self.name.encode())


def made(behaviour: Behaviour | Mapping[str, Any]) -> Behaviour:
    """A behaviour out of its JSON form."""
    return behaviour if isinstance(behaviour, Behaviour) else Behaviour(**behaviour)


class World:
    """Accounts and their behaviours."""

    def __init__(self, accounts: Iterable[FakeAccount] = (), *, strict: bool = False) -> None:
        self.accounts = {account.name: account for account in accounts}
        self.everybody: list[Behaviour] = []
        self.strict = strict
        """Every account is."""
        self.numbers = itertools.count(1)
        self.people: dict[str, Person] = {}
        """Who signs in next, by provider."""
        self.grants: dict[int, Grant] = {}
        """By number."""
        self.spent: set[str] = set()
        """Device codes that were used."""

    @classmethod
    def from_script(cls, script: Mapping[str, Any]) -> "World":
        """`{"accounts": {name: {provider, plan, behaviours, ...}}, "behaviours": [...], "strict": false}`.

        `"sign_ins": {name: {decision, pending, ...}}` says who signs in, one for each provider at most.
        """
        world = cls(
            (FakeAccount(name=name, **fields) for name, fields in script.get("accounts", {}).items()),
            strict=script.get("strict", False),
        )
        world.everybody = [made(each) for each in script.get("behaviours", ())]
        for account, fields in script.get("sign_ins", {}).items():
            world.sign_in(account, fields)
        return world

    def behave(self, account: str, behaviours: Iterable[Behaviour | Mapping[str, Any]]) -> None:
        """Replace the behaviours of an account (`*`: those of everybody, asked after an account's own)."""
        fresh = [made(each) for each in behaviours]
        if account == ANYBODY:
            self.everybody = fresh
        else:
            self.accounts[account].behaviours = fresh

    def change(self, account: str, fields: Mapping[str, Any]) -> None:
        """Set fields of an account."""
        for name, value in fields.items():
            if not hasattr(self.accounts[account], name):
                raise ValueError(f"an account has no {name!r}")
            setattr(self.accounts[account], name, value)

    def sign_in(self, account: str, fields: Mapping[str, Any]) -> None:
        """From now on this is who signs in at the account's provider; `fields` as in `Person`."""
        self.people[self.accounts[account].provider] = Person(account, **fields)

    def person(self, provider: str) -> Person:
        """Who signs in: whoever was told, else the provider's first account."""
        if provider not in self.people:
            first = next(account.name for account in self.accounts.values() if account.provider == provider)
            self.sign_in(first, {})
        return self.people[provider]

    def pick(
        self, account: FakeAccount | None, place: str, route: str, host: str, model: str | None, *, reused: bool
    ) -> Behaviour:
        """The behaviour for this request, used up by one where it is limited."""
        for each in itertools.chain(account.behaviours if account else (), self.everybody):
            if (
                each.first != 0
                and place in each.on
                and each.route in (ANYBODY, route)
                and each.host in (None, host)
                and each.model in (None, model)
                and each.reused in (None, reused)
            ):
                if each.first is not None:
                    each.first -= 1
                return each
        return _OK

    def accepts(self, owned: tokens.Owned | None) -> str | None:
        """None when a credential is good, else the code of its refusal."""
        account = self.accounts.get(owned.owner) if owned else None
        if owned is None or account is None:
            return "token_invalid"
        if account.revoked or (owned.kind == "codex" and owned.generation < account.revoked_below):
            return "token_invalidated"
        if owned.expires_at is not None and owned.expires_at <= time.time():
            return "token_expired"
        return None


_OK = Behaviour()
