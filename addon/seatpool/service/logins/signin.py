"""Drives a sign-in: asks the issuer, shows the person what to do, waits."""

from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from seatpool.providers.http import HttpReply, HttpRequest
from seatpool.providers.signin import Callback, Invitation, NotSignedIn, Pause, SignedIn, SignIn, Step, Visit
from seatpool.service.network.transport import SideCallFailed


class Sender(Protocol):
    """What sends a side call; `transport.Transport` is one."""

    async def send(self, request: HttpRequest) -> HttpReply:
        """Raises `SideCallFailed` where no answer came."""


class Person(Protocol):
    """Who signs in, as far as a sign-in needs one: somebody at a screen, with time and perhaps a browser."""

    async def invite(self, invitation: Invitation) -> None:
        """Show the code and where to type it."""

    async def visit(self, visit: Visit) -> Callback | None:
        """Send the person to the issuer and wait for the browser to come back; None when nobody came in time."""

    async def pause(self, seconds: float) -> None:
        """Let so much time pass."""

    def unreachable(self, reason: str) -> None:
        """A request got no answer: the host, and in one word why."""


async def sign_in(
    flow: SignIn, sender: Sender, person: Person, *, may_receive: Callable[[str], bool]
) -> SignedIn | NotSignedIn:
    """Go through `flow` to its end. A request to an origin that `may_receive` refuses is not sent.

    The flow is closed however this ends, cancellation included.
    """
    answer: HttpReply | Callback | None = None
    try:
        while True:
            try:
                step = flow.send(answer)
            except StopIteration as end:
                outcome: SignedIn | NotSignedIn = end.value
                return outcome
            answer = await _take(step, sender, person, may_receive)
    finally:
        flow.close()


async def _take(
    step: Step, sender: Sender, person: Person, may_receive: Callable[[str], bool]
) -> HttpReply | Callback | None:
    match step:
        case HttpRequest():
            return await _ask(step, sender, person, may_receive)
        case Visit():
            return await person.visit(step)
        case Pause(seconds):
            await person.pause(seconds)
        case Invitation():
            await person.invite(step)
    return None


async def _ask(
    request: HttpRequest, sender: Sender, person: Person, may_receive: Callable[[str], bool]
) -> HttpReply | None:
    parts = urlsplit(request.url)
    try:
        if not may_receive(f"{parts.scheme}://{parts.netloc}"):
            raise SideCallFailed(f"{parts.hostname}: not a host of the issuer")
        return await sender.send(request)
    except SideCallFailed as failure:
        person.unreachable(str(failure))
        return None
