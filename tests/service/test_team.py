"""A process runs as one person: what is another's is neither asked nor renewed, nor even opened, whatever led there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from seatpool.core.locks import Lock
from seatpool.core.model import WHOLE_ACCOUNT, Affinity, Carried, Cooldown, CredentialKind, ProviderName, QuotaWindow
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.core.selection import Exhausted
from seatpool.providers.base import RequestFacts, Route
from seatpool.providers.http import Headers, HttpReply, HttpRequest
from seatpool.service.flows.sockets import CLOSE
from seatpool.service.memory.follower import FOLLOW_EVERY_S
from seatpool.service.pool import PoolService
from seatpool.service.telling import reporting
from seatpool.service.trail import Answered, Assignment
from seatpool.store import Store
from tests.service.conftest import Issuer, sign_in
from tests.service.flows.test_sockets import CREATE, DELTA, DONE
from tests.service.test_pool import FACTS, begin

NOW = datetime.now(UTC)
GIVEN = 4711
SOCKET = Route(ProviderName.CODEX, "responses-ws", "api", websocket=True)


@pytest.fixture
def ann(tmp_path: Path) -> Iterator[Store]:
    """Whose store it is that puts accounts in."""
    with Store.open(str(tmp_path / "pool.db"), person="ann") as store:
        yield store


@pytest.fixture
async def ben(ann: Store, issuer: Issuer, tmp_path: Path) -> AsyncIterator[PoolService]:
    """Ben's proxy. `work` is Ann's and asked first, `home` is everybody's."""
    for priority, name in enumerate(("work", "home")):
        sign_in(ann, issuer, name)
        ann.set_priority(name, priority)
    ann.team.set_owner("work", "ann")
    with Store.open(str(tmp_path / "pool.db"), person="ben") as store:
        service = PoolService(store, issuer, Policy(learn=False, strategy=None))
        service.load()
        service.start()
        yield service
        await service.stop()


def names(service: PoolService) -> set[str]:
    return {account.name for account in service.knowledge.state.accounts.values()}


async def until(done: Callable[[], object], within_s: float = 20.0) -> None:
    """The deadline catches `never` alone."""
    async with asyncio.timeout(within_s):
        while not done():
            await asyncio.sleep(FOLLOW_EVERY_S / 5)


async def shared(ann: Store, ben: PoolService) -> None:
    ann.team.share("work", ["ben"])
    await until(lambda: "work" in names(ben))


async def taken_back(ann: Store, ben: PoolService) -> None:
    ann.team.unshare("work", ["ben"])
    await until(lambda: "work" not in names(ben))


def everything(ann: Store) -> int:
    """All that can be known of an account, written by its owner's process."""
    work = ann.account("work").id
    ann.cool(Cooldown(work, WHOLE_ACCOUNT, "limited", NOW + timedelta(hours=1), NOW))
    ann.record(
        windows=[(work, QuotaWindow("primary", 0.5, NOW, "header"))],
        affinities=[Affinity("talk", work, NOW, 90_000)],
        carriers=[Carried(work, (GIVEN,), NOW)],
    )
    return work


async def test_nothing_of_anothers_account_comes_into_a_process_and_all_of_it_once_it_is_shared(
    ann: Store, ben: PoolService
) -> None:
    work, known = everything(ann), ben.knowledge
    ann.set_priority("home", 5)
    await until(lambda: known.state.accounts[2].priority == 5)  # by then the rest was read as well
    state = known.state
    assert (names(ben), state.foreign, known.roster[ProviderName.CODEX]) == ({"home"}, {work}, 1)
    assert (state.windows.get(work), state.cooldowns.get(work), state.owner("talk", NOW)) == (None, None, None)
    assert known.provenance.giver(GIVEN, NOW.timestamp(), 3600) is None
    assert known._vault.known(work) == ()
    await shared(ann, ben)
    assert (state.foreign, set(state.windows[work]), set(state.cooldowns[work])) == (
        set(),
        {"primary"},
        {WHOLE_ACCOUNT},
    )
    assert (state.owner("talk", NOW), known.provenance.giver(GIVEN, NOW.timestamp(), 3600)) == (work, work)
    assert (await known._vault.held(work)).keys() == {CredentialKind.CODEX_OAUTH}
    await taken_back(ann, ben)
    assert (state.windows.get(work), state.cooldowns.get(work), known._vault.known(work)) == (None, None, ())
    assert known.provenance.giver(GIVEN, NOW.timestamp(), 3600) != work


async def test_what_was_warm_there_goes_elsewhere_or_is_told_that_nobody_can(ann: Store, ben: PoolService) -> None:
    await shared(ann, ben)
    trail, first = await begin(ben)
    assert first.account.name == "work"
    ben.served(trail, Answered(200, 1.0), Headers())
    ben.release(trail)
    await taken_back(ann, ben)
    trail, second = await begin(ben, "flow-2")
    assert second.account.name == "home"
    ben.release(trail)
    ann.set_paused("home", True, NOW)
    await until(lambda: not ben.knowledge.state.usable[ProviderName.CODEX])
    nobody = await ben.assign(ben.open("flow-3", FACTS, Headers()))
    assert isinstance(nobody, Exhausted) and not nobody.limited


AGAIN = [
    Outcome(OutcomeKind.UNAUTHORIZED, "token_expired"),  # would be renewed
    Outcome(OutcomeKind.OVERLOADED, "server_error"),  # would be sent there again
    Outcome(OutcomeKind.QUOTA_SPENT, "usage_limit_reached", until=NOW + timedelta(hours=1)),
]


