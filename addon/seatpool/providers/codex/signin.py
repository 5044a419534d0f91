"""Signing in with ChatGPT, by browser or by device code (codex.md 4)."""

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from hashlib import sha256
from urllib.parse import urlencode

import msgspec

from seatpool.core.silence import silent
from seatpool.providers.asking import (
    DENIED,
    EXPIRED,
    Undecided,
    ask,
    insist,
    pace_s,
    poll,
    refused,
    typable,
    unreadable,
)
from seatpool.providers.codex import auth
from seatpool.providers.codex.arrival import check, error_code, read_tokens
from seatpool.providers.codex.renew import CLIENT_ID, DEFAULT_CLIENT_HEADERS, TOKEN_URL
from seatpool.providers.codex.wire import AUTH_ORIGIN, read_object, text
from seatpool.providers.http import HttpReply, HttpRequest
from seatpool.providers.signin import Callback, Clock, Invitation, NotSignedIn, SignIn, Visit
from seatpool.providers.tolerant import stable_code

AUTHORIZE_URL = AUTH_ORIGIN + "/oauth/authorize"
DEVICE_PAGE = AUTH_ORIGIN + "/codex/device"
USER_CODE_URL = AUTH_ORIGIN + "/api/accounts/deviceauth/usercode"
DEVICE_TOKEN_URL = AUTH_ORIGIN + "/api/accounts/deviceauth/token"
DEVICE_REDIRECT = AUTH_ORIGIN + "/deviceauth/callback"
SCOPE = "openid profile email offline_access api.connectors.read api.connectors.invoke"
ORIGINATOR = "codex_cli_rs"
LIFE = timedelta(minutes=15)
"""How long the issuer lets a person take (codex.md 4)."""
USUAL_INTERVAL_S = 5.0
CALLBACK_PATH = "/auth/callback"

VERIFIER_BYTES, STATE_BYTES = 64, 32

_ACCEPT = ("accept", "application/json")
_NO_DEVICE_CODES = NotSignedIn(
    "device-flow-disabled", "auth.openai.com gives out no device codes: sign in with a browser on this machine instead."
)
_NEEDS = (
    "ChatGPT takes it where device codes for Codex are allowed: at chatgpt.com, Settings, Security; in a workspace by "
    "its admin."
)
"""Its page says so after a second factor was asked for, again and again (openai/codex#34817)."""
_FOREIGN = NotSignedIn(
    "state-mismatch", "The browser came back from another sign-in than this one: start again, and use the new page."
)


class Redirect(msgspec.Struct, frozen=True):
    """An address that the browser can be sent back to."""

    host: str
    """As it stands in the address."""
    port: int
    """0 for any free one."""
    listen: tuple[str, ...]
    """The addresses to listen on."""

    def uri(self, port: int) -> str:
        """The address, with the port that is really listened on."""
        return f"http://{self.host}:{port}{CALLBACK_PATH}"


REDIRECTS = tuple(Redirect("localhost", port, ("127.0.0.1", "::1")) for port in (1455, 1457))
"""Those registered for Codex, to be tried in this order. At any other port a browser may arrive, as RFC 8252 (7.3) has
it, but the issuer gives no tokens for its code (openai/codex#19334, can1357/oh-my-pi#1278)."""


def may_receive(origin: str) -> bool:
    """Whether a request of a sign-in may go to `origin` (`https://host[:port]`)."""
    return auth.is_issuers(origin)


# -- by browser


def browser(redirect_uri: str, now: Clock) -> SignIn:
    """Sign in by a browser on this machine, which comes back to `redirect_uri`."""
    verifier, state = _random(VERIFIER_BYTES), _random(STATE_BYTES)
    sent = yield Visit(_authorize_url(redirect_uri, verifier, state), now() + LIFE)
    if not isinstance(sent, Callback):
        return EXPIRED
    grant = _read_callback(sent, redirect_uri, verifier, state)
    return grant if isinstance(grant, NotSignedIn) else (yield from _exchange(grant, now))


