"""Signing in at the fake auth.openai.com, by browser and by device code (codex.md 4)."""

import base64
import hashlib
import re
import secrets
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.upstream import tokens
from tests.upstream.exchange import Exchange, Route
from tests.upstream.hosts import Site
from tests.upstream.signins import HTML, Grant, page
from tests.upstream.world import FakeAccount

CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
DEVICE_REDIRECT = "https://auth.openai.com/deviceauth/callback"
REGISTERED = frozenset(
    {
        DEVICE_REDIRECT,
        *(f"http://localhost:{port}/auth/callback" for port in (1455, 1457)),
        "http://127.0.0.1:1455/auth/callback",
    }
)
"""Where a code may come from (codex.md 4). The page with the question minds them less (can1357/oh-my-pi#1278)."""
_LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1):[1-9][0-9]*/auth/callback")


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier (RFC 7636)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _wrong(query: dict[str, str]) -> str | None:
    """What an authorize address lacks."""
    checks = {
        "response_type": query.get("response_type") == "code",
        "client_id": query.get("client_id") == CLIENT_ID,
        "redirect_uri": _LOOPBACK.fullmatch(query.get("redirect_uri", "")),
        "code_challenge_method": query.get("code_challenge_method") == "S256",
        "code_challenge": re.fullmatch(r"[\w-]{43}", query.get("code_challenge", "")),
        "state": query.get("state"),
        "scope": "offline_access" in query.get("scope", "").split(),
    }
    return next((name for name, good in checks.items() if not good), None)


async def _authorize(exchange: Exchange) -> None:
    """The page with the question; its links lead to `_decide`."""
    query = _query(exchange)
    if wrong := _wrong(query):
        exchange.entry.answer = f"wrong-{wrong}"
        await exchange.answer(400, page("Sign-in failed", f"The request's {wrong} is wrong."), HTML)
        return
    grant = _new_grant(exchange, query["redirect_uri"], query["code_challenge"], query["state"])
    links = {answer: f"/oauth/decide?answer={answer}&grant={grant.number}" for answer in ("allow", "deny")}
    await exchange.answer(200, page("Sign in to Codex", f"You are {grant.account}. Allow it?", **links), HTML)


async def _decide(exchange: Exchange) -> None:
    """Back to the program, with a code or with a refusal."""
    query = _query(exchange)
    grant = exchange.world.grants.get(int(query.get("grant", 0)))
    if grant is None or grant.used:
        await exchange.answer(400, page("Sign-in failed", "This page is out of date."), HTML)
        return
    exchange.entry.account, exchange.entry.answer = grant.account, query["answer"]
    if query["answer"] == "allow":
        told = {"code": grant.code, "scope": "openid", "state": grant.state}
    else:
        grant.used = True
        told = {"error": "access_denied", "error_description": "The user denied the request", "state": grant.state}
    parts = urlsplit(grant.redirect_uri)
    await exchange.answer(302, "", {"location": parts._replace(query=urlencode(told)).geturl()})


def _new_grant(exchange: Exchange, redirect_uri: str, challenge: str, state: str = "") -> Grant:
    world = exchange.world
    grant = Grant(world.person("codex").account, next(world.numbers), redirect_uri, challenge, state)
    world.grants[grant.number] = grant
    return grant


async def _user_code(exchange: Exchange) -> None:
    person = exchange.world.person("codex")
    if person.disabled:
        await exchange.answer(404, {"detail": "Not Found"})
        return
    number = next(exchange.world.numbers)
    exchange.entry.account = person.account
    await exchange.answer(
        200,
        {
            "device_auth_id": tokens.carrier("device", person.account, number),
            "user_code": f"FAKE-{number:04d}",
            "interval": str(person.interval_s),
        },
    )


async def _look(exchange: Exchange) -> None:
    """403 while nobody has confirmed; then a code together with its verifier."""
    body = exchange.facts.body
    device, person = tokens.read_token(str(body.get("device_auth_id"))), exchange.world.person("codex")
    if device is None or body.get("user_code") != f"FAKE-{device.generation:04d}":
        await exchange.answer(400, {"error": {"message": "No such code", "code": "deviceauth_unknown"}})
        return
    exchange.entry.account = person.account
    found = exchange.entry.answer = person.look()
    if found != "allow":
        await exchange.answer(403, {"error": {"message": "Not yet", "code": f"deviceauth_{found}"}})
        return
    verifier = secrets.token_urlsafe(64)
    grant = _new_grant(exchange, DEVICE_REDIRECT, challenge_of(verifier))
    granted = {"authorization_code": grant.code, "code_challenge": grant.challenge, "code_verifier": verifier}
    await exchange.answer(200, granted)


async def exchange_code(exchange: Exchange) -> None:
    """Tokens for a code; every mistake is the same refusal, and uses the code up."""
    told, world = exchange.facts.body, exchange.world
    grant = world.grants.get(exchange.owned.generation) if exchange.owned else None
    good = (
        grant is not None
        and not grant.used
        and told.get("code") == grant.code
        and told.get("client_id") == CLIENT_ID
        and told.get("redirect_uri") == grant.redirect_uri
        and challenge_of(told.get("code_verifier", "")) == grant.challenge
    )
    if grant is not None:
        grant.used = True
    if grant is not None and grant.redirect_uri not in REGISTERED:
        exchange.entry.answer = "unregistered"
        await exchange.answer(403, {"error": {"message": "Forbidden", "type": "invalid_request_error"}})
        return
    if grant is None or not good:
        exchange.entry.answer = "invalid_grant"
        message = "The code is not good for this program, or was used before."
        await exchange.answer(
            400, {"error": {"message": message, "type": "invalid_request_error", "code": "invalid_grant"}}
        )
        return
    await exchange.answer(200, new_tokens(world.accounts[grant.account], sign_in=True))


def new_tokens(account: FakeAccount, *, sign_in: bool = False, spent: int | None = None) -> dict[str, object]:
    """The next tokens of an account. A sign-in leaves the refresh tokens of earlier ones as good as they were."""
    fresh = max(account.generation, *account.others, 0) + 1
    if sign_in:
        account.others.add(account.generation)
    if spent in account.others:
        account.others.remove(spent)
        account.others.add(fresh)
    else:
        account.generation = fresh
    access = tokens.codex_access_token(account.name, account.plan, generation=fresh, account_id=account.account_id)
    refresh = tokens.codex_refresh_token(account.name, fresh)
    return {"id_token": access, "access_token": access, "refresh_token": refresh, "expires_in": 864000}


async def _device_page(exchange: Exchange) -> None:
    await exchange.answer(200, page("Connect a device", "Type the code that the program shows."), HTML)


def _query(exchange: Exchange) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(exchange.request.target).query))


_AUTH = frozenset({Site.OPENAI_AUTH})
_DEVICE = "/api/accounts/deviceauth"

ROUTES = (
    Route("authorize", "GET", "/oauth/authorize", _authorize, _AUTH),
    Route("decide", "GET", "/oauth/decide", _decide, _AUTH),
    Route("device-code", "POST", f"{_DEVICE}/usercode", _user_code, _AUTH),
    Route("device-look", "POST", f"{_DEVICE}/token", _look, _AUTH),
    Route("device-page", "GET", "/codex/device", _device_page, _AUTH),
)