@pytest.mark.parametrize("outcome", AGAIN, ids=lambda outcome: outcome.kind.name)
async def test_a_request_that_is_there_when_it_is_taken_back_is_not_sent_there_again(
    ann: Store, ben: PoolService, issuer: Issuer, outcome: Outcome
) -> None:
    await shared(ann, ben)
    trail, first = await begin(ben)
    assert first.account.name == "work"
    await taken_back(ann, ben)
    following = await ben.recover(trail, outcome, Answered(500, 1.0))
    assert following is None or following.account.name == "home"
    assert issuer.refreshes == 0
    assert names(ben) == {"home"}, "a cooldown does not bring it back"


class Waiting(Issuer):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def send(self, request: HttpRequest) -> HttpReply:
        self.asked.set()
        await self.go_on.wait()
        return await super().send(request)


async def test_a_renewal_that_ends_after_it_was_taken_back_is_kept_for_its_owner_and_serves_nobody_here(
    ann: Store, tmp_path: Path
) -> None:
    """A refresh token is good once: what comes of it is stored, and not used."""
    issuer = Waiting()
    sign_in(ann, issuer, "work", timedelta(minutes=-1))
    sign_in(ann, issuer, "home")
    ann.set_priority("work", 0)
    ann.team.set_owner("work", "ann", ["ben"])
    with Store.open(str(tmp_path / "pool.db"), person="ben") as store:
        ben = PoolService(store, issuer, Policy(learn=False, strategy=None))
        ben.load()
        ben.start()
        trail = ben.open("flow", FACTS, Headers())
        assigning = asyncio.create_task(ben.assign(trail))
        await issuer.asked.wait()
        await taken_back(ann, ben)
        issuer.go_on.set()
        assignment = await assigning
        assert isinstance(assignment, Assignment) and assignment.account.name == "home"
        assert names(ben) == {"home"}, "nor does what the renewal tells of its plan"
        ben.release(trail)
        await ben.stop()
    renewed = ann.credentials(ann.account("work").id)[CredentialKind.CODEX_OAUTH]
    assert (renewed.generation > 1, issuer.refreshes) == (True, 1)


async def test_a_socket_on_it_is_closed_where_it_idles_and_after_its_turn_where_it_works(
    ann: Store, ben: PoolService
) -> None:
    await shared(ann, ben)
    closed: list[str] = []
    trails = {}
    for name in ("idle", "busy"):
        facts = RequestFacts(SOCKET, (CredentialKind.CODEX_OAUTH,), "gpt-x", name)
        trail = trails[name] = ben.open(name, facts, Headers())
        assignment = await ben.assign(trail)
        assert isinstance(assignment, Assignment) and assignment.account.name == "work"
        ben.served(trail, Answered(101, 1.0), Headers())
        ben.sockets.opened(trail, lambda name=name: closed.append(name))  # type: ignore[misc]
        ben.sockets.client_frame(trail, CREATE)
        await ben.sockets.server_frame(trail, DONE)
    ben.sockets.client_frame(trails["busy"], CREATE)
    await taken_back(ann, ben)
    assert closed == ["idle"]
    assert await ben.sockets.server_frame(trails["busy"], DELTA) is None
    assert await ben.sockets.server_frame(trails["busy"], DONE) is CLOSE
    assert ben.sockets.leaves(trails["busy"])
    late = await ben.sockets.client_turn(trails["idle"], CREATE)
    assert late is not None, "not even a turn that crosses the closing"
    assert late.again is None or late.again.account.name == "home"


async def test_an_editors_own_login_that_is_anothers_account_is_not_learnt(
    ann: Store, ben: PoolService, issuer: Issuer
) -> None:
    """It goes on as it came: who carries a token may use it, and the pool has no hand in it."""
    ben.set_policy(Policy(strategy=None))
    credential = issuer.login("work", timedelta(days=1))
    own = Headers([("authorization", f"Bearer {credential.token}"), ("chatgpt-account-id", "ws-work")])
    for flow in ("one", "two"):  # the first time, and when it is known
        trail = ben.open(flow, FACTS, own)
        await ben.learn(trail, "https://chatgpt.com")
        assert trail.own is None
        assert names(ben) == {"home"}


async def test_what_is_locked_is_told_when_it_is_set_and_when_it_is_cleared(ann: Store, ben: PoolService) -> None:
    told: list[dict[str, str | None]] = []

    def note() -> None:
        told.append({name: lock.value for name, lock in ben.knowledge.locks.items()})

    ben.knowledge.relocked = note
    ann.team.lock("rotate_on_limit", "false")
    await until(lambda: len(told) == 1)
    ann.team.lock("on_failure", "block")
    await until(lambda: len(told) == 2)
    ann.remove("work")  # everything is read again
    await until(lambda: not ben.knowledge.state.foreign)
    ann.team.unlock("rotate_on_limit")
    await until(lambda: len(told) == 3)
    both = {"rotate_on_limit": "false", "on_failure": "block"}
    assert told == [{"rotate_on_limit": "false"}, both, {"on_failure": "block"}]
    assert isinstance(ben.knowledge.locks["on_failure"], Lock)


async def test_status_tells_each_person_what_is_not_theirs(ann: Store, ben: PoolService, tmp_path: Path) -> None:
    def states(store: Store) -> dict[str, str]:
        return {row.name: row.state for row in reporting.read(store, NOW).accounts}

    assert states(ann) == {"work": "ready", "home": "ready"}
    with Store.open(str(tmp_path / "pool.db"), person="ben") as store:
        assert states(store) == {"work": "foreign", "home": "ready"}