def _random(size: int) -> str:
    return _base64url(secrets.token_bytes(size))


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _authorize_url(redirect_uri: str, verifier: str, state: str) -> str:
    query = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": redirect_uri,
        "scope": SCOPE,
        "code_challenge": _base64url(sha256(verifier.encode()).digest()),
        "code_challenge_method": "S256",
        "id_token_add_organizations": "true",
        "codex_cli_simplified_flow": "true",
        "state": state,
        "originator": ORIGINATOR,
    }
    return f"{AUTHORIZE_URL}?{urlencode(query)}"


class _Grant(msgspec.Struct, frozen=True):
    """What can be exchanged for tokens, once."""

    code: str
    verifier: str
    redirect_uri: str

    __repr__ = silent("code", "verifier")


def _read_callback(callback: Callback, redirect_uri: str, verifier: str, state: str) -> _Grant | NotSignedIn:
    query = callback.query
    if not secrets.compare_digest(query.get("state", "").encode(), state.encode()):
        return _FOREIGN
    if "error" in query:
        error, more = stable_code(query["error"]), stable_code(query.get("error_description"))
        if error == "access_denied" and not more:
            return DENIED
        said = ", ".join(filter(None, (error or "no reason given", more)))
        code = "denied" if error == "access_denied" else "refused"
        return NotSignedIn(code, f"ChatGPT did not grant the sign-in ({said}). Nothing was changed.")
    granted = text(query.get("code"))
    if granted is None:
        return NotSignedIn("unreadable", "The browser came back without a code: start again.")
    return _Grant(granted, verifier, redirect_uri)


# -- by device code


def device(now: Clock) -> SignIn:
    """Sign in by any browser on any machine, where the person types a code."""
    asked = _json(USER_CODE_URL, {"client_id": CLIENT_ID})
    reply = yield from ask(asked)
    if reply is not None and reply.status == 404:
        return _NO_DEVICE_CODES
    if reply is None or reply.status != 200:
        return refused(asked, reply, error_code(reply))
    told = read_object(reply.body)
    device_id, code = text(told.get("device_auth_id")), typable(told.get("user_code"))
    if device_id is None or code is None:
        return unreadable(asked)
    expires_at = now() + LIFE
    yield Invitation(DEVICE_PAGE, code, expires_at, _NEEDS)
    look = _json(DEVICE_TOKEN_URL, {"device_auth_id": device_id, "user_code": code})
    interval_s = pace_s(told.get("interval"), USUAL_INTERVAL_S)
    grant = yield from poll(look, partial(_read_look, look), interval_s, expires_at, now)
    return grant if isinstance(grant, NotSignedIn) else (yield from _exchange(grant, now))


def _read_look(look: HttpRequest, reply: HttpReply) -> _Grant | Undecided | NotSignedIn:
    if reply.status in (403, 404):
        return Undecided()
    if reply.status != 200:
        return refused(look, reply, error_code(reply))
    told = read_object(reply.body)
    code, verifier = text(told.get("authorization_code")), text(told.get("code_verifier"))
    return _Grant(code, verifier, DEVICE_REDIRECT) if code and verifier else unreadable(look)


# -- the tokens


def _exchange(grant: _Grant, now: Clock) -> SignIn:
    asked = _form(
        TOKEN_URL,
        {
            "grant_type": "authorization_code",
            "code": grant.code,
            "redirect_uri": grant.redirect_uri,
            "client_id": CLIENT_ID,
            "code_verifier": grant.verifier,
        },
    )
    reply = yield from insist(asked)
    if reply is None or reply.status != 200:
        return refused(asked, reply, error_code(reply))
    granted = read_tokens(reply, now())
    if granted is None:
        return unreadable(asked)
    return (yield from check(granted, now))


# -- requests


def _form(url: str, fields: Mapping[str, str]) -> HttpRequest:
    return _post(url, "application/x-www-form-urlencoded", urlencode(fields).encode())


def _json(url: str, fields: Mapping[str, str]) -> HttpRequest:
    return _post(url, "application/json", msgspec.json.encode(fields))


def _post(url: str, content_type: str, body: bytes) -> HttpRequest:
    return HttpRequest("POST", url, (("content-type", content_type), _ACCEPT, *DEFAULT_CLIENT_HEADERS), body)
