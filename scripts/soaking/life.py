"""What happens on an ordinary day: accounts meet their limits, logins have to be renewed, people pause accounts."""

import asyncio
import itertools
import random
from dataclasses import dataclass, field

from scripts.soaking.stage import Stage
from scripts.soaking.world import CODEX, COPILOT

from seatpool.setup import page_token

LIMIT_S = 8
"""How long a limit lasts."""
EACH_S = 1.7
PAUSED = CODEX[-1]
"""Whom a person pauses and takes back, so that who pauses and who is limited do not meet in all accounts at once."""
_LIMITED = itertools.cycle([CODEX[0], COPILOT[0], CODEX[1], CODEX[2], COPILOT[1], CODEX[3]])
_RENEWED = itertools.cycle(CODEX[:-1])


@dataclass(slots=True)
class Life:
    """What a proxy has said of a person's wishes is in `paused`."""

    stage: Stage
    drawn: random.Random
    paused: bool | None = None
    """What a proxy has acknowledged last; None while an order of a person's has had no answer since."""
    orders: int = 0
    """Acknowledged ones."""
    limits: int = 0
    renewals: int = 0
    generations: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        """One thing after another, until cancelled. While the fakes are away nothing new happens to accounts there."""
        for what in itertools.cycle((self._limit, self._pause, self._renew, self._limit)):
            await asyncio.sleep(EACH_S)
            try:
                await what()
            except (OSError, ValueError):
                pass  # the fakes, or the proxy, are away

    async def _limit(self) -> None:
        name = next(_LIMITED)
        limit = {"kind": "usage_limit", "resets_in_s": LIMIT_S, "first": 1, "on": ["request", "handshake"]}
        if name in COPILOT:
            limit["retry_after"] = LIMIT_S
        await asyncio.to_thread(self.stage.fakes.behave, name, limit)
        self.limits += 1

    async def _renew(self) -> None:
        """Upstream takes the token no more that everybody uses.

        Not while the database is away: no login is renewed that cannot be kept, and of several such nobody is left.
        """
        if not self.stage.stores:
            return
        name = next(_RENEWED)
        generation = self.generations.get(name, 0) + 1
        await asyncio.to_thread(self.stage.fakes.change, name, revoked_below=generation)
        self.generations[name] = generation
        self.renewals += 1

    async def _pause(self) -> None:
        """By a proxy's page."""
        wanted = not self.paused
        self.paused, number = None, self.drawn.randrange(len(self.stage.proxies))
        if await order(self.stage, number, PAUSED, "pause" if wanted else "resume") == 204:
            self.paused = wanted
            self.orders += 1


async def order(stage: Stage, number: int, name: str, what: str, patience_s: float = 10) -> int:
    """Ask the page of a proxy to do something with an account. Returns the status; `OSError` when no answer comes."""
    proxy = stage.proxies[number]
    token = await asyncio.to_thread(page_token.token, stage.page_token(number))
    head = f"POST http://seatpool.test/api/accounts/{name}/{what} HTTP/1.1\r\nhost: seatpool.test\r\n"
    head += f"x-seatpool-token: {token}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    async with asyncio.timeout(patience_s):
        raw = await asyncio.to_thread(stage.lab.connect, *proxy.address)
        raw.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=raw)
        try:
            writer.write(head.encode())
            first = await reader.readline()
        finally:
            writer.close()
    words = first.split()
    if len(words) < 2:
        raise ConnectionError("no answer")
    return int(words[1])
