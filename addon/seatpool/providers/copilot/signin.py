"""Signing in with GitHub by device code (copilot.md 10), and finding out whose a GitHub token is."""

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from urllib.parse import urlencode

import msgspec

from seatpool.core.model import Account, Credential, CredentialKind, ProviderName
from seatpool.providers.asking import (
    DENIED,
    EXPIRED,
    Asking,
    Undecided,
    ask,
    insist,
    pace_s,
    poll,
    refused,
    typable,
    unreadable,
)
from seatpool.providers.copilot import auth
from seatpool.providers.copilot.found import ATTR_APP
from seatpool.providers.copilot.renew import BEFORE_ANY_EDITOR, printable, rate_limited, read_user, user_request
from seatpool.providers.copilot.wire import AUTHORIZATION, text
from seatpool.providers.http import HttpReply, HttpRequest
from seatpool.providers.logins import ImportedLogin
from seatpool.providers.sidecalls import RenewalNeed, RenewalRefused
from seatpool.providers.signin import Clock, Invitation, NotSignedIn, SignedIn, SignIn
from seatpool.providers.tolerant import NO_JSON, Json, mapping, number, read_json, stable_code


class App(msgspec.Struct, frozen=True):
    """A program of GitHub's that a person can sign in with."""

    client_id: str
    scope: str


EDITOR = App("Iv1.b507a08c87ecfe98", "read:user")
"""Its tokens can be exchanged, so they serve editors (copilot.md 10)."""
CLI = App("Ov23ctDVkRmgkPke0Mmm", "read:user read:org repo gist")
"""Its tokens are sent as they are: they serve the Copilot CLI (copilot.md 2.6, 10)."""
APPS: Mapping[str, App] = MappingProxyType({"editor": EDITOR, "cli": CLI})

USUAL_INTERVAL_S = 5.0
USUAL_LIFE_S = 900.0
LONGEST_LIFE_S = 3600.0

_LOGIN = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)
_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
_ACCEPT = ("accept", "application/json")
_USER_AGENT = tuple(field for field in BEFORE_ANY_EDITOR if field[0] == "user-agent")

_NO_ISSUER = NotSignedIn("bad-host", "GitHub signs nobody in there: name github.com or <tenant>.ghe.com.")
NO_DEVICE_CODES = NotSignedIn(
    "device-flow-disabled",
    "This app gives out no device codes at present: sign in with an editor and import its login.",
)
ENDINGS: Mapping[str, NotSignedIn] = MappingProxyType(
    {
        "expired_token": EXPIRED,
        "token_expired": EXPIRED,
        "access_denied": DENIED,
        "device_flow_disabled": NO_DEVICE_CODES,
    }
)
"""Errors, which come with status 200, by the line that they end in; any other is named in the general one."""


def issuer_of(host: str) -> str | None:
    """The issuer that a person names: `github.com` or `<tenant>.ghe.com`, in any case; None for any other host."""
    return auth.issuer_of(host.strip().lower().removeprefix("https://").rstrip("/"))


def may_receive(origin: str) -> bool:
    """Whether a request of a sign-in may go to `origin` (`https://host`): GitHub's own hosts, or a tenant's."""
    return auth.is_issuers(origin)


# -- by device code


def device(host: str, now: Clock, app: App = EDITOR) -> SignIn:
    """Sign in at `github.com` or at a tenant by any browser on any machine, where the person types a code."""
    issuer = issuer_of(host)
    if issuer is None:
        return _NO_ISSUER
    asked = _form(f"https://{issuer}/login/device/code", {"client_id": app.client_id, "scope": app.scope})
    reply = yield from ask(asked)
    told = _document(reply)
    if reply is None or reply.status != 200 or "error" in told:
        return _ended(asked, reply, told)
    device_code, code = text(told.get("device_code")), typable(told.get("user_code"))
    if not device_code or code is None:
        return unreadable(asked)
    expires_at = now() + _life(told.get("expires_in"))
    yield Invitation(_page(issuer, told.get("verification_uri")), code, expires_at)
    fields = {"client_id": app.client_id, "device_code": device_code, "grant_type": _GRANT_TYPE}
    look = _form(f"https://{issuer}/login/oauth/access_token", fields)
    interval_s = pace_s(told.get("interval"), USUAL_INTERVAL_S)
    token = yield from poll(look, partial(_read_look, look), interval_s, expires_at, now)
    return token if isinstance(token, NotSignedIn) else (yield from identify(token, issuer, app.client_id, now))


def _life(expires_in: object) -> timedelta:
    stated = number(expires_in)
    return timedelta(seconds=min(stated, LONGEST_LIFE_S) if stated is not None and stated > 0 else USUAL_LIFE_S)


