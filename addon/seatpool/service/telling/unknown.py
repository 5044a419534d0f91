"""Refusals that no table knows: said once for each kind, so that somebody hears of them. `status` counts them."""

import logging

from seatpool.core.model import ProviderName
from seatpool.core.outcome import Outcome

logger = logging.getLogger(__name__)

AT_MOST = 100
"""Kinds that are told of; an upstream that makes codes up does not fill the log."""


class Unknown:
    """What this process has told of."""

    def __init__(self) -> None:
        self._told: set[tuple[ProviderName, int | None, str]] = set()

    def note(self, provider: ProviderName, outcome: Outcome) -> None:
        """Such a refusal has come."""
        kind = (provider, outcome.status, outcome.code)
        if outcome.unknown and kind not in self._told and len(self._told) < AT_MOST:
            self._told.add(kind)
            logger.warning(
                "action=unknown-refusal provider=%s status=%s code=%s: no table has it; `seatpool status` counts them",
                *kind,
            )
