"""Whether the database is there: said once in the log when it goes, and once when it is back.

Two find out: the follower, which reads a few times a second, and the writer, which goes on trying while writes fail.
"""

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

AGAIN_S = 600.0
"""While it stays away, that is said again so often."""


class Health:
    """One per process."""

    def __init__(self) -> None:
        self.problem: str | None = None
        """Why the database is away, in one line; None where it is there."""
        self.tell: Callable[[str | None], None] = _nobody
        """Called with every change of it."""
        self._since = self._said_at = 0.0

    def see(self, problem: str | None, waiting: int, dropped: int) -> None:
        """What was found now; `waiting` rows are still to be written, `dropped` are lost since it went."""
        now = time.monotonic()
        if problem is not None and (self.problem is None or now - self._said_at >= AGAIN_S):
            self._said_at = now
            logger.warning("action=database-away waiting=%d reason=%s; what is in memory goes on", waiting, problem)
        if (problem is None) == (self.problem is None):
            return
        if problem is None:
            logger.warning("action=database-back away_s=%.0f lost=%d", now - self._since, dropped)
        self._since = now
        self.problem = problem
        self.tell(problem)


def _nobody(_problem: str | None) -> None:
    pass
