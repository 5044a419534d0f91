"""The clock, the scheduler and the threads of the simulated world: everything in it happens here, one step at a time.

Within one process callbacks run in the order in which they were scheduled, as asyncio promises; which process goes on
next is the seed's choice, and so is how long its threads take. Time passes only when nobody has anything to do.
"""

import asyncio
import asyncio.events
import heapq
import zlib
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from random import Random
from typing import Any

STEP_S = 0.00005
"""What a step takes, so that no two happen at the same moment."""
TOLD = 40
"""Steps that are told of a failure."""
THREADS = 2
"""Of each kind, of which a process has several (`service/threads.py`)."""


class Crash(BaseException):
    """A process was killed while one of its threads was at work."""


class Owner:
    """Whoever has something to do: a process, or the world around them."""

    def __init__(self, name: str, skew_s: float = 0.0) -> None:
        self.name = name
        self.skew_s = skew_s
        """By how much its clock is ahead."""
        self.ready: deque[asyncio.Handle] = deque()
        self.stalled_until = 0.0
        self.dead = False
        self.threads: defaultdict[object, Threads] = defaultdict(Threads)

    def __repr__(self) -> str:
        return self.name


class Threads:
    """Those of one kind."""

    def __init__(self) -> None:
        self.free = THREADS
        self.jobs: deque[Job] = deque()


class Job:
    """Blocking work, beside its process's event loop."""

    def __init__(self, owner: Owner, threads: Threads, work: Callable[[], Any], done: "asyncio.Future[Any]") -> None:
        self.owner = owner
        self.threads = threads
        self.work = work
        self.done = done
        self.late_s = 0.0
        """How much longer it takes because of what it has met."""


