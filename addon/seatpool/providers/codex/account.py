"""What an account tells of itself when it is asked: its quota and its models (codex.md 1, 3.4)."""

import re
from datetime import datetime
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from seatpool.core.model import Credential, CredentialKind
from seatpool.providers.codex.arrival import error_code
from seatpool.providers.codex.auth import ATTR_ACCOUNT, fresh
from seatpool.providers.codex.errors import GONE
from seatpool.providers.codex.quota import funded_by_usage, gone_of_usage, windows_of_usage
from seatpool.providers.codex.renew import DEFAULT_CLIENT_HEADERS, USAGE_URL, owners_request
from seatpool.providers.codex.tokens import read_claims
from seatpool.providers.codex.wire import CHATGPT, plain, read_object, retry_after, text
from seatpool.providers.http import HttpReply, HttpRequest
from seatpool.providers.sidecalls import ClientHeaders, Held, Models, NotTold, Usage
from seatpool.providers.tolerant import mapping, read_json, stable_code

MODELS_URL = CHATGPT + "/backend-api/codex/models?client_version="
DEFAULT_VERSION = "0.169.0"
"""The newest client on 2026-11-21; what a list names depends on who asks."""

_VERSION = re.compile(r"(?i:codex)[^/]*/(\d{1,4}(?:\.\d{1,4}){1,3})(?:[ -]|$)")


class _List(msgspec.Struct):
    models: list[msgspec.Raw]


_decode_list = msgspec.json.Decoder(_List).decode


def usage_request(held: Held, client: ClientHeaders, now: datetime) -> HttpRequest | None:
    """Asks for the quota; None without a token that is good for a while."""
    credential = _good(held, now)
    return owners_request(USAGE_URL, credential, client or DEFAULT_CLIENT_HEADERS) if credential else None


def read_usage(held: Held, reply: HttpReply, now: datetime) -> Usage | NotTold:
    """Windows and plan, and the workspace where nothing has told it yet."""
    refused = _refused(reply, now)
    if refused is not None:
        return refused
    told = read_object(reply.body)
    if not told:
        return NotTold("unreadable-usage")
    credential = _named(held, told.get("account_id"))
    windows, plan = windows_of_usage(reply.body, now), stable_code(told.get("plan_type")) or None
    return Usage(windows, plan, gone_of_usage(told), credential, funded_by_usage(told))


def _named(held: Held, account_id: object) -> Credential | None:
    """The credential with its workspace, where neither it nor its token names one."""
    credential, stated = held.get(CredentialKind.CODEX_OAUTH), plain(account_id)
    if credential is None or stated is None:
        return None
    if credential.attributes.get(ATTR_ACCOUNT) or read_claims(credential.token).account_id:
        return None
    return replace(credential, attributes=MappingProxyType({**credential.attributes, ATTR_ACCOUNT: stated}))


def models_request(held: Held, client: ClientHeaders, now: datetime) -> HttpRequest | None:
    """Asks for the catalogue as the person's own client would."""
    credential = _good(held, now)
    if credential is None:
        return None
    client = client or DEFAULT_CLIENT_HEADERS
    return owners_request(MODELS_URL + _version(client), credential, client)


def read_models(reply: HttpReply, now: datetime) -> Models | NotTold:
    """`{"models": [{"slug": ..., ...}]}`; those that the picker hides can be asked for as well."""
    refused = _refused(reply, now)
    if refused is not None:
        return refused
    try:
        entries = _decode_list(reply.body).models
    except (ValueError, RecursionError):
        return NotTold("unreadable-models")
    named = {text(mapping(read_json(entry)).get("slug")): bytes(entry) for entry in entries}
    return MappingProxyType({name: entry for name, entry in named.items() if name})


def _refused(reply: HttpReply, now: datetime) -> NotTold | None:
    """That a person or a workspace is shut out is told here as well (Soju06/codex-lb issue 353); a bare status says
    nothing of an account (its issue 2058)."""
    if reply.status == 200:
        return None
    code = error_code(reply)
    if code in GONE:
        return NotTold(code, revoked=True)
    return NotTold(f"http-{reply.status}", retry_after(reply.headers, now))


def _good(held: Held, now: datetime) -> Credential | None:
    credential = held.get(CredentialKind.CODEX_OAUTH)
    return credential if credential is not None and fresh(credential, now) else None


def _version(client: ClientHeaders) -> str:
    """The editor's own, as its user agent tells it."""
    agent = next((value for name, value in client if name == "user-agent"), "")
    found = _VERSION.match(agent)
    return found[1] if found is not None else DEFAULT_VERSION
