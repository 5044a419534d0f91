"""One simulated world, from its seed to its verdict."""

import asyncio.events
import logging
import math
import shutil
import sqlite3
import sys
import traceback
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

from mitmproxy.utils import asyncio_utils
from msgspec.structs import replace

from seatpool.clock import JUMP
from seatpool.core.model import Credential, CredentialKind, ProviderName
from seatpool.core.policy import Policy
from seatpool.core.strategy import Strategy
from seatpool.store import Store
from tests.proof import driver, http1, http2
from tests.proof.database import Database
from tests.proof.editor import Desk, Editor, Visit
from tests.proof.issuer import Issuer, Seat
from tests.proof.loop import Crash, Owner
from tests.proof.network import Door, Line, Opening, opening
from tests.proof.proxy import ROUTER, Proxy, set_up
from tests.proof.trial import Broken, Trial
from tests.proof.upstream import Mood, Upstream
from tests.proof.world import HERE, moment, tidy

ORIGINS = ("https://eu.chatgpt.com", "https://evil.example")
"""Where issuers say that a workspace is served."""
LASTS_S = 120.0
"""Of simulated time, until everybody must have had an answer."""
QUIET_S = 30.0
"""After the last answer."""
RENEWED_BY_S = 12.0
"""A machine is started anew while a login is renewed, or then."""
NOTICED_S = 0.5
"""A clock that was set is noticed a quarter of a second later at most; until then a limit may seem to be over."""
NOTICED_LATE_S = 8.0
"""The same where the database is slow, locked or away: who notices it may be waiting for that."""
FREED_S = 16.0
"""By then every process knows that a place was freed, also where it was held by one that was killed."""
UNREACHED_S = 5.0
"""A request takes no longer over its attempts, where none of them waits."""
HEARD_S = 3.0
"""By then what one process has learnt is known to the others, where nothing is wrong with the database."""


@dataclass
class Found:
    """What came of a seed."""

    seed: int
    steps: int
    digest: int
    requests: int
    served: int
    crashes: int
    rotations: int
    simulated_s: float
    verdict: Broken | None
    told: list[tuple[float, str, str]]


