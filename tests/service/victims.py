"""Processes that are there to be killed: `python -m tests.service.victims` forks one for every line of JSON on stdin.

Everything is imported before the first fork, so a victim lives within a few milliseconds. It tells what it has come
to, one line of JSON each; the last line of every victim is `["ended", exit code]`, from its parent.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from seatpool.core.model import (
    Account,
    Attempt,
    Cooldown,
    CredentialKind,
    ProviderName,
    QuotaWindow,
    Scope,
    ScopeKind,
)
from seatpool.core.policy import Policy
from seatpool.core.selection import Exhausted
from seatpool.providers.base import RequestFacts, Route
from seatpool.providers.http import Headers
from seatpool.service.network.transport import Transport, TransportSettings
from seatpool.service.pool import Answered, PoolService
from seatpool.service.trail import Assignment, Trail
from seatpool.store import Store

FACTS = RequestFacts(Route(ProviderName.CODEX, "responses", "api"), (CredentialKind.CODEX_OAUTH,), "gpt-x")
LONGEST_LIFE_S = 60
"""A victim that nobody kills ends itself."""
BUCKETS = ("primary", "secondary", "third")
BATCH = 20


def say(*news: object) -> None:
    """One line on stdout, in the pipe when this returns: a kill cannot take it back."""
    os.write(1, json.dumps(news).encode() + b"\n")


async def ask(service: PoolService, number: int) -> tuple[Trail, Assignment | Exhausted]:
    """One request's way to a credential that can be sent."""
    trail = service.open(f"flow-{number}", FACTS, Headers())
    choice = await service.assign(trail)
    if isinstance(choice, Assignment):
        service.served(trail, Answered(200, 1.0), Headers())
    return trail, choice


async def renew(database: str, ca: str, proxy: str, requests: int) -> None:
    """A pool that is asked for several accounts at once."""
    service = PoolService(Store.open(database), Transport(TransportSettings(ca, upstream_proxy=proxy)), Policy())
    service.load()
    service.start()
    await asyncio.gather(*(ask(service, number) for number in range(requests)))
    await asyncio.Event().wait()


async def write(database: str) -> None:
    """A pool's writes of every kind, as fast as they go, in two threads; told when the store has returned."""
    store = Store.open(database)
    account = store.accounts()[0]
    threading.Thread(target=_each, args=("batch", lambda n: _record(store, account, n)), daemon=True).start()
    await asyncio.to_thread(_each, "cooldown", lambda n: _cool(store, account, n))


def _each(name: str, work: Callable[[int], None]) -> None:
    for number in count(1):
        work(number)
        say(name, number)


def _cool(store: Store, account: Account, number: int) -> None:
    now = datetime.now(UTC)
    scope = Scope(ScopeKind.MODEL, f"model-{number}")
    store.cool(Cooldown(account.id, scope, "usage_limit_reached", now + timedelta(hours=1), now))


def _record(store: Store, account: Account, number: int) -> None:
    now = datetime.now(UTC)
    attempts = [Attempt(f"{number}", n, account.id, "responses", "gpt", "ok", 200, now, 1.5) for n in range(BATCH)]
    windows = [(account.id, QuotaWindow(bucket, 1 / number, now, "header", length_s=number)) for bucket in BUCKETS]
    store.record(attempts=attempts, windows=windows, used={account.id: now})


VICTIMS: Mapping[str, Callable[..., Coroutine[Any, Any, None]]] = {"renew": renew, "write": write}


def main() -> None:
    """Fork, let it be killed, go on."""
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.alarm(LONGEST_LIFE_S)
            say("pid", os.getpid())
            asyncio.run(VICTIMS[name](*arguments))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        say("ended", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
