"""One simulated world, from its seed to its verdict."""

import asyncio.events
import logging
import shutil
import sqlite3
import sys
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from mitmproxy.utils import asyncio_utils
from msgspec.structs import replace

from seatpool.core.model import Credential, CredentialKind, QuotaWindow
from seatpool.core.policy import Policy
from seatpool.core.strategy import Strategy
from seatpool.store import Store
from tests.proof import driver, http1, http2
from tests.proof.choosing import Choosing
from tests.proof.database import Database
from tests.proof.editor import Desk, Editor, Visit
from tests.proof.issuer import ASTRAY, Issuer, Seat
from tests.proof.judge import Judge
from tests.proof.loop import Crash, Owner
from tests.proof.network import Door, Line, Opening, opening
from tests.proof.proxy import ROUTER, Proxy, set_up
from tests.proof.quota import LENGTH_S, WINDOW, Quota
from tests.proof.trial import Broken, Trial
from tests.proof.upstream import Mood, Upstream
from tests.proof.weather import Weather
from tests.proof.world import HERE, moment, tidy

ORIGINS = ("https://eu.chatgpt.com", ASTRAY)
"""Where issuers say that a workspace is served."""
LASTS_S = 120.0
"""Of simulated time, until everybody must have had an answer."""
SMALL_EACH = 2
"""Each second world is small. For the time that they take, these show most faults as often as large ones do; and what
broke in them is read sooner."""
QUIET_S = 30.0
"""After the last answer."""
RENEWED_BY_S = 12.0
"""A machine is started anew while a login is renewed, or then."""


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
        self.weather = Weather.drawn(random)
        self.reading = False
        """The database is used, and nothing befalls whoever does."""
        self.kept = Database(self.database, self.trial, loop, self.weather.skew_s)
        scale = random.choice((0.0, 0.5, 1.0, 2.0))
        mood = Mood(**{name: min(0.5, value * scale) for name, value in vars(Mood()).items()})
        loop.wrong = self.trial.broken
        loop.latency_s = self._latency
        loop.connect = self._connect
        self.issuer = Issuer(loop, self.trial, random.uniform(-5.0, 5.0))
        self.issuer.unreachable, self.issuer.lost = random.choice(((0.0, 0.0), (0.05, 0.0), (0.1, 0.05)))
        self.issuer.lasts_s = random.choice((310.0, 330.0, 400.0, 4000.0))
        quota = Quota(loop, Random(f"quota {seed}"), mood.returned, mood.mistaken)
        quota.shown = self._look_up
        mood.limited = max(mood.limited, quota.scarce)
        self.issuer.usage = lambda seat: quota.usage(seat, self.issuer.now)
        self.upstream = Upstream(loop, self.trial, self.issuer, mood, quota)
        self._speakers = {
            b"http/1.1": partial(http1.Server, self.upstream),
            b"h2": partial(http2.Server, self.upstream),
        }
        self._shared: dict[tuple[int, str], http2.Shared] = {}
        self.trial.stored = self._stored
        self.desk = Desk(loop, self.trial, self.upstream)
        self.whims = Random(seed)
        """Chances of what a person wants, apart from those of everything else."""
        self.chats = Random(f"chats {seed}")
        self.fresh = self.chats.choice((0.0, 0.0, 0.5, 1.0))
        """How often an editor's next turn begins another conversation."""
        self.policy = Policy(
            strategy=self.whims.choice((Strategy.QUOTA, *Strategy)),
            learn=False,
            poll_usage=random.random() < 0.2 or quota.tells,
            max_in_flight=random.choice((0, 0, 1, 2)),
            replay_unanswered=random.random() < 0.2,
        )
        self.rogue = random.choice((0.0, 0.0, 0.1))
        self.proxies: list[Proxy | None] = []
        self.owners: dict[Owner, Proxy] = {}
        self._seat_the_judge()

    def _seat_the_judge(self) -> None:
        seen = self.loop, self.trial, self.weather, self.upstream
        choosing = Choosing(*seen, self.desk, self.policy, self.owners, rogue=self.rogue)
        self.judge = Judge(*seen, self.owners, self.kept, choosing)
        self.upstream.asked = self.judge.asked
        self.desk.refused, self.desk.ended = choosing.refused, choosing.over
        self.desk.steady = lambda: not any(each.ending and not each.dead for each in self.owners.values())

    @contextmanager
    def _in_any_weather(self) -> Iterator[None]:
        """What is done meanwhile with the database is the world's own doing, and goes well."""
        self.reading = True
        try:
            yield
        finally:
            self.reading = False

    def _latency(self, owner: Owner) -> float:
        slow = self.weather.slow * (20 if self.random.random() < 0.02 else 1)
        return self.random.random() * slow

    def _connect(self, owner: Owner, host: str, port: int) -> Opening:
        refused = not self.weather.quiet and self.random.random() < self.upstream.mood.refused
        self.weather.unreached_at = self.loop.now if refused else self.weather.unreached_at

        def listen(line: Line) -> Any:
            self.owners[owner].lines.append(line)
            return Door(line, {name: partial(kind, host=host) for name, kind in self._speakers.items()})

        return opening(self.loop, owner, host, port, listen, refused)

    # -- its course

    def run(self) -> Found:
        """All of it."""
        random, loop = self.random, self.loop
        self._sign_in()
        small = self.seed % SMALL_EACH == 0
        count = random.choice((1, 1, 2) if small else (1, 2, 2, 3))
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
                random.randrange(1, 3 if small else 4),
                random.choice((0.0, 0.5, 1.0)),
                self._move_on,
            )
            for number in range(random.randrange(1, 3) if small else random.randrange(2, 5))
        ]
        self._faults()
        loop.run(lambda: self.trial.verdict is not None or all(e.done for e in editors), LASTS_S)
        self.weather.quiet = True
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
            self.judge.everybody_has_gone()
            self._end_all()
        return Found(
            self.seed,
            loop.steps,
            loop.digest,
            self.desk.asked,
            self.desk.served,
            self.weather.crashes,
            sum(len(seat.rotations) for seat in self.issuer.seats.values()),
            loop.now,
            self.trial.verdict,
            list(loop.told),
        )

    def _sign_in(self) -> None:
        """Who is in the pool: some of Codex, some of Copilot, or both."""
        random = self.random
        codex, copilot = random.choice(((1, 0), (2, 0), (3, 0), (2, 0), (0, 2), (0, 3), (1, 2)))
        with self._in_any_weather(), Store.open(self.database) as store:
            for name in ("alice", "bob", "carol")[:codex]:
                seat, login = self.issuer.add(name, random.choice((-10.0, -10.0, 60.0, 310.0, 3000.0)))
                seat.origin = random.choice(("NO_CONSTRAINT", "NO_CONSTRAINT", *ORIGINS))
                self._save(store, seat, login, "chatgpt.com")
            for name in ("dave", "erin", "frank")[:copilot]:
                self._save(store, *self.issuer.add_copilot(name), "github.com")

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
        seat.priority = self.whims.choice((100, 100, 0, 1))
        store.set_priority(account.name, seat.priority)

    def _look_up(self, seat: Seat) -> None:
        """Somebody imports an account once more that is there: what its issuer tells of its quota goes to the pool."""
        left, until = self.upstream.quota.left(seat, self.issuer.now)
        self.loop.note(f"somebody looks at {seat.name}: {left} % left")
        ends = datetime.fromtimestamp(until, UTC)
        window = QuotaWindow(WINDOW[seat.provider], left / 100, moment(), "usage", length_s=LENGTH_S, resets_at=ends)
        with self._in_any_weather(), Store.open(self.database) as store:
            store.record(windows=[(seat.id, window)])

    def _start(self, number: int) -> None:
        skew_s = self.random.uniform(-self.weather.skew_s, self.weather.skew_s)
        name = f"proxy{number}.{self.weather.crashes}"
        with self._in_any_weather():
            proxy = Proxy(self.loop, self.issuer, name, self.database, self.policy, skew_s)
        proxy.rogue = self.rogue
        proxy.told = self.judge.told
        self.owners[proxy.owner] = proxy
        self.proxies[number] = proxy
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

    def _move_on(self) -> bool:
        return self.chats.random() < self.fresh

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
        return self.random.choice(able) if able and not self.weather.quiet else None

    def _crash_somebody(self) -> None:
        proxy = self._somebody()
        if proxy is not None:
            self.crash(proxy)

    def _stop_somebody(self) -> None:
        """As a person does, or the system at its end."""
        proxy = self._somebody()
        if proxy is not None:
            self.loop.note(f"{proxy.owner} is stopped")
            proxy.end(lambda: self._ended(proxy, writes=self.weather.steady))

    def _ended(self, proxy: Proxy, *, writes: bool) -> None:
        """It has come to its end; `writes`: the database took everything that it had to write for that."""
        if not proxy.dead:
            self.loop.note(f"{proxy.owner} has ended")
            self.desk.unsure |= self.desk.waiting  # what it has sent may be on its way
            self.judge.ended(proxy, writes=writes)
            proxy.kill()
            if not self.weather.quiet:
                number = self.proxies.index(proxy)
                self.loop.post(self.loop.world, self.random.random() * 2.0, self._start, number)

    def crash(self, proxy: Proxy) -> None:
        """It is killed, and started again after a while."""
        self.weather.crashes += 1
        self.weather.complete = False
        self.judge.killed(proxy)
        proxy.kill()
        number = self.proxies.index(proxy)
        self.loop.post(self.loop.world, self.random.random() * 5.0, self._start, number)

    def _stall(self) -> None:
        proxy = self._somebody()
        if proxy is not None:
            self.weather.orderly = False
            proxy.owner.stalled_until = self.loop.now + self.random.choice((0.2, 1.0, 2.0))
            self.loop.note(f"{proxy.owner} stands still")

    def _away(self) -> None:
        if not self.weather.quiet:
            self.weather.orderly = False
            self.weather.away_until = self.loop.now + self.random.choice((0.5, 3.0, 15.0))
            self.loop.note("the database is away")

    def _order_otherwise(self) -> None:
        proxy = self._somebody()
        if proxy is not None:
            strategy, moving = self.whims.choice(tuple(Strategy)), self.whims.random() < 0.7
            self.loop.note(f"{proxy.owner} is to choose by {strategy if moving else 'priority alone, whatever limits'}")
            self.weather.moved_nobody |= not moving
            self.weather.ordered_at = self.loop.now
            proxy.follow(replace(proxy.service.policy, strategy=strategy, rotate_on_limit=moving))

    def _set_clock(self) -> None:
        by_s = self.random.choice((-4000.0, -40.0, -2.0, 2.0, 40.0, 4000.0))
        self.loop.wall_s += by_s
        self.weather.clock_set(by_s, self.loop.now)
        self.issuer.clock_set(by_s)
        if by_s > 0:  # what ends with a window does so by the calendar (`core/clockwork`)
            self.judge.forget(self.upstream.quota.named)
        self.loop.note(f"the clock is set by {by_s:.0f} s")

    def _start_anew(self) -> None:
        """The machine: nothing of any process is left, and its clock's steady part begins again."""
        if self.weather.quiet:
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
        self.judge.started_anew()
        self.loop.note("the machine was started anew")

    def begins(self) -> None:
        """A transaction is about to begin, in a thread of some process."""
        loop, job = self.loop, self.loop.job
        if self.reading or job is None:
            return
        if self.random.random() < 0.1:
            loop.preempt(job.owner)
        self._may_die()
        if not self.weather.quiet and (
            loop.now < self.weather.away_until or self.random.random() < self.weather.locked
        ):
            job.late_s += self.random.choice((0.0, 1.0))
            raise sqlite3.OperationalError("database is locked")

    def ends(self) -> None:
        """A transaction is about to be committed."""
        if self.reading or self.loop.job is None:
            return
        self._may_die()
        if not self.weather.quiet and self.random.random() < self.weather.locked / 4:
            raise sqlite3.OperationalError("disk I/O error")

    def _may_die(self) -> None:
        job = self.loop.job
        if (
            not self.weather.quiet
            and self.random.random() < self.weather.killing
            and job is not None
            and not job.owner.dead
        ):
            self.loop.post(self.loop.world, 0.0, lambda: None)
            self.crash(self.owners[job.owner])
            raise Crash

    # -- what must hold

    def _stored(self, seat: Seat) -> str | None:
        proxy = next(iter(self.owners.values()))  # a dead one's way to the database is as good
        with self._in_any_weather():
            held = proxy.store.credentials(seat.id).get(CredentialKind.CODEX_OAUTH)
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
            p.service._refresher._running == {} and not p.service._refresher._safekeeping._storing for p in living
        )
        ending = any(p.ending for p in living)  # what it could not store by its end goes with it
        return free and stored and not asking and not ending

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
        self.judge.all_have_ended()

    def bury(self) -> None:
        """Give everything back."""
        self.weather.quiet = True
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
