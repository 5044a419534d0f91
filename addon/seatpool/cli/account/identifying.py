"""Asks an issuer whose the logins are that do not say it themselves."""

import asyncio
from collections.abc import Mapping, Sequence

import click
import msgspec
from msgspec.structs import replace

from seatpool.cli.account import choosing
from seatpool.cli.account.loginfiles import Candidate, shown
from seatpool.cli.account.telling import Told, note
from seatpool.clock import utcnow
from seatpool.core.model import QuotaWindow
from seatpool.providers.copilot import signin
from seatpool.providers.copilot.found import ATTR_APP
from seatpool.providers.logins import ImportedLogin, NotALogin
from seatpool.providers.signin import Callback, Invitation, NotSignedIn, SignedIn, Visit
from seatpool.service.logins.signin import sign_in
from seatpool.service.network.transport import Transport, TransportSettings
from seatpool.store import Store


class Known(msgspec.Struct, frozen=True):
    """A login that says whose it is, and the quota that was told when that had to be asked."""

    candidate: Candidate
    windows: tuple[QuotaWindow, ...] = ()


def in_the_pool(store: Store, candidates: Sequence[Candidate]) -> Mapping[int, str]:
    """Names of the accounts that logins are of, by `id` of the candidate."""
    accounts = store.accounts()
    found = {id(each): choosing.held_account(_recognised(store, each.login), accounts) for each in candidates}
    return {key: account.name for key, account in found.items() if account is not None}


def _recognised(store: Store, login: ImportedLogin) -> ImportedLogin:
    """With the identity of the account that holds this very token already, where the login says none itself."""
    if login.identity is not None:
        return login
    tokens = {c.token: held for held, kinds in store.every_credential().items() for c in kinds.values()}
    account_id = tokens.get(login.credentials[0].token)
    account = next((a for a in store.accounts() if a.id == account_id), None)
    if account is None:
        return login
    return replace(login, identity=account.identity, handle=account.handle, name=account.name, plan=account.plan)


def identified(
    store: Store, candidates: Sequence[Candidate], settings: TransportSettings, told: Told, *, strict: bool
) -> list[Known]:
    """Every login with its owner. Where that cannot be found out, all of it ends if `strict`, else it is left out."""
    candidates = [replace(each, login=_recognised(store, each.login)) for each in candidates]
    asked = [each for each in candidates if each.login.identity is None]
    for issuer in dict.fromkeys(each.login.issuer for each in asked):
        click.echo(f"asking {issuer} whose these logins are ...", err=True)
    answers = dict(zip(map(id, asked), _ask([each.login for each in asked], settings), strict=True))
    known: list[Known] = []
    for each in candidates:
        answer = answers.get(id(each))
        if isinstance(answer, SignedIn):
            login = replace(answer.login, program=each.login.program, note=each.login.note)
            known.append(Known(replace(each, login=login), answer.windows))
            note(answer.doubts)
        elif answer is None:
            known.append(Known(each))
        elif strict:
            raise NotALogin(f"{shown(each.path)}: {answer.message.removesuffix('.')}; nothing was changed")
        else:
            told.row(each, "refused", reason=answer.message)
            note([f"{shown(each.path)}: {answer.message}"])
    if candidates and not known:
        raise NotALogin("none of these logins could be imported; nothing was changed")
    return known


# -- asking


class _Nobody:
    """Stands where a sign-in has a person: whose a token is, is asked without one."""

    def __init__(self) -> None:
        self.trouble: str | None = None

    async def invite(self, invitation: Invitation) -> None:
        raise AssertionError("nobody is there to be invited")

    async def visit(self, visit: Visit) -> Callback | None:
        raise AssertionError("nobody is there to visit anything")

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def unreachable(self, reason: str) -> None:
        self.trouble = reason


def _ask(logins: Sequence[ImportedLogin], settings: TransportSettings) -> list[SignedIn | NotSignedIn]:
    """One after the other, on one connection where that can be. The message of a failure says what to do."""
    return asyncio.run(_all(logins, settings)) if logins else []


async def _all(logins: Sequence[ImportedLogin], settings: TransportSettings) -> list[SignedIn | NotSignedIn]:
    transport = Transport(settings)
    try:
        return [await _one(login, transport) for login in logins]
    finally:
        await transport.close()


async def _one(login: ImportedLogin, transport: Transport) -> SignedIn | NotSignedIn:
    (credential,) = login.credentials
    nobody = _Nobody()
    flow = signin.identify(credential.token, login.issuer, credential.attributes.get(ATTR_APP), utcnow)
    outcome = await sign_in(flow, transport, nobody, may_receive=signin.may_receive)
    if isinstance(outcome, NotSignedIn) and outcome.code == "offline":
        because = f" ({nobody.trouble})" if nobody.trouble else ""
        message = f"{login.issuer} could not be asked whose the login of {login.program} is{because}"
        return NotSignedIn(outcome.code, message)
    return outcome