def _page(issuer: str, stated: object) -> str:
    """Where the code is typed: as the issuer says, if that is a page of its own."""
    page = text(stated)
    own = page.startswith(f"https://{issuer}/") and printable(page)
    return page if own else f"https://{issuer}/login/device"


def _read_look(look: HttpRequest, reply: HttpReply) -> str | Undecided | NotSignedIn:
    told = _document(reply)
    match told.get("error"):
        case "authorization_pending":
            return Undecided()
        case "slow_down":
            return Undecided(slower=True, interval_s=number(told.get("interval")))
    token = text(told.get("access_token"))
    if reply.status != 200 or "error" in told:
        return _ended(look, reply, told)
    return token if printable(token) else unreadable(look)


def _ended(request: HttpRequest, reply: HttpReply | None, told: Json) -> NotSignedIn:
    error = stable_code(told.get("error"))
    return ENDINGS.get(error) or refused(request, reply, error)


# -- whose a token is


def identify(token: str, issuer: str, app: str | None, now: Clock) -> SignIn:
    """Ask the issuer whose `token` is, which seat that person has and where it is served.

    `app` is the client id of the program that the token was made for, where that is known.
    """
    if auth.issuer_of(issuer) is None:
        return _NO_ISSUER
    asked = _get(f"https://api.{issuer}/user", token)
    reply = yield from insist(asked)
    if reply is not None and reply.status == 401:
        return NotSignedIn("refused", f"{issuer} does not take this login any more: sign in again.")
    told = _document(reply)
    if reply is None or reply.status != 200:
        return refused(asked, reply)
    person = _read_person(told, issuer)
    if person is None:
        return unreadable(asked)
    credential = Credential(CredentialKind.GITHUB_OAUTH, token, attributes={ATTR_APP: app} if app else {})
    return (yield from _check(person, credential, now))


def _read_person(told: Json, issuer: str) -> Account | None:
    """Whose it is, as an account that is not stored yet: the number stays when the person takes another name."""
    known_as, login = told.get("id"), text(told.get("login"))
    if not isinstance(known_as, int) or isinstance(known_as, bool) or known_as <= 0 or not _LOGIN.fullmatch(login):
        return None
    tenant = issuer.removesuffix(".ghe.com") if issuer != auth.GITHUB else ""
    return Account(
        id=0,
        provider=ProviderName.COPILOT,
        name=f"{login}-{tenant}" if tenant else login,
        identity=f"{issuer}/{known_as}",
        issuer=issuer,
        handle=f"{issuer}/{login}".lower(),
    )


def _check(person: Account, credential: Credential, now: Clock) -> Asking[SignedIn]:
    """Which seat the person has; nothing that fails here undoes the sign-in."""
    need = RenewalNeed(person, credential.kind, {credential.kind: credential})
    reply = yield from ask(user_request(need, credential))
    found = read_user(person, credential, reply, now())
    if isinstance(found, RenewalRefused):
        return SignedIn(_login(person, credential), doubts=(_doubt(person, found.code, reply),))
    doubts = () if found.plan else (_no_seat(person, "no plan"),)
    return SignedIn(_login(person, found.credential, found.plan), found.windows, doubts)


def _login(person: Account, credential: Credential, plan: str | None = None) -> ImportedLogin:
    return ImportedLogin(
        provider=person.provider,
        name=person.name,
        identity=person.identity,
        issuer=person.issuer,
        credentials=(credential,),
        plan=plan,
        handle=person.handle,
    )


def _doubt(person: Account, code: str, reply: HttpReply | None) -> str:
    message = text(_document(reply).get("message")).lower()
    if reply is not None and reply.status in (403, 404) and not rate_limited(message):
        return _no_seat(person, code)
    return f"Its plan and quota could not be read ({code})."


def _no_seat(person: Account, code: str) -> str:
    return f"{person.issuer} gives {person.name} no access to Copilot ({code}): it serves nothing until it has a seat."


# -- requests and answers


def _document(reply: HttpReply | None) -> Json:
    return mapping(read_json(reply.body)) if reply is not None else NO_JSON


def _form(url: str, fields: Mapping[str, str]) -> HttpRequest:
    content_type = ("content-type", "application/x-www-form-urlencoded")
    return HttpRequest("POST", url, (content_type, _ACCEPT, *_USER_AGENT), urlencode(fields).encode())


def _get(url: str, token: str) -> HttpRequest:
    return HttpRequest("GET", url, ((AUTHORIZATION, f"Bearer {token}"), _ACCEPT, *_USER_AGENT))
