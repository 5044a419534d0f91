"""What an account tells of itself when it is asked: its quota and its models (copilot.md 5.2, 6)."""

from datetime import datetime
from types import MappingProxyType

import msgspec

from seatpool.core.model import Account, CredentialKind
from seatpool.providers.copilot import auth
from seatpool.providers.copilot.quota import gone_of_user
from seatpool.providers.copilot.renew import MODELS_VERSION, bearer_of, read_user, side_headers, user_request
from seatpool.providers.copilot.wire import retry_after, text
from seatpool.providers.http import HttpReply, HttpRequest
from seatpool.providers.jsonparts import members
from seatpool.providers.sidecalls import ClientHeaders, Held, Models, NotTold, RenewalNeed, RenewalRefused, Usage
from seatpool.providers.tolerant import Json, mapping, number, read_json

MODELS_PATH = "/models"


class _List(msgspec.Struct):
    data: list[msgspec.Raw]


_decode_list = msgspec.json.Decoder(_List).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def usage_request(account: Account, held: Held, client: ClientHeaders) -> HttpRequest | None:
    """Asks for the account's own record; None without its GitHub login."""
    login = held.get(CredentialKind.GITHUB_OAUTH)
    if login is None or not auth.default_endpoints(account.issuer):
        return None
    return user_request(RenewalNeed(account, login.kind, held, client), login)


def read_usage(account: Account, held: Held, reply: HttpReply, now: datetime) -> Usage | NotTold:
    """Windows and plan. The hosts that the record names count when a credential is renewed, not here."""
    result = read_user(account, held[CredentialKind.GITHUB_OAUTH], reply, now)
    if isinstance(result, RenewalRefused):
        return NotTold(result.code, result.retry_at, result.revoked)
    return Usage(result.windows, result.plan, gone_of_user(mapping(read_json(reply.body)), now))


def models_request(account: Account, held: Held, client: ClientHeaders, now: datetime) -> HttpRequest | None:
    """Asks the account's own API host for its list; None without a bearer whose host is known."""
    bearer = bearer_of(held.values(), now)
    if bearer is None:
        return None
    need = RenewalNeed(account, bearer.kind, held, client)
    headers = side_headers(need, f"Bearer {bearer.token}", MODELS_VERSION)
    return HttpRequest("GET", bearer.endpoints[auth.API] + MODELS_PATH, headers)


def read_models(reply: HttpReply, now: datetime) -> Models | NotTold:
    """Those that the account may use: terms that nobody has accepted keep a model out (copilot.md 6)."""
    if reply.status != 200:
        return NotTold(f"http-{reply.status}", retry_after(reply.headers, now))
    try:
        entries = _decode_list(reply.body).data
    except (ValueError, RecursionError):
        return NotTold("unreadable-models")
    parsed = ((mapping(read_json(entry)), bytes(entry)) for entry in entries)
    return MappingProxyType({name: raw for model, raw in parsed if (name := text(model.get("id"))) and _open(model)})


def included(models: Models) -> frozenset[str]:
    """Those that cost neither a premium request nor a credit (copilot.md 6); where an entry is silent nobody knows."""
    billing = ((name, mapping(mapping(read_json(raw)).get("billing"))) for name, raw in models.items())
    return frozenset(name for name, told in billing if _is_free(told))


def _is_free(billing: Json) -> bool:
    """Not where a token has a price: `is_premium` is left over from plans that counted requests, and still false."""
    prices = mapping(billing.get("token_prices"))
    tier = mapping(prices.get("default")) or prices
    if number(tier.get("input_price")) or number(tier.get("output_price")):
        return False
    return billing.get("is_premium") is False or billing.get("multiplier") == 0


def _open(model: Json) -> bool:
    return mapping(model.get("policy")).get("state") in (None, "enabled")


def add_models(content: bytes, models: Models) -> bytes | None:
    """The list with those appended to `data` that it does not name; None where there is nothing to add."""
    outer = members(content)
    data = outer.get("data") if outer is not None else None
    if data is None:
        return None
    start, end = data.value
    try:
        entries = _decode_items(content[start:end])
    except (ValueError, RecursionError):
        return None
    named = {text(mapping(read_json(entry)).get("id")) for entry in entries}
    added = b",".join(entry for name, entry in models.items() if name not in named)
    if not added:
        return None
    return content[: end - 1] + (b"," if entries else b"") + added + content[end - 1 :]
