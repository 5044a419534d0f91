"""What an answer teaches, whichever way it came: over HTTP with its head and its end, or in the frames of a socket."""

from datetime import datetime

from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.catalogue import Draws
from seatpool.core.model import Tokens
from seatpool.core.policy import Policy
from seatpool.service.flows.bonds import Bonds
from seatpool.service.flows.places import Places
from seatpool.service.memory.knowledge import Knowledge
from seatpool.service.trail import Trail


class Lessons:
    """One per process."""

    def __init__(self, knowledge: Knowledge, places: Places, draws: Draws, bonds: Bonds, policy: Policy) -> None:
        self.policy = policy
        self._knowledge = knowledge
        self._places = places
        self._draws = draws
        self._bonds = bonds

    def succeeded(self, trail: Trail, account_id: int) -> None:
        """The account has served: what kept others from it for a guess is over."""
        self._knowledge.succeeded(account_id, trail.demand.scopes, trail.asked_at or utcnow(), trail.probe)
        trail.probe = None
        self._places.succeeded(trail, account_id, self.policy.slot_successes)

    def stays_with(self, trail: Trail, account_id: int, now: datetime) -> None:
        """The conversation is this account's."""
        self._bonds.serves(trail, account_id, now)
        self._knowledge.affinities.note(trail.facts.conversation, account_id, now)

    def told(self, trail: Trail, tokens: Tokens | None) -> None:
        """Upstream has counted what was sent, and what of it was in its cache."""
        if tokens is not None and trail.current is not None:
            known = trail.facts.conversation, trail.current.account.id
            self._knowledge.affinities.told(*known, utcnow(), tokens)

    def drew_on(self, trail: Trail, draws: tuple[str, ...] | None) -> None:
        """The buckets that the request's model draws on beside the general ones; None where nothing was said."""
        if self._draws.learn(trail.facts.model, draws):
            trail.demand = replace(trail.demand, buckets=self._draws.of(trail.facts.model))
