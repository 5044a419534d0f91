"""Getting credentials: the token exchange, an account's own record, auto mode's session (copilot.md 2, 4, 5.2).

Nothing here is good once only: a call that failed can be made again.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import PurePath
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from seatpool.core.model import Account, Credential, CredentialKind
from seatpool.providers.copilot import auth, quota
from seatpool.providers.copilot.wire import AUTHORIZATION, moment, retry_after, text
from seatpool.providers.http import HeaderView, HttpReply, HttpRequest
from seatpool.providers.logins import NotALogin
from seatpool.providers.sidecalls import OWNER, Keep, Renewal, RenewalNeed, RenewalRefused, Renewed, Reread
from seatpool.providers.tolerant import Json, mapping, number, read_json, stable_code

CLIENT_HEADERS = (
    "editor-version",
    "editor-plugin-version",
    "copilot-language-server-version",
    "copilot-integration-id",
    "user-agent",
    "x-vscode-user-agent-library-version",
)
"""By these an editor names itself (copilot.md 3); ids of machine and session are not ours to repeat."""

BEFORE_ANY_EDITOR = (
    ("editor-version", "Neovim/0.11.0"),
    ("editor-plugin-version", "copilot-language-server/1.539.0"),
    ("copilot-language-server-version", "1.539.0"),
    ("copilot-integration-id", "jetbrains-chat"),
    ("user-agent", "GithubCopilot/1.539.0"),
)
"""What the language server was seen to send in November 2026 (copilot-observed.md 1); until an editor is seen."""

# Schema versions belong to who reads the answer, so they are ours whatever the editor sends (copilot.md 3).
_VERSION = "x-github-api-version"
_TOKEN_VERSION = "2025-04-01"  # noqa: S105 # a date
_USER_VERSION = "2025-05-01"
MODELS_VERSION = "2026-08-01"

ATTR_REPLACED = "endpoints_replaced"
"""Key of the credential's attributes: uses whose stated host was not the issuer's, so that the default stands in."""

CLIENT_MARGIN = timedelta(seconds=60)
"""What clients add to `refresh_in`, since they trust no clock but their own (copilot.md 2.3)."""
LONGEST_WAIT = timedelta(minutes=15)
"""Clients' own cap on what a rate limit of the token endpoint asks for (copilot.md 2.4)."""
RETRY_SHORT_LIVED = timedelta(minutes=1)
RETRY_INVALID = timedelta(minutes=5)
"""Seldom enough that GitHub does not take us for somebody who tries passwords."""
SESSION_LIFE = timedelta(minutes=30)
"""For a session that names no end."""

_NOT_OUR_APP = "resource not accessible by"
_RATE_LIMITED = "api rate limit exceeded"
_PASSING = "server_error"
"""The one `notification_id` that is upstream's own trouble."""
ABUSE = frozenset({"spammy_user", "access_revoked", "programmatic_token_generation"})
"""Stop using the account and tell its owner (copilot.md 2.4)."""

_SESSION_REQUEST = msgspec.json.encode({"auto_mode": {"model_hints": ["auto"]}})

Clock = Callable[[], datetime]


def client_headers(headers: HeaderView) -> tuple[tuple[str, str], ...]:
    """What a request says of the editor that sent it; empty where it does not name one."""
    found = tuple((name, value) for name in CLIENT_HEADERS if (value := headers.get(name)))
    return found if "editor-version" in headers else ()


def renew(need: RenewalNeed, now: Clock) -> Renewal:
    """Get a credential of `need.kind`."""
    way = _WAYS.get(need.kind)
    if way is None:
        return RenewalRefused("not-a-copilot-kind", durable=False, kind_only=True)
    if not auth.default_endpoints(need.account.issuer):
        return RenewalRefused("unknown-issuer", durable=True)
    return (yield from way(need, now))


# -- the exchange


def _exchange(need: RenewalNeed, now: Clock) -> Renewal:
    return (yield from _signed_in_anew(need, now, _exchanged))


def _exchanged(need: RenewalNeed, login: Credential, now: Clock) -> Renewal:
    reply = yield _get(need, "/copilot_internal/v2/token", f"token {login.token}", _TOKEN_VERSION)
    if not isinstance(reply, HttpReply):
        return RenewalRefused("unanswered", durable=False)
    if reply.status != 200:
        return _exchange_refused(reply, now())
    return _minted(need.account, reply, now())


def _minted(account: Account, reply: HttpReply, now: datetime) -> Renewed | RenewalRefused:
    envelope = mapping(read_json(reply.body))
    token = text(envelope.get("token"))
    life = _life(envelope, reply.headers, now)
    if not printable(token) or life is None:
        return RenewalRefused("unreadable-token", durable=False)
    if life <= auth.LEAST_LEFT:
        return RenewalRefused("short-lived-token", durable=False, retry_at=now + RETRY_SHORT_LIVED)
    minted = Credential(CredentialKind.COPILOT_TOKEN, token, expires_at=now + life)
    return Renewed(_placed(minted, account, envelope))


