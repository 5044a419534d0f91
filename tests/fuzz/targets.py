"""What is fuzzed: functions of bytes that raise where something does not hold; the table is at the end."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from posixpath import normpath
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import unquote

from seatpool.core.model import Account, Credential, CredentialKind, ProviderName, QuotaWindow
from seatpool.core.outcome import OK
from seatpool.core.rulefile import lines_of, read
from seatpool.core.rules import Asked, RuleMistakes, Rules
from seatpool.core.shown import Shown
from seatpool.providers import jsonparts, rewriting
from seatpool.providers.base import Frame, Provider, RequestFacts, Route
from seatpool.providers.codex import CODEX, tokens, told
from seatpool.providers.codex import signin as codex_signin
from seatpool.providers.codex import wire as codex_wire
from seatpool.providers.copilot import COPILOT
from seatpool.providers.copilot import signin as copilot_signin
from seatpool.providers.copilot import wire as copilot_wire
from seatpool.providers.copilot.routes import engine_of
from seatpool.providers.counts import BEGINNING, END, billed, counted
from seatpool.providers.http import Headers, HttpRequest
from seatpool.providers.logins import NotALogin
from seatpool.providers.openings import Opening, last_refusal
from seatpool.providers.registry import PROVIDERS, is_stranger, match
from seatpool.providers.rewriting import Wish
from seatpool.providers.showing import DIALECTS
from seatpool.providers.sidecalls import Keep, NotTold, RenewalNeed, RenewalRefused, Renewed, Reread, Why
from seatpool.providers.signin import Callback, Invitation, NotSignedIn, Pause, SignedIn, Visit
from tests.fuzz import sound
from tests.fuzz.messages import conversation, lines, message
from tests.fuzz.recordings import recordings
from tests.fuzz.settings import settings
from tests.fuzz.sound import NOW

HOSTS = {ProviderName.CODEX: "chatgpt.com", ProviderName.COPILOT: "api.githubcopilot.com"}
CHATS = {
    ProviderName.CODEX: "/backend-api/codex/responses",
    ProviderName.COPILOT: "/chat/completions",
}
SOCKETS = {ProviderName.CODEX: "/backend-api/codex/responses", ProviderName.COPILOT: "/responses"}
PLACES = {
    "/responses": HOSTS[ProviderName.COPILOT],
    "/v1/messages": HOSTS[ProviderName.COPILOT],
    "/embeddings": HOSTS[ProviderName.COPILOT],
    "/v1/engines/gpt-x/completions": "proxy.individual.githubcopilot.com",
}
ACCOUNTS = {
    ProviderName.CODEX: Account(1, ProviderName.CODEX, "work", "user-ann/ws-ann", "chatgpt.com"),
    ProviderName.COPILOT: Account(2, ProviderName.COPILOT, "octo", "github.com/ann", "github.com"),
}
KIND = {ProviderName.CODEX: CredentialKind.CODEX_OAUTH, ProviderName.COPILOT: CredentialKind.COPILOT_TOKEN}


def _route(provider: Provider, *, socket: bool) -> Route:
    path = (SOCKETS if socket else CHATS)[provider.name]
    found = provider.match("GET" if socket else "POST", HOSTS[provider.name], path, upgrade=socket)
    assert found is not None
    return found


ROUTES = {(name, socket): _route(p, socket=socket) for name, p in PROVIDERS.items() for socket in (False, True)}
FACTS = {
    key: RequestFacts(route, (KIND[key[0]],), model="gpt-x", buckets=("chat", "primary"))
    for key, route in ROUTES.items()
}


# -- answers


def errors(provider: Provider, data: bytes) -> None:
    """A whole answer means something that the pool can act on, the same for bytes and for what they stand for."""
    reply = message(data).reply
    for socket in (False, True):
        found = provider.classify(FACTS[provider.name, socket], reply, NOW)
        sound.outcome(found, refused=reply.status >= 400)


def frames(provider: Provider, data: bytes) -> None:
    """A message of an upstream's socket."""
    facts = FACTS[provider.name, True]
    found = provider.read_frame(facts, data, NOW)
    sound.frame(found)
    assert provider.read_frame(facts, data, NOW) == found
    shown = Shown({window.bucket: window for window in found.windows if not window.gone}, NOW)
    told = DIALECTS[provider.name].message(data, shown)
    if told is not None and found.outcome is None:
        _same_shares(found.windows, provider.read_frame(facts, told, NOW).windows)


