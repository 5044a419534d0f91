"""A sign-in arrives: whose its tokens are, where the workspace is served and what it has left (codex.md 1.1, 4)."""

from collections.abc import Iterator
from datetime import datetime
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from seatpool.core.model import Credential, CredentialKind, ProviderName
from seatpool.providers.asking import Asking, ask
from seatpool.providers.codex import auth
from seatpool.providers.codex.quota import windows_of_usage
from seatpool.providers.codex.renew import (
    CHECK_URL,
    USAGE_URL,
    Located,
    Place,
    owners_request,
    placed,
    read_place,
)
from seatpool.providers.codex.tokens import Claims, identity_of, read_claims, suggested_name
from seatpool.providers.codex.wire import ISSUER, after, plain, read_object, text
from seatpool.providers.http import HttpReply
from seatpool.providers.logins import ImportedLogin
from seatpool.providers.signin import Clock, SignedIn
from seatpool.providers.tolerant import mapping, stable_code


class Granted(msgspec.Struct, frozen=True):
    """Tokens, and whose they are."""

    credential: Credential
    owner: Claims
    identity: str
    name: str


def read_tokens(reply: HttpReply, now: datetime) -> Granted | None:
    """None where there is no access token, or nothing says which person and workspace it belongs to."""
    fields = read_object(reply.body)
    token, refresh = plain(fields.get("access_token")), plain(fields.get("refresh_token"))
    granted, who = read_claims(token or ""), read_claims(text(fields.get("id_token")) or "")
    user_id, account_id = granted.user_id or who.user_id, granted.account_id or who.account_id
    if token is None or user_id is None or account_id is None:
        return None
    expires_at = granted.expires_at or after(fields.get("expires_in"), now)
    owner = replace(granted, plan=granted.plan or who.plan, fedramp=granted.fedramp or who.fedramp)
    attributes = {auth.ATTR_ACCOUNT: account_id, auth.ATTR_USER: user_id}
    if owner.fedramp:
        attributes[auth.ATTR_FEDRAMP] = "true"
    return Granted(
        Credential(CredentialKind.CODEX_OAUTH, token, refresh, expires_at, attributes=MappingProxyType(attributes)),
        owner,
        identity_of(user_id, account_id),
        suggested_name(who, granted),
    )


def error_code(reply: HttpReply | None) -> str:
    """The issuer's own word, wherever it puts it (codex.md 3.3, 4)."""
    fields = read_object(reply.body) if reply is not None else {}
    error = fields.get("error")
    stated = (mapping(error).get("code"), error, fields.get("code"), mapping(fields.get("detail")).get("code"))
    return next(filter(None, map(stable_code, stated)), "")


def check(granted: Granted, now: Clock) -> Asking[SignedIn]:
    """Where the workspace is served and what it has left; nothing that fails here undoes the sign-in."""
    credential = granted.credential
    answer = yield from ask(owners_request(CHECK_URL, credential))
    place = read_place(answer, credential.attributes[auth.ATTR_ACCOUNT])
    usage = yield from ask(owners_request(USAGE_URL, credential))
    told = read_object(usage.body) if usage is not None and usage.status == 200 else {}
    login = ImportedLogin(
        provider=ProviderName.CODEX,
        name=granted.name,
        identity=granted.identity,
        issuer=ISSUER,
        credentials=(placed(credential, place, granted.owner),),
        plan=(place and place.plan) or stable_code(told.get("plan_type")) or granted.owner.plan,
    )
    windows = windows_of_usage(usage.body, now()) if usage is not None and told else ()
    return SignedIn(login, windows, tuple(_doubts(credential, place, answer, usage)))


def _doubts(
    credential: Credential, place: Place | None, answer: HttpReply | None, usage: HttpReply | None
) -> Iterator[str]:
    if credential.refresh_token is None:
        yield "ChatGPT gave no refresh token: this sign-in ends when its access token does."
    if place is not None and place.deactivated:
        yield "The workspace is deactivated: it serves nothing until its owner mends that."
    if place is None or place.located is not Located.ASKED:
        yield f"Where the workspace is served could not be learnt ({_said(answer)}): chatgpt.com is assumed for now."
    if usage is None or usage.status != 200:
        yield f"Its quota could not be read ({_said(usage)})."


def _said(reply: HttpReply | None) -> str:
    if reply is None:
        return "no answer"
    return "not told" if reply.status == 200 else error_code(reply) or f"HTTP {reply.status}"