def _life(envelope: Json, headers: HeaderView, now: datetime) -> timedelta | None:
    """How long the token can be used: as the clients reckon, never beyond what the server says by its own clock."""
    refresh_in = number(envelope.get("refresh_in"))
    if refresh_in is None or not 0 < refresh_in < timedelta(days=1).total_seconds():
        return None
    life = timedelta(seconds=refresh_in) + CLIENT_MARGIN
    ends = moment(envelope.get("expires_at"), now)
    if ends is None:
        return life
    told = ends - (moment(headers.get("date"), now) or now)
    return min(life, told) if told > timedelta() else life  # a token that is born dead: somebody's clock is wrong


class _Refusal(msgspec.Struct, frozen=True):
    """What a status of the token endpoint means where its body says nothing special."""

    code: str
    kind_only: bool = False


_BY_STATUS: Mapping[int, _Refusal] = MappingProxyType(
    {
        403: _Refusal("forbidden"),
        404: _Refusal("not-an-editor-token", kind_only=True),
    }
)


def _exchange_refused(reply: HttpReply, now: datetime) -> RenewalRefused:
    """The status table of copilot.md 2.4."""
    document = mapping(read_json(reply.body))
    message = text(document.get("message")).lower()
    notification = _notification(document)
    if notification and reply.status == 403:
        durable = notification != _PASSING
        return RenewalRefused(notification, durable, revoked=durable)
    if reply.status == 429 or rate_limited(message):
        return RenewalRefused("rate-limited", durable=False, retry_at=_wait(reply.headers, now))
    if reply.status == 403 and _NOT_OUR_APP in message:
        return RenewalRefused("not-an-editor-token", durable=False, kind_only=True)
    if reply.status == 401:
        return _invalid(now)
    known = _BY_STATUS.get(reply.status, _Refusal(f"http-{reply.status}"))
    retry_at = None if known.kind_only else _wait(reply.headers, now)
    return RenewalRefused(known.code, durable=False, retry_at=retry_at, kind_only=known.kind_only)


def _invalid(now: datetime) -> RenewalRefused:
    """A 401. These tokens do not expire, and GitHub has refused good ones for minutes (octokit/octokit.net issue 2786,
    github/copilot-language-server-release issue 44)."""
    return RenewalRefused("github-token-invalid", durable=True, retry_at=now + RETRY_INVALID, doubtful=True)


def rate_limited(message: str) -> bool:
    """Whether an error's text, in lower case, speaks of too many requests, whatever its status."""
    return _RATE_LIMITED in message


def _notification(document: Json) -> str:
    """The code of `error_details`; empty where there are none."""
    details = mapping(document.get("error_details"))
    return stable_code(details.get("notification_id")) or ("no-access" if details else "")


def _wait(headers: HeaderView, now: datetime) -> datetime | None:
    """When the endpoint may be asked again, a quarter of an hour from now at the latest."""
    told = retry_after(headers, now) or moment(headers.get("x-ratelimit-reset"), now)
    return min(told, now + LONGEST_WAIT) if told is not None and told > now else None


# -- the login itself


def _signed_in_anew(need: RenewalNeed, now: Clock, way: Callable[[RenewalNeed, Credential, Clock], Renewal]) -> Renewal:
    """What comes of `way` with the GitHub login that is held, or with the one that its program has got since.

    An editor's sign-in can end any day, with its tenant's SSO session (github/copilot.vim issue 75) or because GitHub
    keeps but some tokens of a person and an app (cli/cli issue 12490). The person signs in there, and not here.
    """
    login = need.held.get(CredentialKind.GITHUB_OAUTH)
    if login is None:
        return RenewalRefused("no-github-token", durable=False, kind_only=True)
    result = yield from way(need, login, now)
    if not (isinstance(result, RenewalRefused) and result.doubtful and OWNER in login.attributes):
        return result
    content = yield Reread(login.attributes[OWNER])
    newer = _login_in(need.account, login, content if isinstance(content, bytes) else b"")
    if newer is None:
        return result
    yield Keep(newer)
    return (yield from way(need, newer, now))


def _login_in(account: Account, login: Credential, content: bytes) -> Credential | None:
    """The same person's other login in the file where this one was found; None where it has none."""
    try:
        from seatpool.providers.copilot.login import read_login  # nobody needs it before a login is over
    except ImportError:  # which may be long after a newer version was put in the place of this one
        return None
    path = login.attributes[OWNER]
    try:
        found = read_login(PurePath(path).name, content) or ()
    except NotALogin:
        return None
    same = (each.credentials[0] for each in found if each.handle and each.handle in (account.handle, account.identity))
    newer = (each for each in same if each.token != login.token)
    return next((replace(login, token=c.token, attributes={**c.attributes, OWNER: path}) for c in newer), None)


# -- the account's own record


def _look_up(need: RenewalNeed, now: Clock) -> Renewal:
    return (yield from _signed_in_anew(need, now, _looked_up))