def headers(provider: Provider, data: bytes) -> None:
    """The head of an answer: quota, what it drew on, when to come again."""
    fields = message(data).headers
    windows = provider.quota(fields, NOW)
    for window in windows:
        sound.window(window)
    shown = Shown({window.bucket: window for window in windows if not window.gone}, NOW)
    told = Headers(DIALECTS[provider.name].head(list(fields.items()), shown))
    _same_shares(windows, provider.quota(told, NOW))
    drawn = provider.draws(fields)
    assert drawn is None or all(0 < len(bucket) <= 80 for bucket in drawn)
    sound.header(provider.issued_turn_state(fields))
    wire: Any = codex_wire if provider is CODEX else copilot_wire
    again = wire.retry_after(fields, NOW)
    assert again is None or again > NOW
    sound.moment(again)


def _same_shares(came: Iterable[QuotaWindow], shown: Iterable[QuotaWindow]) -> None:
    """What is shown in the place of what came, where that is the same, is read as the same, to a percent.

    A window that was left out may be shown as one that is not there.
    """
    expected, found = ({each.bucket: each for each in some if not each.gone} for some in (came, shown))
    assert found.keys() == expected.keys()
    assert all(abs(window.left - found[bucket].left) <= 0.011 for bucket, window in expected.items())


