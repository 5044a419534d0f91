"""Asks an issuer whose the logins are that do not say it themselves."""

import asyncio
from collections.abc import Sequence

from seatpool.clock import utcnow
from seatpool.providers.base import ImportedLogin
from seatpool.providers.copilot import signin
from seatpool.providers.copilot.found import ATTR_APP
from seatpool.providers.signin import Callback, Invitation, NotSignedIn, SignedIn, Visit
from seatpool.service.signin import sign_in
from seatpool.service.transport import Transport, TransportSettings


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


def identify(logins: Sequence[ImportedLogin], settings: TransportSettings) -> list[SignedIn | NotSignedIn]:
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
        return NotSignedIn(
            outcome.code,
            f"{login.issuer} could not be asked whose the login of {login.program} is{because}; nothing was changed",
        )
    return outcome
