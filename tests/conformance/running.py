"""Every case through both proxies, many at a time.

python -m tests.conformance.running [PART-OF-A-NAME]     prints what each peer saw, and what is wrong
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance import http2_frames, http2_messages, ws_cases
from tests.conformance.case import HUNG, Case
from tests.conformance.stage import BARE, POOL, Stage, proxies
from tests.conformance.ws_peer import Deflate

AT_ONCE = 12
"""Connections to each proxy."""
PATIENCE_S = 60.0
"""Nothing takes so long but what never ends."""


@dataclass(frozen=True, slots=True)
class Sort:
    """Cases of one kind, from one side."""

    name: str
    case: Case[Any]
    deflate: Deflate | None = None

    @property
    def id(self) -> str:
        """Unique."""
        return f"{self.name} {self.case.id}"


def everything() -> Iterator[Sort]:
    """All that is run."""
    for case in (*http2_frames.case.cases, *http2_messages.case.cases):
        yield Sort("http2", case)
    for side in ("client", "upstream"):
        for each in ws_cases.CASES:
            yield Sort(side, each)
        for agreed, each in ws_cases.PACKED:
            yield Sort(side, each, agreed)


@dataclass(slots=True)
class Seen:
    """What the peers saw."""

    outcomes: dict[tuple[str, str], str] = field(default_factory=dict)
    """By case and proxy."""
    took_s: dict[tuple[str, str], float] = field(default_factory=dict)
    paid: dict[str, set[str]] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    """Lines of the pool's proxy that tell of a crash."""

    def worse(self, sort: Sort) -> bool:
        """Whether a peer sees something with the pool that is neither right nor what it sees without."""
        bare, pool = (self.outcomes[sort.id, proxy] for proxy in (BARE, POOL))
        return pool != bare and not sort.case.allows(pool)


def run(folder: Path, part: str = "") -> Seen:
    """Run them all."""
    seen = Seen()
    with proxies(folder) as (lab, certificates, running):

        async def main() -> None:
            async with Stage(lab, certificates, running) as stage:
                await asyncio.gather(*(_through(stage, proxy, part, seen) for proxy in (BARE, POOL)))
                seen.paid = stage.paid

        asyncio.run(main())
        crashes = ("Traceback", "crashed", "hook=")
        seen.complaints = [line for line in running[POOL].log if any(word in line for word in crashes)]
    return seen


async def _through(stage: Stage, proxy: str, part: str, seen: Seen) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(sort: Sort) -> None:
        async with places:
            began = time.monotonic()
            seen.outcomes[sort.id, proxy] = await _outcome(stage, proxy, sort)
            seen.took_s[sort.id, proxy] = time.monotonic() - began

    await asyncio.gather(*(one(sort) for sort in everything() if part in sort.id))


async def _outcome(stage: Stage, proxy: str, sort: Sort) -> str:
    try:
        async with asyncio.timeout(PATIENCE_S):
            if sort.name == "http2":
                async with stage.http2(proxy, sort.case.id) as peer:
                    return await sort.case.run(peer)
            return await _of_socket(stage, proxy, sort)
    except TimeoutError:
        return HUNG


async def _of_socket(stage: Stage, proxy: str, sort: Sort) -> str:
    async with AsyncExitStack() as stack:
        client, upstream = await stack.enter_async_context(stage.sockets(proxy, f"{proxy} {sort.id}", sort.deflate))
        near, far = (client, upstream) if sort.name == "client" else (upstream, client)
        echo = asyncio.create_task(far.echo())
        try:
            outcome = await sort.case.run(near)
            near.drop()
            await echo
        finally:
            echo.cancel()
        closes = [each for each in far.seen if each.startswith("close")]
        return f"{outcome} | the other end: {'; '.join(closes) or 'dropped'}"


def main() -> None:
    """Print everything that is not as it should be."""
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        seen = run(Path(folder), part)
    for sort in everything():
        if part not in sort.id:
            continue
        bare, pool = (seen.outcomes[sort.id, proxy] for proxy in (BARE, POOL))
        marks = ("WORSE" if seen.worse(sort) else "", "" if sort.case.allows(bare) else "bare fails")
        if part or any(marks) or bare != pool:
            print(f"{sort.id}: {sort.case.reason} {marks}\n  right {sort.case.right}\n  bare  {bare}\n  pool  {pool}")
    slow = sorted(seen.took_s.items(), key=lambda item: -item[1])[:5]
    print(f"{len(seen.outcomes)} in {time.monotonic() - began:.1f} s; {slow}; {seen.paid}; {seen.complaints}")


if __name__ == "__main__":
    main()