def counts(data: bytes) -> None:
    """An answer's end and beginning, as they are kept of it."""
    for end, beginning in ((data[-END:], data[:BEGINNING]), (data, b""), (data[len(data) // 2 :], b"")):
        sound.tokens(counted(end, beginning, billed(b"", data[: len(data) - len(end)])).tokens)


def models(data: bytes) -> None:
    """A list of models, and what is appended to it: every byte that was there stays."""
    reply = message(data).reply
    for provider in PROVIDERS.values():
        found = provider.read_models(reply, NOW)
        if isinstance(found, NotTold):
            assert found.code
            sound.moment(found.retry_at)
    added = COPILOT.add_models(reply.body, {"added": b'{"id":"added"}'})
    if added is not None:
        assert _without(added, reply.body) in (b'{"id":"added"}', b',{"id":"added"}')
        assert _parsed(reply.body) is None or _parsed(added)["data"][-1] == {"id": "added"}


def openings(provider: Provider, data: bytes) -> None:
    """The beginning and the end of an event stream: what they say does not depend on how the bytes are cut."""

    def read_event(event: bytes) -> Frame:
        found = provider.read_event(FACTS[provider.name, False], event, NOW)
        sound.frame(found)
        return found

    told = []
    for size in (len(data) or 1, 1_000, 7, 1 if len(data) < 2_000 else 100):
        opening, outcome = Opening(read_event), None
        for at in range(0, len(data), size):
            outcome = opening.feed(data[at : at + size])
            if outcome is not None or opening.size > LONGEST_OPENING:
                break
        if outcome is not None:
            sound.outcome(outcome, refused=outcome is not OK)
        told.append(outcome)
    if len(data) <= LONGEST_OPENING:
        assert told.count(told[0]) == len(told), told
    last = last_refusal(read_event, data[-END:])
    if last is not None:
        sound.outcome(last, refused=True)


LONGEST_OPENING = 64 * 1024
"""So much of a stream is held back at most."""


# -- requests


def routes(data: bytes) -> None:
    """Nothing but the very path that a route has is ever moved."""
    method, host, path, upgrade = lines(data, 4)
    found = match(method, host, path, upgrade=bool(upgrade))
    is_stranger(host.lower())
    bare = path.partition("?")[0]
    if found is not None:
        assert method in ("GET", "POST")
        assert found.websocket is bool(upgrade)
        assert normpath(unquote(bare)) == bare == bare.rstrip("/")
        assert bare.isascii()
    engine = engine_of(path)
    assert engine is None or (engine in bare and "/" not in engine)


def requests(provider: Provider, data: bytes) -> None:
    """What is read of an editor's request, and of a message of its socket."""
    asked = message(data)
    for path in (CHATS[provider.name], *(p for p, h in PLACES.items() if provider is COPILOT)):
        route = provider.match("POST", PLACES.get(path, HOSTS[provider.name]), path, upgrade=False)
        assert route is not None
        _facts(provider, route, path, asked.headers, asked.body)
    _facts(provider, ROUTES[provider.name, True], SOCKETS[provider.name], asked.headers, asked.body)
    for name, value in provider.client_headers(asked.headers):
        assert (asked.headers.get(name), name) == (value, name.lower())


def _facts(provider: Provider, route: Route, path: str, fields: Headers, body: bytes) -> None:
    facts = provider.facts(route, path, fields, lambda: body)
    provider.carriers(route, body)
    if facts is None:
        return
    sound.facts(facts)
    sound.facts(provider.turn(facts, body))
    own = provider.primary(facts, fields, f"https://{HOSTS[provider.name]}", NOW)
    if own is not None:
        sound.login(own)
        for credential in own.credentials:
            assert provider.holds(fields, credential)


def claims(data: bytes) -> None:
    """A token of ChatGPT's; and its middle part alone, so that not every input has to be base64."""
    text = data.decode("utf-8", "surrogateescape")
    wrapped = f"e30.{codex_signin._base64url(data)}.x"
    for token in (text, wrapped):
        found = tokens.read_claims(token)
        if found.expires_at is not None:
            assert found.expires_at.tzinfo is not None
        sound.header(found.account_id)
        assert re.fullmatch(r"[a-z0-9._-]{1,40}", tokens.suggested_name(found))


def metadata(data: bytes) -> None:
    """What Codex tells of where it is at work."""
    text = data.decode("utf-8", "surrogateescape")
    told.early(text)
    for name in told.repositories(text):
        assert re.fullmatch(r"[^\s/]+/[^\s]+", name)
        assert name == name.lower()
    client = told.client(Headers([("originator", text)]))
    assert client is None or 0 < len(client) <= 100


OTHER = Wish("gpt-x", "gpt-longer")
FAST = Wish(fast=True)


def edits(data: bytes) -> None:
    """A body or message that is made to say something else: there alone it is another."""
    was = _parsed(data)
    found = jsonparts.members(data)
    if found is not None and was is not None:
        assert list(found) == list(was)
        for name, member in found.items():
            assert _parsed(data[slice(*member.value)]) == was[name]
    for rewrite in (lambda wish: rewriting.rewrite_body(data, wish)[0], lambda wish: CODEX.rewrite_frame(data, wish)):
        renamed, hastened = rewrite(OTHER), rewrite(FAST)
        if renamed is not data:
            assert was is None or _parsed(renamed) == was | {"model": "gpt-longer"}
            _edited(data, renamed, "gpt-x", "gpt-longer")
        if hastened is not data:
            assert was is None or _parsed(hastened) == was | {"service_tier": "priority"}
            assert _without(hastened, data) in (b',"service_tier":"priority"', b'"service_tier":"priority"')
    for state in ("mine", None):
        changed = CODEX.edit_client_frame(data, state, lambda _: False)
        if changed is not data and was is not None:
            metadata = dict(was["client_metadata"])
            foreign = metadata.pop("x-codex-turn-state")
            assert isinstance(foreign, str)
            if state is not None:
                metadata["x-codex-turn-state"] = state
                _edited(data, changed, foreign, state)
            assert _parsed(changed) == was | {"client_metadata": metadata}
    assert CODEX.edit_client_frame(data, None, lambda _: True) is data


def _parsed(data: bytes) -> Any:
    """By another parser than ours; None where it does not read it. It keeps the values of numbers as they are spelt."""
    try:
        return json.loads(data.decode(), parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return None


def _edited(before: bytes, after: bytes, was: str, now: str) -> None:
    """One string became another, and nothing else did."""
    start, end = _common(before, after)
    removed, added = before[start : len(before) - end], after[start : len(after) - end]
    assert len(removed) <= 12 * len(was) + 2, "\\u1234\\u5678 is the longest spelling of a character"
    assert added in json.dumps(now).encode()


def _without(after: bytes, before: bytes) -> bytes:
    """What was put in, at one place."""
    start, end = _common(before, after)
    put = len(after) - len(before)
    assert put > 0
    # Where what was put in begins as what stands behind it does, there are several ways to see it; take the last.
    assert start + end >= len(before)
    start = len(before) - end
    return _turned(after[start : start + put])


def _turned(put: bytes) -> bytes:
    """The same bytes, beginning where the member does: `"a":1,` and `,"a":1` are the same insertion into a row."""
    for at in range(len(put)):
        turned = put[at:] + put[:at]
        if turned.startswith((b',"', b',{"')) or (b"," not in put and turned.startswith((b'"service', b'{"'))):
            return turned
    return put


def _common(one: bytes, other: bytes) -> tuple[int, int]:
    """How many bytes both have in common at their beginning, and behind that at their end."""
    most = min(len(one), len(other))
    start = next((at for at in range(most) if one[at] != other[at]), most)
    most -= start
    end = next((at for at in range(most) if one[-1 - at] != other[-1 - at]), most)
    return start, end


# -- side calls


class Clock:
    """Goes on whenever somebody waits."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


STEPS = 400
"""More than any conversation takes: a device code lasts 15 minutes, and is asked about every few seconds."""


def renewals(provider: Provider, data: bytes) -> None:
    """A renewal, whatever an issuer answers to it."""
    account = ACCOUNTS[provider.name]
    answers = iter(conversation(data))
    held = {credential.kind: credential for credential in HELD[provider.name]}
    for kind in dict.fromkeys((KIND[provider.name], *held)):
        need = RenewalNeed(account, kind, held, why=Why.REFUSED)
        renewal = provider.renew(need, lambda: NOW)
        sent: Any = None
        for _ in range(STEPS):
            try:
                asked = renewal.send(sent)
            except StopIteration as end:
                _renewed(end.value)
                break
            if isinstance(asked, Keep):
                sound.credential(asked.credential)
                sent = None
            elif isinstance(asked, Reread):
                sent = data
            else:
                _sendable(asked)
                sent = next(answers, None)
        else:
            raise AssertionError("it never ends")
    for reply in conversation(data):
        if reply is not None:
            sound.told(provider.read_usage(account, held, reply, NOW))


def _renewed(found: Renewed | RenewalRefused) -> None:
    if isinstance(found, RenewalRefused):
        assert re.fullmatch(r"[A-Za-z0-9_. -]{1,80}", found.code), found.code
        sound.moment(found.retry_at)
        return
    sound.credential(found.credential)
    for window in found.windows:
        sound.window(window)


def signins(provider: Provider, data: bytes) -> None:
    """A sign-in, whatever an issuer answers to it; nothing of it reaches a screen that is not fit for one."""
    for begin in SIGN_INS[provider.name]:
        answers, clock = iter(conversation(data)), Clock()
        signin = begin(clock)
        sent: Any = None
        for _ in range(STEPS):
            try:
                step = signin.send(sent)
            except StopIteration as end:
                _signed_in(end.value)
                break
            sent = None
            if isinstance(step, HttpRequest):
                _sendable(step)
                sent = next(answers, None)
            elif isinstance(step, Pause):
                sound.seconds(step.seconds)
                clock.now += timedelta(seconds=max(step.seconds, 1))
            elif isinstance(step, Visit):
                # Whoever reads the browser's request leaves no lone surrogates in it.
                query = message(data.decode("utf-8", "replace").encode()).headers
                sent = Callback(dict(query.items()))
            elif isinstance(step, Invitation):
                assert step.url.isprintable()
                assert step.code.isprintable()
                assert step.expires_at >= clock.now
        else:
            raise AssertionError("it never ends")


def _signed_in(found: SignedIn | NotSignedIn) -> None:
    if isinstance(found, NotSignedIn):
        assert found.message.isprintable()
        return
    sound.login(found.login)
    assert all(doubt.isprintable() for doubt in found.doubts)


def _sendable(request: HttpRequest) -> None:
    for name, value in request.headers:
        (name + value).encode("latin-1")
        assert "\n" not in value
        assert "\r" not in value
    assert request.url.startswith("https://")
    assert request.url.isascii()


HELD = {
    ProviderName.CODEX: (
        Credential(
            CredentialKind.CODEX_OAUTH,
            f"e30.{codex_signin._base64url(b'{}')}.FAKESECRET",
            "rt_FAKESECRET",
            attributes={"account_id": "ws-ann", "user_id": "user-ann"},
            endpoints={"api": "https://chatgpt.com"},
        ),
    ),
    ProviderName.COPILOT: (
        Credential(CredentialKind.GITHUB_OAUTH, "gho_FAKESECRETann"),
        Credential(
            CredentialKind.COPILOT_TOKEN,
            "tid=ann0;exp=1795257000:FAKESECRET",
            expires_at=NOW + timedelta(seconds=1500),
            endpoints={"api": "https://api.individual.githubcopilot.com"},
        ),
    ),
}
SIGN_INS: Mapping[ProviderName, tuple[Callable[[Clock], Any], ...]] = {
    ProviderName.CODEX: (codex_signin.device, lambda clock: codex_signin.browser("http://localhost:1455/x", clock)),
    ProviderName.COPILOT: (
        lambda clock: copilot_signin.device("github.com", clock),
        lambda clock: copilot_signin.identify("gho_FAKESECRETann", "octo.ghe.com", None, clock),
    ),
}


# -- files


def rules(data: bytes) -> None:
    """A rules file says rules, or what is wrong with it and on which line of it."""
    last = data.count(b"\n") + 1
    try:
        found = read(data)
    except RuleMistakes as wrong:
        mistakes = wrong.mistakes
    else:
        mistakes = ()
        _sound_rules(found, data, last)
    assert all(1 <= mistake.line <= last and mistake.message for mistake in mistakes)


def _sound_rules(found: Rules, data: bytes, last: int) -> None:
    known = lines_of(data.decode("utf-8-sig").replace("\r\n", "\n"))
    for index, rule in enumerate(found.rules):
        assert rule.name.isprintable()
        assert bool(rule.only) != bool(rule.prefer)
        assert known["rule", index] == rule.line <= last
    for provider in ProviderName:
        found.first(Asked(provider, "gpt-x", "neovim", ("github.com/acme/work",)))
        found.pending(Asked(provider))


NAMES = ("auth.json", "apps.json", "hosts.json", "config.json", "auth.db", "hosts.yml", "-", "other")
_LONG_WORD = re.compile(rb"[A-Za-z0-9_.~+/-]{20,}")


def logins(data: bytes) -> None:
    """A login file holds logins, or is none, or is a broken one; what is said of it shows nothing of it."""
    head, _, content = data.partition(b"\n")
    name = NAMES[head[0] % len(NAMES)] if head else "other"
    for provider in PROVIDERS.values():
        try:
            found = provider.read_login(name, content)
        except NotALogin as wrong:
            told_of = str(wrong)
            assert told_of.isprintable()
            assert not any(word.decode() in told_of for word in _long_words(content))
            continue
        assert found is None or found
        for login in found or ():
            sound.login(login)


def _long_words(content: bytes) -> Iterator[bytes]:
    return (found[0] for found in _LONG_WORD.finditer(content[:4096]))


# -- the table


class Target(NamedTuple):
    """One target."""

    check: Callable[[bytes], None]
    slow_us: float = 5.0
    """Time that an input may take for each of its bytes, beside a quarter of a second: far more than it does."""


def of(check: Callable[[Provider, bytes], None], provider: Provider) -> Callable[[bytes], None]:
    """A check that is about one provider."""
    return lambda data: check(provider, data)


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "codex-openings": Target(of(openings, CODEX)),
        "copilot-openings": Target(of(openings, COPILOT)),
        "codex-errors": Target(of(errors, CODEX)),
        "codex-frames": Target(of(frames, CODEX)),
        "codex-headers": Target(of(headers, CODEX)),
        "codex-renewals": Target(of(renewals, CODEX)),
        "codex-requests": Target(of(requests, CODEX)),
        "codex-signins": Target(of(signins, CODEX)),
        "copilot-errors": Target(of(errors, COPILOT)),
        "copilot-frames": Target(of(frames, COPILOT)),
        "copilot-headers": Target(of(headers, COPILOT)),
        "copilot-renewals": Target(of(renewals, COPILOT)),
        "copilot-requests": Target(of(requests, COPILOT)),
        "copilot-signins": Target(of(signins, COPILOT)),
        "claims": Target(claims),
        "counts": Target(counts),
        "edits": Target(edits),
        "logins": Target(logins),
        "metadata": Target(metadata),
        "models": Target(models),
        "recordings": Target(recordings, slow_us=20.0),
        "routes": Target(routes),
        "rules": Target(rules),
        "settings": Target(settings, slow_us=20.0),
    }
)
"""By name. One line more is one target more."""
