"""A connection to PostgreSQL that waits for no answer longer than it should.

A server that is gone is noticed by the network; one that hangs (stopped, or its disk) answers the network's questions
and no other. Who waits for that has given up before.
"""

import time
from collections.abc import Generator
from typing import Any

import psycopg

LOOK_EVERY_S = 0.25


class Bounded(psycopg.Connection[Any]):
    """Closed where the limit is passed, and the error says that."""

    limit_s = 3.0
    """For one statement, or what else has an answer."""

    def wait(self, gen: Any, *_interval: Any, **more: Any) -> Any:
        """For psycopg: everything that blocks goes through here, but connecting, which has a limit of its own."""
        return super().wait(self._until(gen, time.monotonic() + self.limit_s), LOOK_EVERY_S, **more)

    def _until(self, gen: Generator[Any, Any, Any], deadline: float) -> Generator[Any, Any, Any]:
        try:
            wish = next(gen)
            while True:
                ready = yield wish
                if not ready and time.monotonic() > deadline:
                    self.close()
                    raise psycopg.OperationalError(f"the server has not answered for {self.limit_s:.0f} s")
                wish = gen.send(ready)
        except StopIteration as over:
            return over.value
