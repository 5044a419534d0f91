"""Signing in at the fake github.com, or at a tenant, by device code (copilot.md 10). Errors come with status 200."""

from typing import Any
from urllib.parse import urlencode

from tests.upstream import tokens
from tests.upstream.exchange import Exchange, Route
from tests.upstream.hosts import Site
from tests.upstream.signins import HTML, page

PREFIXES = {
    "Iv1.b507a08c87ecfe98": "ghu",
    "Ov23liV9UpD7Rnfnskm3": "gho",
    "Ov23ctDVkRmgkPke0Mmm": "gho",
    "01ab8ac9400c4e429b23": "gho",
    "Ov23li8tweQw6odWQebz": "gho",
}
"""Apps, and how their tokens begin."""
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
_SLOWER_BY_S = 5


async def _device_code(exchange: Exchange) -> None:
    told, person = exchange.facts.body, exchange.world.person("copilot")
    if told.get("client_id") not in PREFIXES:
        await exchange.answer(404, {"error": "Not Found"})
        return
    if person.disabled:
        await _error(exchange, "device_flow_disabled")
        return
    number = next(exchange.world.numbers)
    exchange.entry.account = person.account
    await _told(
        exchange,
        {
            "device_code": tokens.carrier("device", person.account, number),
            "user_code": f"FAKE-{number:04d}",
            "verification_uri": f"https://{exchange.request.host}/login/device",
            "expires_in": person.expires_in_s,
            "interval": person.interval_s,
        },
    )


async def _look(exchange: Exchange) -> None:
    told, world = exchange.facts.body, exchange.world
    person, code = world.person("copilot"), str(told.get("device_code"))
    device = tokens.read_token(code)
    exchange.entry.account = person.account
    if told.get("client_id") not in PREFIXES:
        await _error(exchange, "incorrect_client_credentials")
    elif told.get("grant_type") != GRANT_TYPE:
        await _error(exchange, "unsupported_grant_type")
    elif device is None or device.kind != "device" or code in world.spent:
        await _error(exchange, "incorrect_device_code")
    else:
        await _found(exchange, person.look(), code, PREFIXES[told["client_id"]])


async def _found(exchange: Exchange, found: str, code: str, prefix: str) -> None:
    person = exchange.world.person("copilot")
    match found:
        case "slow_down":
            person.interval_s += _SLOWER_BY_S
            await _error(exchange, "slow_down", interval=person.interval_s)
        case "pending":
            await _error(exchange, "authorization_pending")
        case "deny":
            await _error(exchange, "access_denied")
        case "expire":
            await _error(exchange, "expired_token")
        case _:
            exchange.world.spent.add(code)
            token = tokens.github_token(person.account, prefix)
            await _told(exchange, {"access_token": token, "token_type": "bearer", "scope": ""})


async def _error(exchange: Exchange, code: str, **more: Any) -> None:
    exchange.entry.answer = code
    await _told(exchange, {"error": code, "error_description": f"It is {code}.", **more})


async def _told(exchange: Exchange, fields: dict[str, Any]) -> None:
    """JSON to who asks for it, else a form, as GitHub does."""
    if "json" in exchange.request.headers.get("accept", ""):
        await exchange.answer(200, fields)
    else:
        await exchange.answer(200, urlencode(fields), {"content-type": "application/x-www-form-urlencoded"})


async def _device_page(exchange: Exchange) -> None:
    await exchange.answer(200, page("Device activation", "Enter the code displayed on your device."), HTML)


_WEB = frozenset({Site.GITHUB_WEB})

ROUTES = (
    Route("device-code", "POST", "/login/device/code", _device_code, _WEB),
    Route("device-look", "POST", "/login/oauth/access_token", _look, _WEB),
    Route("device-page", "GET", "/login/device", _device_page, _WEB),
)
