"""`kill -9` between the token endpoint's answer and the commit: no account is lost, no spent refresh token is sent.

Everything is real: processes, SQLite files, side calls over TLS, and the fake issuer that takes a refresh token once.
`SEATPOOL_SEED=17` runs one seed alone.
"""

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from statistics import median

import pytest

from seatpool.core.model import Credential, CredentialKind, ProviderName
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.providers.http import Headers
from seatpool.service.network.transport import Transport, TransportSettings
from seatpool.service.pool import Answered, PoolService
from seatpool.service.trail import Assignment
from seatpool.store import Store
from tests.harness.elapsing import elapse
from tests.harness.remains import leaks, whole
from tests.service.killing import Executioner, Victim, executioner, seeds
from tests.service.victims import ask
from tests.upstream import Certificates, FakeAccount, Journal, Upstream, World, make_certificates
from tests.upstream.journal import Entry
from tests.upstream.tokens import codex_access_token, codex_account_id, codex_refresh_token, read_token
from tests.upstream.tunnel import Tunnel, tunnel

PEOPLE = ("alice", "bob", "carol")
SEEDS = 100
LANES = 2
"""Seeds that are tried at a time."""
LATER = timedelta(minutes=1)
"""By then the lease of a killed process is over; waiting a hundred times for that would take a quarter of an hour."""
EXPIRED = Outcome(OutcomeKind.UNAUTHORIZED, "token_expired")


class Fate(Enum):
    """What a kill did to a login."""

    UNTOUCHED = "its refresh token was not presented"
    LOST = "it was rotated, and the new one went with the process"
    KEPT = "the rotated one is stored"


PRESENTED = {Fate.UNTOUCHED: [0, 1], Fate.LOST: [0], Fate.KEPT: [1]}
"""Generations of the refresh tokens that are sent after the kill and up to the end: never one that was seen spent."""