class Scene:
    """Accounts, processes over one database, editors, and everything that goes wrong."""

    def __init__(self, seed: int, database: Path) -> None:
        self.seed = seed
        self.loop = loop = HERE.begin(seed)
        ROUTER.loop, ROUTER.connections, ROUTER.ears = loop, {}, []
        self.random = random = loop.random
        self.trial = Trial()
        self.database = str(database)
        self.crashes = 0
        self.moved_nobody = False
        """Somewhere limits move nobody, or did for a while."""
        self.complete = True
        """No process has ended without writing what it had to: killed, or while the database was away or failed."""
        self.sent: Counter[int] = Counter()
        """Requests and handshakes with an account's credential, by its id."""
        self.asked: dict[str, tuple[int, ...]] = {}
        """The same by an editor's request."""
        self.held_at: defaultdict[int, float] = defaultdict(float)
        """When a place at an account was held last."""
        self.quiet = False
        """No faults any more."""
        self.reading = False
        """The judge reads the database."""
        self.away_until = 0.0
        """The database can be used by nobody until then."""
        self.unreached_at = -math.inf
        """When a connection was refused last: to try is an attempt as well."""
        self.set_at = -math.inf
        """When the clock was set last."""
        self.drift_s = 0.0
        """By how much it was set, all in all, where that was too little to be noticed."""
        self.slow = random.choice((0.002, 0.002, 0.02, 0.15))
        self.locked = random.choice((0.0, 0.0, 0.01, 0.05))
        self.killing = random.choice((0.0, 0.0, 0.002, 0.006))
        """At the beginning or the end of a transaction."""
        self.skew_s = random.choice((0.0, 0.0, 0.5, 2.0))
        self.kept = Database(self.database, self.trial, loop, self.skew_s)
        scale = random.choice((0.0, 0.5, 1.0, 2.0))
        mood = Mood(**{name: min(0.5, value * scale) for name, value in vars(Mood()).items()})
        loop.wrong = self.trial.broken
        loop.latency_s = self._latency
        loop.connect = self._connect
        self.issuer = Issuer(loop, self.trial, random.uniform(-5.0, 5.0))
        self.issuer.unreachable, self.issuer.lost = random.choice(((0.0, 0.0), (0.05, 0.0), (0.1, 0.05)))
        self.issuer.lasts_s = random.choice((310.0, 330.0, 400.0, 4000.0))
        self.upstream = Upstream(loop, self.trial, self.issuer, mood)
        self.upstream.asked = self._asked
        self._speakers = {
            b"http/1.1": partial(http1.Server, self.upstream),
            b"h2": partial(http2.Server, self.upstream),
        }
        self._shared: dict[tuple[int, str], http2.Shared] = {}
        self.trial.stored = self._stored
        self.desk = Desk(loop, self.trial, self.upstream)
        self.desk.refused, self.desk.ended = self._refused, self._freed
        self.desk.steady = lambda: not any(each.ending and not each.dead for each in self.owners.values())
        self.whims = Random(seed)
        """Chances of what a person wants, apart from those of everything else."""
        self.policy = Policy(
            strategy=self.whims.choice((Strategy.QUOTA, *Strategy)),
            learn=False,
            poll_usage=random.random() < 0.2,
            max_in_flight=random.choice((0, 0, 1, 2)),
            replay_unanswered=random.random() < 0.2,
        )
        self.rogue = random.choice((0.0, 0.0, 0.1))
        self.proxies: list[Proxy | None] = []
        self.owners: dict[Owner, Proxy] = {}
        self.orderly = self.locked == 0.0 and self.slow <= 0.02
        """What one process writes, others read in time."""

    def _latency(self, owner: Owner) -> float:
        slow = self.slow * (20 if self.random.random() < 0.02 else 1)
        return self.random.random() * slow

    def _connect(self, owner: Owner, host: str, port: int) -> Opening:
        refused = not self.quiet and self.random.random() < self.upstream.mood.refused
        self.unreached_at = self.loop.now if refused else self.unreached_at

        def listen(line: Line) -> Any:
            self.owners[owner].lines.append(line)
            return Door(line, {name: partial(kind, host=host) for name, kind in self._speakers.items()})

        return opening(self.loop, owner, host, port, listen, refused)

    # -- its course

    def run(self) -> Found:
        """All of it."""
        random, loop = self.random, self.loop
        self._sign_in()
        count = random.choice((1, 2, 2, 3))
        for number in range(count):
            self.proxies.append(None)
            self._start(number)
        mixed = random.choice((0.0, 0.0, 0.5, 1.0))
        editors = [
            Editor(
                self.desk,
                f"talk-{number}",
                random.choice(sorted({seat.provider for seat in self.issuer.seats.values()})),
                partial(self._visit, number % count),
                partial(self._share, number % count) if random.random() < mixed else None,
                random.randrange(1, 4),
                random.choice((0.0, 0.5, 1.0)),
            )
            for number in range(random.randrange(2, 5))
        ]
        self._faults()
        loop.run(lambda: self.trial.verdict is not None or all(e.done for e in editors), LASTS_S)
        self.quiet = True
        if self.trial.verdict is None:
            left = sorted(self.desk.waiting)
            if left or not all(e.done for e in editors):
                loop.run(lambda: self.trial.verdict is not None or not self.desk.waiting, QUIET_S)
            if self.desk.waiting:
                self.trial.broken("answered", f"{sorted(self.desk.waiting)} wait for ever")
        if self.trial.verdict is None:
            for editor in editors:
                editor.done = True
                if editor._visit is not None:
                    editor._visit.leave()
            for shared in self._shared.values():
                shared.leave()
            loop.run(lambda: self.trial.verdict is not None or self._is_over(), QUIET_S)
        if self.trial.verdict is None:
            self._at_the_end()
            self._end_all()
        return Found(
            self.seed,
            loop.steps,
            loop.digest,
            self.desk.asked,
            self.desk.served,
            self.crashes,
            sum(len(seat.rotations) for seat in self.issuer.seats.values()),
            loop.now,
            self.trial.verdict,
            list(loop.told),
        )

    def _sign_in(self) -> None:
        """Who is in the pool: some of Codex, some of Copilot, or both."""
        random = self.random
        codex, copilot = random.choice(((1, 0), (2, 0), (3, 0), (2, 0), (0, 2), (0, 3), (1, 2)))
        self.reading = True
        with Store.open(self.database) as store:
            for name in ("alice", "bob", "carol")[:codex]:
                seat, login = self.issuer.add(name, random.choice((-10.0, -10.0, 60.0, 310.0, 3000.0)))
                seat.origin = random.choice(("NO_CONSTRAINT", "NO_CONSTRAINT", *ORIGINS))
                self._save(store, seat, login, "chatgpt.com")
            for name in ("dave", "erin", "frank")[:copilot]:
                self._save(store, *self.issuer.add_copilot(name), "github.com")
        self.reading = False

    def _save(self, store: Store, seat: Seat, login: Credential, issuer: str) -> None:
        account, _ = store.save_login(
            provider=seat.provider,
            identity=seat.identity,
            name=seat.name,
            explicit_name=True,
            issuer=issuer,
            plan="plus",
            credentials=[login],
            now=moment(),
        )
        seat.id = account.id
        store.set_priority(account.name, self.whims.choice((100, 100, 0, 1)))

    def _start(self, number: int) -> None:
        self.reading = True
        skew_s = self.random.uniform(-self.skew_s, self.skew_s)
        name = f"proxy{number}.{self.crashes}"
        proxy = Proxy(self.loop, self.issuer, name, self.database, self.policy, skew_s)
        proxy.rogue = self.rogue
        proxy.told = self.told
        self.owners[proxy.owner] = proxy
        self.proxies[number] = proxy
        self.reading = False
        self.loop.note(f"{name} starts")

    def _visit(self, number: int, visit: Visit, host: str) -> Line | None:
        proxy = self.proxies[number]
        return None if proxy is None or proxy.dead or proxy.ending else proxy.accept(visit, host)

    def _share(self, number: int, host: str) -> http2.Shared | None:
        """The connection that editors of this proxy have to that host over HTTP/2."""
        shared = self._shared.get((number, host))
        if shared is None or shared.gone:
            proxy = self.proxies[number]
            if proxy is None or proxy.dead or proxy.ending:
                return None
            shared = self._shared[number, host] = http2.Shared(self.loop)
            shared.line = proxy.accept(shared, host, b"h2")
        return shared

    # -- what goes wrong

    def _faults(self) -> None:
        random = self.random
        for _ in range(random.choice((0, 0, 1, 3))):
            self.loop.post(self.loop.world, random.random() * 10.0, self._crash_somebody)
        for _ in range(random.choice((0, 0, 1, 2))):
            self.loop.post(self.loop.world, random.random() * 10.0, self._stall)
        if random.random() < 0.2:
            self.loop.post(self.loop.world, random.random() * 10.0, self._stop_somebody)
        if random.random() < 0.2:
            self.loop.post(self.loop.world, random.random() * 8.0, self._away)
        for _ in range(random.choice((0, 0, 0, 0, 1, 2))):
            self.loop.post(self.loop.world, random.random() * 8.0, self._set_clock)
        if random.random() < 0.1:
            self.loop.post(self.loop.world, random.choice((0.2, random.random() * 10.0)), self._start_anew)
        for _ in range(self.whims.choice((0, 0, 1, 3))):
            self.loop.post(self.loop.world, self.whims.random() * 10.0, self._order_otherwise)

    def _somebody(self) -> Proxy | None:
        able = [proxy for proxy in self.proxies if proxy is not None and not proxy.dead and not proxy.ending]
        return self.random.choice(able) if able and not self.quiet else None

    def _crash_somebody(self) -> None:
        proxy = self._somebody()
        if proxy is not None:
            self.crash(proxy)

    def _stop_somebody(self) -> None:
        """As a person does, or the system at its end."""
        proxy = self._somebody()
        if proxy is not None:
            self.loop.note(f"{proxy.owner} is stopped")
            proxy.end(lambda: self._ended(proxy, writes=self.steady))

    @property
    def steady(self) -> bool:
        """The database has failed nobody by now."""
        return not self.locked and not self.away_until

    def _ended(self, proxy: Proxy, *, writes: bool) -> None:
        """It has come to its end; `writes`: the database took everything that it had to write for that."""
        if not proxy.dead:
            self.loop.note(f"{proxy.owner} has ended")
            self.desk.unsure |= self.desk.waiting  # what it has sent may be on its way
            self.complete = self.complete and writes
            for seat in self.issuer.seats.values():
                if proxy.owner in seat.asking:
                    self.trial.broken("answered", f"{proxy.owner} has ended while it renews {seat.name}")
            if writes:
                self.kept.left_by(proxy, steady=self.steady)
            proxy.kill()
            if not self.quiet:
                number = self.proxies.index(proxy)
                self.loop.post(self.loop.world, self.random.random() * 2.0, self._start, number)

    def crash(self, proxy: Proxy) -> None:
        """It is killed, and started again after a while."""
        self.crashes += 1
        self.complete = False
        for account_id in proxy.service.knowledge.state.in_flight:
            self.held_at[account_id] = self.loop.now
        proxy.kill()
        for seat in self.issuer.seats.values():
            if proxy.owner in seat.asking:
                seat.asking.remove(proxy.owner)
        number = self.proxies.index(proxy)
        self.loop.post(self.loop.world, self.random.random() * 5.0, self._start, number)

    def _stall(self) -> None:
        proxy = self._somebody()
        if proxy is not None:
            self.orderly = False
            proxy.owner.stalled_until = self.loop.now + self.random.choice((0.2, 1.0, 2.0))
            self.loop.note(f"{proxy.owner} stands still")

    def _away(self) -> None:
        if not self.quiet:
            self.orderly = False
            self.away_until = self.loop.now + self.random.choice((0.5, 3.0, 15.0))
            self.loop.note("the database is away")

    def _order_otherwise(self) -> None:
        proxy = self._somebody()
        if proxy is not None:
            strategy, moving = self.whims.choice(tuple(Strategy)), self.whims.random() < 0.7
            self.loop.note(f"{proxy.owner} is to choose by {strategy if moving else 'priority alone, whatever limits'}")
            self.moved_nobody |= not moving
            proxy.follow(replace(proxy.service.policy, strategy=strategy, rotate_on_limit=moving))

    def _set_clock(self) -> None:
        by_s = self.random.choice((-4000.0, -40.0, -2.0, 2.0, 40.0, 4000.0))
        self.loop.wall_s += by_s
        self.set_at = self.loop.now
        self.drift_s += abs(by_s) if abs(by_s) <= JUMP.total_seconds() else 0.0
        self.issuer.clock_set(by_s)
        self.loop.note(f"the clock is set by {by_s:.0f} s")

    def _start_anew(self) -> None:
        """The machine: nothing of any process is left, and its clock's steady part begins again."""
        if self.quiet:
            return
        if self.loop.now < RENEWED_BY_S and not any(seat.asking for seat in self.issuer.seats.values()):
            self.loop.post(
                self.loop.world, 0.1, self._start_anew
            )  # what is worth seeing is a renewal that is broken off
            return
        for proxy in tuple(self.proxies):
            if proxy is not None and not proxy.dead:
                self.crash(proxy)
        self.loop.up_s = self.random.choice((1.0, 500.0, 5000.0)) - self.loop.now
        self.loop.note("the machine was started anew")

    def begins(self) -> None:
        """A transaction is about to begin, in a thread of some process."""
        loop, job = self.loop, self.loop.job
        if self.reading or job is None:
            return
        if self.random.random() < 0.1:
            loop.preempt(job.owner)
        self._may_die()
        if not self.quiet and (loop.now < self.away_until or self.random.random() < self.locked):
            job.late_s += self.random.choice((0.0, 1.0))
            raise sqlite3.OperationalError("database is locked")

    def ends(self) -> None:
        """A transaction is about to be committed."""
        if self.reading or self.loop.job is None:
            return
        self._may_die()
        if not self.quiet and self.random.random() < self.locked / 4:
            raise sqlite3.OperationalError("disk I/O error")

    def _may_die(self) -> None:
        job = self.loop.job
        if not self.quiet and self.random.random() < self.killing and job is not None and not job.owner.dead:
            self.loop.post(self.loop.world, 0.0, lambda: None)
            self.crash(self.owners[job.owner])
            raise Crash

    # -- what must hold

    def _asked(self, line: Line, request: str, seat: Seat) -> None:
        """A process sends a request with an account's credential."""
        self.sent[seat.id] += 1
        self.asked[request] = (*self.asked.get(request, ()), seat.id)
        self.held_at[seat.id] = self.loop.now
        proxy = self.owners[line.owner]
        held = proxy.service.knowledge.state.in_flight
        if held[seat.id] < 1:
            self.trial.broken("slots", f"{proxy.owner} asks {seat.name} for {request} and holds no place there")
        flow_id, decided = proxy.flows.get(request, ("", 0.0))
        exchange = proxy.pool.exchanges._open.get(flow_id)
        probe = exchange is not None and exchange.trail is not None and exchange.trail.probe is not None
        if not proxy.service.policy.rotate_on_limit:
            return  # limits move nobody
        noticed_at = self.set_at + (NOTICED_S if self.orderly else NOTICED_LATE_S)
        slack_s = self.drift_s + 2 * self.skew_s + 1.5
        for other in (proxy, *(each for each in self.owners.values() if self.orderly and not each.dead)):
            left_s = other.known.get(seat.name, 0.0) - self.issuer.now
            heard = other.told_at.get(seat.name, 0.0) + (HEARD_S if other is not proxy else 0.0)
            # One that began before the clock was set may have waited, and have chosen when nobody had noticed yet.
            off_s = slack_s + other.off_s.get(seat.name, 0.0)
            if left_s > off_s and decided > heard and not probe and decided > noticed_at:
                why = f"{proxy.owner} asks {seat.name} for {request}, {left_s:.0f} s before the limit ends that"
                self.trial.broken("cooldown", f"{why} {other.owner} was told of")

    def _refused(self, request: str, provider: ProviderName) -> None:
        """An editor was told of limits."""
        answers, asked = self.upstream.answers.get(request, []), self.asked.get(request, ())
        plainly = len(asked) == len(answers) and all(answer.until and answer.whole for answer in answers)
        tried_enough = len(asked) >= self.policy.max_attempts or self.loop.now - self.unreached_at < UNREACHED_S
        if self.moved_nobody or not self.steady or self.rogue or not plainly or tried_enough:
            return  # limits were not all that stood in its way
        for seat in self.issuer.seats.values():
            full = self.policy.max_in_flight and self.loop.now - self.held_at[seat.id] < FREED_S
            if seat.provider is provider and not seat.ails and not full and seat.origin != "https://evil.example":
                self.trial.broken("useful", f"{request} was refused, and nothing ails {seat.name}")

    def _freed(self, request: str) -> None:
        """An editor's request has come to an end."""
        for account_id in self.asked.get(request, ()):
            self.held_at[account_id] = self.loop.now

    def told(self, proxy: Proxy, request: str) -> None:
        """A process has dealt with a refusal."""
        if not proxy.service.policy.rotate_on_limit:
            return
        for answer in self.upstream.answers.get(request, [])[-1:]:
            if answer.until and answer.whole and answer.seat is not None:
                off_s = abs(self.issuer.skew_s) - self.drift_s
                if proxy.known.get(answer.seat, 0.0) == answer.until:
                    off_s = max(off_s, proxy.off_s[answer.seat])
                if answer.until >= proxy.known.get(answer.seat, 0.0):
                    proxy.known[answer.seat], proxy.off_s[answer.seat] = answer.until, off_s
                proxy.told_at[answer.seat] = self.loop.now

    def _stored(self, seat: Seat) -> str | None:
        proxy = next(iter(self.owners.values()))  # a dead one's way to the database is as good
        self.reading = True
        try:
            held = proxy.store.credentials(seat.id).get(CredentialKind.CODEX_OAUTH)
        finally:
            self.reading = False
        return held.refresh_token if held is not None else None

    def _is_over(self) -> bool:
        """Whether nothing more is to be expected; asked after every step, so it looks at little."""
        if self.loop.steps % 64:
            return False
        living = [proxy for proxy in self.owners.values() if not proxy.dead]
        held = (p.service.waiting + len(p.pool.exchanges) + p.service.knowledge.state.in_flight.total() for p in living)
        free = not any(held)
        asking = any(seat.asking for seat in self.issuer.seats.values())
        stored = all(
            p.service._refresher._running == {} and p.service._refresher._safekeeping._storing == set() for p in living
        )
        ending = any(p.ending for p in living)  # what it could not store by its end goes with it
        return free and stored and not asking and not ending

    def _at_the_end(self) -> None:
        for proxy in self.owners.values():
            if proxy.dead:
                continue
            if proxy.service._refresher._running:
                self.trial.broken("answered", f"everybody has gone, and {proxy.owner} still waits to renew a login")
            self._look_at_places(proxy)
        for seat in self.issuer.seats.values():
            last = seat.rotations[-1] if seat.rotations else None
            lost = last is None or not last.arrived or last.asked_by.dead
            if last is not None and not lost and self._stored(seat) != last.fresh:
                self.trial.broken("spent-token", f"the last token of {seat.name} is not stored")

    def _end_all(self) -> None:
        """As a person does with all of them."""
        living = [proxy for proxy in self.owners.values() if not proxy.dead]
        for proxy in living:
            if not proxy.ending:
                proxy.end(partial(self._ended, proxy, writes=True))
        self.loop.run(lambda: self.trial.verdict is not None or all(proxy.dead for proxy in living), QUIET_S)
        for proxy in living:
            if not proxy.dead:
                self.trial.broken("answered", f"{proxy.owner} does not end")
        self.kept.sums()
        if self.complete:
            ids = {seat.name: seat.id for seat in self.issuer.seats.values()}
            self.kept.holds(self.sent, ids)
            self.kept.spent(chain.from_iterable(self.upstream.answers.values()), ids)

    def _look_at_places(self, proxy: Proxy) -> None:
        """Everybody has gone."""
        held = dict(proxy.service.knowledge.state.in_flight)
        if any(held.values()):
            self.trial.broken("slots", f"everybody has gone, and {proxy.owner} counts {held}")
        if proxy.service.waiting or len(proxy.pool.exchanges):
            self.trial.broken("slots", f"everybody has gone, and {proxy.owner} still has flows")

    def bury(self) -> None:
        """Give everything back."""
        self.quiet = True
        for proxy in self.owners.values():
            self.loop.kill(proxy.owner)
            proxy.bury()
        asyncio_utils._KEEP_ALIVE.clear()  # of tasks that never end, and would keep all of this