def _looked_up(need: RenewalNeed, login: Credential, now: Clock) -> Renewal:
    reply = yield user_request(need, login)
    return read_user(need.account, login, reply if isinstance(reply, HttpReply) else None, now())


def user_request(need: RenewalNeed, login: Credential) -> HttpRequest:
    """Asks for an account's own record."""
    return _get(need, "/copilot_internal/user", f"Bearer {login.token}", _USER_VERSION)


def read_user(account: Account, login: Credential, reply: HttpReply | None, now: datetime) -> Renewed | RenewalRefused:
    """What the record says: where the login is served, its plan and its quota."""
    if reply is None:
        return RenewalRefused("unanswered", durable=False)
    user = mapping(read_json(reply.body))
    if reply.status != 200:
        return _look_up_refused(reply, user, now)
    if not user:
        return RenewalRefused("unreadable-user", durable=False)
    plan = stable_code(user.get("copilot_plan")) or None
    return Renewed(_placed(login, account, user), plan, quota.of_user(user, now))


def _look_up_refused(reply: HttpReply, document: Json, now: datetime) -> RenewalRefused:
    notification = _notification(document)
    if reply.status == 403 and notification in ABUSE:
        return RenewalRefused(notification, durable=True, revoked=True)
    if reply.status == 401:
        return _invalid(now)
    return RenewalRefused(f"http-{reply.status}", durable=False, retry_at=_wait(reply.headers, now))


# -- auto mode's session


def _open_session(need: RenewalNeed, now: Clock) -> Renewal:
    bearer = bearer_of(need.held.values(), now())
    if bearer is None or not auth.may_receive(need.account, bearer.endpoints[auth.API]):
        return RenewalRefused("no-bearer", durable=False, kind_only=True)
    headers = side_headers(need, f"Bearer {bearer.token}", MODELS_VERSION)
    reply = yield HttpRequest(
        "POST",
        f"{bearer.endpoints[auth.API]}/models/session",
        (*headers, ("content-type", "application/json")),
        _SESSION_REQUEST,
    )
    if not isinstance(reply, HttpReply):
        return RenewalRefused("unanswered", durable=False, kind_only=True)
    if reply.status != 200:
        until = _wait(reply.headers, now())
        return RenewalRefused(f"http-{reply.status}", durable=False, retry_at=until, kind_only=True)
    told = mapping(read_json(reply.body))
    token = text(told.get("session_token"))
    if not printable(token):
        return RenewalRefused("unreadable-session", durable=False, kind_only=True)
    ends = moment(told.get("expires_at"), now()) or now() + SESSION_LIFE
    return Renewed(Credential(CredentialKind.COPILOT_SESSION, token, expires_at=ends))


def bearer_of(held: Iterable[Credential], now: datetime) -> Credential | None:
    """The Copilot token while it is good, else the GitHub token."""
    by_kind = {c.kind: c for c in held if auth.API in c.endpoints and (c.expires_at is None or c.expires_at > now)}
    return by_kind.get(CredentialKind.COPILOT_TOKEN) or by_kind.get(CredentialKind.GITHUB_OAUTH)


# -- what they share


_WAYS: Mapping[CredentialKind, Callable[[RenewalNeed, Clock], Renewal]] = MappingProxyType(
    {
        CredentialKind.COPILOT_TOKEN: _exchange,
        CredentialKind.GITHUB_OAUTH: _look_up,
        CredentialKind.COPILOT_SESSION: _open_session,
    }
)

_VISIBLE = re.compile(r"[!-~]+")


def printable(token: str) -> bool:
    """Whether a token can be put into a header as it is."""
    return _VISIBLE.fullmatch(token) is not None


def _get(need: RenewalNeed, path: str, authorization: str, version: str) -> HttpRequest:
    """A request to the issuer's REST host: `api.github.com` or the tenant's (copilot.md 1.1)."""
    return HttpRequest("GET", f"https://api.{need.account.issuer}{path}", side_headers(need, authorization, version))


def side_headers(need: RenewalNeed, authorization: str, version: str) -> tuple[tuple[str, str], ...]:
    """Headers of a side call: the account's own credential, and the editor's name."""
    return (
        (AUTHORIZATION, authorization),
        ("accept", "application/json"),
        *(need.client_headers or BEFORE_ANY_EDITOR),
        (_VERSION, version),
    )


def _placed(credential: Credential, account: Account, envelope: Json) -> Credential:
    """The credential with the endpoints of its own answer (copilot.md 2.5), each checked to be the issuer's."""
    endpoints = dict(auth.default_endpoints(account.issuer))
    stated = mapping(envelope.get("endpoints"))
    replaced: list[str] = []
    for use in endpoints:
        if use not in stated:
            continue
        origin = auth.canonical(stated[use])
        if origin is not None and auth.may_receive(account, origin):
            endpoints[use] = origin
        else:
            replaced.append(use)
    attributes = {k: v for k, v in credential.attributes.items() if k != ATTR_REPLACED}
    if replaced:
        attributes[ATTR_REPLACED] = ",".join(replaced)
    return replace(credential, endpoints=endpoints, attributes=attributes)