class Loop(asyncio.AbstractEventLoop):
    """An event loop for everybody."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.wall_s = 1_795_000_000.0
        """What the machine's clock says at the beginning, and what it was set by."""
        self.up_s = 1000.0
        """How long ago the machine was started, at the beginning; less, where it was started anew since."""
        self.world = Owner("world")
        self.owner = self.world
        """Whose step this is."""
        self.steps = 0
        self.told: deque[tuple[float, str, str]] = deque(maxlen=TOLD)
        self.digest = 0
        self.wrong: Callable[[str, str], None] = lambda what, why: None
        """To be called with what nobody has caught."""
        self.latency_s: Callable[[Owner], float] = lambda owner: 0.001
        """How long a thread takes for a job."""
        self.job: Job | None = None
        """The one that is at work."""
        self.connect: Callable[[Owner, str, int], Any] = lambda owner, host, port: None
        self._owners: list[Owner] = []
        """Those with something to do now."""
        self._timers: list[tuple[float, int, asyncio.Handle, Owner]] = []
        self._number = 0
        self._depth = 0

    # -- time

    def time(self) -> float:
        return self.now

    def wall(self) -> float:
        """What the clock of whoever asks says: seconds since the epoch."""
        return self.wall_s + self.now + self.owner.skew_s

    def up(self) -> float:
        """Seconds since the machine was started, whatever its clock was set to: the same for all processes."""
        return self.up_s + self.now

    # -- what asyncio asks of a loop

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, args, self, context)
        self._put(handle, self.owner)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment] # there is one thread

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:  # type: ignore[override]
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:  # type: ignore[override]
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._number += 1
        heapq.heappush(self._timers, (when, self._number, handle, self.owner))
        return handle

    @contextmanager
    def acting(self, owner: Owner) -> Iterator[None]:
        """What is done meanwhile is this one's doing."""
        before, self.owner = self.owner, owner
        try:
            yield
        finally:
            self.owner = before

    def post(self, owner: Owner, delay: float, callback: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        """Something happens to somebody else."""
        mine, self.owner = self.owner, owner
        try:
            return self.call_later(delay, callback, *args)
        finally:
            self.owner = mine

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: object = None, context: Context | None = None, **_: object
    ) -> "asyncio.Task[Any]":  # type: ignore[override]
        return asyncio.Task(coro, loop=self, name="-" if name is None else str(name), context=context)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def get_task_factory(self) -> None:
        return None

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error, message = context.get("exception"), str(context.get("message"))
        if not self.owner.dead and "was destroyed" not in message:  # what the killed had under way
            self.wrong("sound", f"{self.owner}: {message}: {type(error).__name__}: {error}")

    async def create_connection(
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, **_: object
    ) -> Any:  # type: ignore[override]
        """Through the simulated network."""
        return await self.connect(self.owner, host, port)(factory)

    # -- threads

    def run_in_executor(self, executor: object, work: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        done = self.create_future()
        owner = self.owner
        threads = owner.threads[executor]
        threads.jobs.append(Job(owner, threads, (lambda: work(*args)) if args else work, done))
        self._start_jobs(threads)
        return done

    def _start_jobs(self, threads: Threads) -> None:
        while threads.free and threads.jobs:
            threads.free -= 1
            job = threads.jobs.popleft()
            self.post(job.owner, self.latency_s(job.owner), self._begin, job)

    def _begin(self, job: Job) -> None:
        if job.done.cancelled():
            self._end(job, None, None)
            return
        result = error = None
        before, self.job = self.job, job
        try:
            result = job.work()
        except Crash:
            return
        except Exception as caught:  # noqa: BLE001 # it is whoever waits for the job to whom it is raised
            error = caught
        finally:
            self.job = before
        self.post(job.owner, self.latency_s(job.owner) + job.late_s, self._end, job, result, error)

    def _end(self, job: Job, result: Any, error: Exception | None) -> None:
        job.threads.free += 1
        self._start_jobs(job.threads)
        if job.done.done():
            return
        if error is not None:
            job.done.set_exception(error)
        else:
            job.done.set_result(result)

    # -- steps

    def kill(self, owner: Owner) -> None:
        """It does nothing any more."""
        owner.dead = True
        owner.ready.clear()
        owner.threads.clear()
        if owner in self._owners:
            self._owners.remove(owner)

    def run(self, until: Callable[[], bool], limit_s: float) -> None:
        """Until that is so, or so much time has passed."""
        end = self.now + limit_s
        while self.now < end and not until():
            if not self._step(None) and not self._wait(end):
                return

    def preempt(self, owner: Owner) -> None:
        """While a thread of this one waits for its turn, others may go on."""
        if self._depth or owner.dead or asyncio.current_task(self) is not None:
            return
        self._depth += 1
        try:
            for _ in range(self.random.randrange(1, 12)):
                if not self._step(owner):
                    break
        finally:
            self._depth -= 1
            self.owner = owner

    def note(self, what: str) -> None:
        """One line of what happened."""
        self.told.append((self.now, self.owner.name, what))
        self.digest = zlib.crc32(f"{self.now:.6f} {self.owner.name} {what}".encode(), self.digest)

    def _put(self, handle: asyncio.Handle, owner: Owner) -> None:
        if not owner.dead:
            if not owner.ready:
                self._owners.append(owner)
            owner.ready.append(handle)

    def _step(self, beside: Owner | None) -> bool:
        """One callback of somebody's. False where nobody has any."""
        if self._timers and self._timers[0][0] <= self.now:
            self._ring()
        owners = self._owners
        able = owners
        if beside is not None or any(o.stalled_until > self.now for o in owners):
            able = [o for o in owners if o is not beside and o.stalled_until <= self.now]
        if not able:
            return False
        owner = able[self.random.randrange(len(able))] if len(able) > 1 else able[0]
        handle = owner.ready.popleft()
        if not owner.ready:
            owners.remove(owner)
        if not handle._cancelled:
            self.owner = owner
            self.steps += 1
            self.now += STEP_S
            self.digest = zlib.crc32(owner.name.encode(), self.digest)
            handle._run()
            self.owner = self.world
        return True

    def _wait(self, end: float) -> bool:
        """Until the next moment at which something is due. False where nothing ever is."""
        timers = self._timers
        while timers and (timers[0][2]._cancelled or timers[0][3].dead):
            heapq.heappop(timers)
        stalled = [o.stalled_until for o in self._owners]
        if not timers and not stalled:
            return False
        due = min([*stalled, timers[0][0]] if timers else stalled)
        self.now = max(self.now, due)
        if self.now > end:
            return False
        self._ring()
        return True

    def _ring(self) -> None:
        timers = self._timers
        while timers and timers[0][0] <= self.now:
            _, _, handle, owner = heapq.heappop(timers)
            if not handle._cancelled:
                self._put(handle, owner)