class Errors(logging.Handler):
    """An error that is logged is one of the product, or of the simulation."""

    def emit(self, record: logging.LogRecord) -> None:
        scene = STAGE.scene
        if scene is None or scene.loop.owner.dead:
            return
        why = record.exc_info[1] if record.exc_info else None
        where = traceback.format_exception(why)[-8:] if why is not None else ""
        scene.trial.broken("sound", f"{scene.loop.owner}: {record.getMessage()} {''.join(where)}")


class Stage:
    """Where scenes are played, one after the other."""

    def __init__(self) -> None:
        self.scene: Scene | None = None
        self.folder = Path()
        self.played = 0

    def set_up(self, folder: Path) -> None:
        """Once in a process, after `world.enter`."""
        self.folder = folder
        set_up()
        driver.use()
        Store.open(str(folder / "template.db")).close()
        driver.TOLD.begins, driver.TOLD.ends = self._begins, self._ends
        root = logging.getLogger()
        root.handlers[:] = [Errors(logging.ERROR)]
        root.setLevel(logging.ERROR)
        sys.unraisablehook = lambda _: None  # what the killed had under way

    def play(self, seed: int, *, everything: bool = False) -> Found:
        """One seed; `everything`: all steps that were noted are told, not only the last ones."""
        database = self.folder / "pool.db"
        for name in ("pool.db", "pool.db-wal", "pool.db-shm"):
            (self.folder / name).unlink(missing_ok=True)
        shutil.copyfile(self.folder / "template.db", database)
        shutil.copyfile(self.folder / "template.db.key", self.folder / "pool.db.key")
        scene = self.scene = Scene(seed, database)
        if everything:
            scene.loop.told = deque()
        asyncio.events._set_running_loop(scene.loop)
        try:
            return scene.run()
        finally:
            scene.bury()
            asyncio.events._set_running_loop(None)
            self.scene = None
            tidy(settle=not self.played)
            self.played += 1

    def _begins(self) -> None:
        if self.scene is not None:
            self.scene.begins()

    def _ends(self, db: sqlite3.Connection, wrote: bool) -> None:
        if self.scene is None:
            return
        self.scene.ends()
        if wrote:
            self.scene.kept.written(db)
            for ears in ROUTER.ears:
                ears.stir()


STAGE = Stage()