class Watched(Journal):
    """Tells of every answer at the moment at which it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.answered: asyncio.Queue[Entry] = asyncio.Queue()

    def finish(self, entry: Entry) -> None:
        """As its parent."""
        super().finish(entry)
        self.answered.put_nowait(entry)


@dataclass
class Issuer:
    """auth.openai.com and accounts/check, for one seed."""

    world: World
    journal: Watched
    tunnel: Tunnel
    side_calls: TransportSettings
    """How to get there."""

    async def renewals(self, count: int) -> None:
        """Wait until that many answers have left the token endpoint."""
        while count:
            count -= (await self.journal.answered.get()).route == "oauth-token"

    def presented(self, person: str) -> list[int]:
        """Generations of the refresh tokens that came, in order."""
        return [e.generation or 0 for e in self.journal.entries if (e.route, e.account) == ("oauth-token", person)]


@asynccontextmanager
async def issuing(certificates: Certificates) -> AsyncIterator[Issuer]:
    """An issuer of its own, while the block runs."""
    world, journal = World([FakeAccount(name, "codex") for name in PEOPLE]), Watched()
    async with tunnel(Upstream(world, journal), certificates) as way:
        yield Issuer(world, journal, way, TransportSettings(str(certificates.ca), upstream_proxy=way.url))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def signed_in(tmp_path: Path) -> Path:
    """A folder with a database in which every access token has expired; to be copied."""
    folder = tmp_path / "before"
    past = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    with Store.open(str(folder / "pool.db")) as store:
        for person in PEOPLE:
            token = codex_access_token(person, expires_at=past.timestamp())
            store.save_login(
                provider=ProviderName.CODEX,
                identity=f"user-{person}/{codex_account_id(person)}",
                name=person,
                issuer="chatgpt.com",
                credentials=[Credential(CredentialKind.CODEX_OAUTH, token, codex_refresh_token(person), past)],
                now=past,
            )
    return folder


async def test_a_kill_between_token_answer_and_commit_loses_no_account_and_no_spent_token_is_sent(
    tmp_path: Path, certificates: Certificates, signed_in: Path
) -> None:
    fates: set[Fate] = set()
    todo = list(reversed(seeds(SEEDS)))

    async def lane() -> None:
        async with executioner() as hangman:
            span_s = await usual_s(hangman, certificates, shutil.copytree(signed_in, tmp_path / f"lane-{id(hangman)}"))
            while todo:
                seed = todo.pop()
                folder = shutil.copytree(signed_in, tmp_path / f"seed-{seed}")
                try:
                    fates.update(await one_seed(random.Random(seed), hangman, certificates, folder, span_s))
                except Exception as error:
                    error.add_note(f"to see it again: SEATPOOL_SEED={seed} pytest {Path(__file__).name}")
                    raise

    async with asyncio.TaskGroup() as lanes:
        for _ in range(LANES):
            lanes.create_task(lane())
    assert len(seeds(SEEDS)) == 1 or fates >= {Fate.LOST, Fate.KEPT}, "the kills come before the commit and after it"


async def one_seed(
    dice: random.Random, hangman: Executioner, certificates: Certificates, folder: Path, span_s: float
) -> set[Fate]:
    """A process that renews every login is killed around one of the commits; another one goes on with its file."""
    async with issuing(certificates) as issuer:
        victim = await start(hangman, issuer, folder)
        await issuer.renewals(dice.randint(1, len(PEOPLE)))
        victim.kill(dice.uniform(0, 2 * span_s))
        assert await victim.end() == -9
        await issuer.tunnel.idle()
        assert whole(folder / "pool.db") and leaks(folder) == []
        elapse(str(folder / "pool.db"), LATER)
        with Store.open(str(folder / "pool.db")) as store:
            return await go_on(issuer, store)


async def start(hangman: Executioner, issuer: Issuer, folder: Path) -> Victim:
    where = issuer.side_calls
    return await hangman.start("renew", str(folder / "pool.db"), where.trusted_ca, where.upstream_proxy, len(PEOPLE))


async def usual_s(hangman: Executioner, certificates: Certificates, folder: Path) -> float:
    """How long it takes here from an answer of the token endpoint to the next side call, which follows the commit."""
    async with issuing(certificates) as issuer:
        victim = await start(hangman, issuer, folder)
        await issuer.journal.wait({"route": "accounts-check", "done": True}, len(PEOPLE))
        victim.kill()
        assert await victim.end() == -9
        done = {e.account: e.done or 0.0 for e in issuer.journal.entries if e.route == "oauth-token"}
        return median(e.time - done[e.account] for e in issuer.journal.entries if e.route == "accounts-check")


async def go_on(issuer: Issuer, store: Store) -> set[Fate]:
    """What a new process makes of it: every login that can be used is, and one that cannot is a person's to mend."""
    fates = {person: fate(issuer, store, person) for person in PEOPLE}
    sent = {person: issuer.presented(person) for person in PEOPLE}
    transport = Transport(issuer.side_calls)
    service = PoolService(store, transport, Policy())
    service.load()
    begun = [await asyncio.gather(*(ask(service, number) for number in range(len(PEOPLE)))) for _ in range(2)]
    for person in PEOPLE:
        issuer.world.change(person, {"revoked_below": 2})
    for trail, choice in begun[1]:
        if isinstance(choice, Assignment):
            await service.recover(trail, EXPIRED, Answered(401, 1.0), Headers())
    await service.stop()
    await transport.close()
    for person, suffered in fates.items():
        lost = suffered is Fate.LOST
        assert issuer.presented(person)[len(sent[person]) :] == PRESENTED[suffered]
        assert store.account(person).disabled == ("renewal-refresh_token_reused" if lost else None)
        assert stored(store, person) == (0 if lost else 2)
    return set(fates.values())


def stored(store: Store, person: str) -> int:
    """How often the stored login was renewed, by the issuer's count: what is stored is all of that one renewal."""
    credential = store.credentials(store.account(person).id)[CredentialKind.CODEX_OAUTH]
    access = read_token(credential.token)
    assert access is not None and access.owner == person
    assert credential.expires_at is not None and credential.expires_at.timestamp() == access.expires_at
    assert credential.refresh_token in (codex_refresh_token(person, access.generation), None)
    return access.generation


def fate(issuer: Issuer, store: Store, person: str) -> Fate:
    """What the kill did to a login, by what is stored and what the issuer has given out."""
    given_out = issuer.world.accounts[person].generation
    used = [e.generation for e in issuer.journal.entries if (e.route, e.account) == ("accounts-check", person)]
    assert used in ([], [stored(store, person)]), "a new access token was used before its refresh token was stored"
    return {(0, 0): Fate.UNTOUCHED, (0, 1): Fate.LOST, (1, 1): Fate.KEPT}[stored(store, person), given_out]
