"""Driving a sign-in: what is asked of whom, and that the flow is closed however it ends."""

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime

import pytest

from seatpool.core.model import ProviderName
from seatpool.providers.http import Headers, HttpReply, HttpRequest
from seatpool.providers.logins import ImportedLogin
from seatpool.providers.signin import Callback, Invitation, NotSignedIn, Pause, SignedIn, SignIn, Visit
from seatpool.service.logins.signin import sign_in
from seatpool.service.network.transport import SideCallFailed

LATER = datetime(2030, 1, 1, tzinfo=UTC)
GOOD = SignedIn(ImportedLogin(ProviderName.CODEX, "alice", "user-alice/ws", "chatgpt.com", ()))
ASKED = HttpRequest("GET", "https://issuer.example/token", (("authorization", "Bearer FAKESECRET"),))


class Issuer:
    """Answers 200, or not at all."""

    def __init__(self, *, down: bool = False) -> None:
        self.asked: list[str] = []
        self.down = down

    async def send(self, request: HttpRequest) -> HttpReply:
        self.asked.append(request.url)
        if self.down:
            raise SideCallFailed("issuer.example: ConnectError")
        return HttpReply(200, Headers(), b"yes")


class Somebody:
    """Writes down what they are shown; comes back from a visit with a query, or never."""

    def __init__(self, query: dict[str, str] | None = None) -> None:
        self.seen: list[object] = []
        self.query = query
        self.resting = asyncio.Event()

    async def invite(self, invitation: Invitation) -> None:
        self.seen.append(invitation)

    async def visit(self, visit: Visit) -> Callback | None:
        self.seen.append(visit)
        return Callback(self.query) if self.query is not None else None

    async def pause(self, seconds: float) -> None:
        self.seen.append(seconds)
        self.resting.set()
        if seconds > 60:
            await asyncio.Event().wait()

    def unreachable(self, reason: str) -> None:
        self.seen.append(reason)


class Flow:
    """A sign-in of these steps: `answers` is what it was sent, `closed` whether it was ended."""

    def __init__(self, *steps: object) -> None:
        self.answers: list[object] = []
        self.closed = False
        self._steps = steps

    def __call__(self) -> SignIn:
        return self._run()

    def _run(self) -> Generator[object, object, SignedIn | NotSignedIn]:  # type: ignore[override]
        try:
            for step in self._steps:
                self.answers.append((yield step))
            return GOOD
        finally:
            self.closed = True


async def drive(flow: Flow, issuer: Issuer, person: Somebody) -> SignedIn | NotSignedIn:
    return await sign_in(flow(), issuer, person, may_receive=lambda origin: origin == "https://issuer.example")


async def test_each_step_gets_what_came_of_it() -> None:
    invitation, visit = Invitation("https://issuer.example/device", "ABCD", LATER), Visit("https://x", LATER)
    flow, issuer, person = Flow(ASKED, invitation, Pause(5), visit), Issuer(), Somebody({"code": "c"})
    assert await drive(flow, issuer, person) is GOOD
    assert person.seen == [invitation, 5, visit]
    replied, invited, paused, visited = flow.answers
    assert isinstance(replied, HttpReply) and replied.body == b"yes"
    assert (invited, paused, visited) == (None, None, Callback({"code": "c"}))
    assert flow.closed


async def test_who_never_comes_back_is_told_as_none() -> None:
    flow = Flow(Visit("https://x", LATER))
    await drive(flow, Issuer(), Somebody(None))
    assert flow.answers == [None]


async def test_an_issuer_that_does_not_answer_is_told_to_the_flow_and_to_the_person() -> None:
    flow, person = Flow(ASKED), Somebody()
    await drive(flow, Issuer(down=True), person)
    assert (flow.answers, person.seen) == ([None], ["issuer.example: ConnectError"])


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/token", "http://issuer.example/token", "https://issuer.example:444/token"]
)
async def test_nothing_is_sent_to_an_origin_that_is_not_the_issuers(url: str) -> None:
    flow, issuer, person = Flow(HttpRequest("GET", url, ASKED.headers)), Issuer(), Somebody()
    await drive(flow, issuer, person)
    assert (issuer.asked, flow.answers) == ([], [None])
    assert "not a host of the issuer" in str(person.seen) and "FAKESECRET" not in str(person.seen)


async def test_a_cancelled_sign_in_closes_its_flow() -> None:
    flow, person = Flow(Pause(900)), Somebody()
    driving = asyncio.create_task(drive(flow, Issuer(), person))
    await person.resting.wait()
    driving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driving
    assert flow.closed


async def test_a_fault_of_the_flow_is_not_swallowed() -> None:
    def faulty() -> SignIn:
        yield Pause(0)
        raise LookupError("a bug")

    with pytest.raises(LookupError):
        await sign_in(faulty(), Issuer(), Somebody(), may_receive=lambda _origin: True)
