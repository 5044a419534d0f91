"""What a flow demands of an account under the person's rules: whom they allow, whom they would rather have."""

from collections.abc import Callable

from msgspec.structs import replace

from seatpool.core.catalogue import Draws
from seatpool.core.rules import Naming, Rule
from seatpool.core.selection import Demand
from seatpool.core.state import PoolState
from seatpool.providers.base import RequestFacts
from seatpool.service.trail import Trail, demand_of

NOBODY: frozenset[int] = frozenset()


def _no_rule(_: RequestFacts) -> Rule | None:
    return None


class Ruling:
    """One per process."""

    def __init__(self, state: PoolState, draws: Draws) -> None:
        self._state = state
        self._draws = draws
        self._naming = Naming()
        self.rule_of: Callable[[RequestFacts], Rule | None] = _no_rule
        """Set by the addon: the rule that would decide about such a request."""

    def demand(self, facts: RequestFacts, rule: Rule | None, *, substitute: bool = False) -> Demand:
        """What these facts demand. `rule` is that of what the editor asked for, for its substitutes as well.

        Should a rule with `only` decide about the substitute, then nobody may serve who is not named there, too.
        """
        found = self._under(demand_of(facts, self._draws.of(facts.model)), rule)
        own = self.rule_of(facts) if substitute else None
        if own is None or not own.binding:
            return found
        named = self._ids(own, found)
        return replace(found, only=named if found.only is None else named & found.only)

    def put(self, trail: Trail, rule: Rule | None) -> None:
        """Have a flow follow a rule from now on."""
        trail.rule = rule
        if trail.asked is not None:
            trail.demand = self.demand(trail.facts, rule, substitute=True)
        else:
            trail.demand = self._under(trail.demand, rule)

    def _under(self, demand: Demand, rule: Rule | None) -> Demand:
        if rule is None:
            return replace(demand, only=None, prefer=NOBODY) if demand.only is not None or demand.prefer else demand
        ids = self._ids(rule, demand)
        return replace(demand, only=ids, prefer=NOBODY) if rule.binding else replace(demand, only=None, prefer=ids)

    def _ids(self, rule: Rule, demand: Demand) -> frozenset[int]:
        state = self._state
        return self._naming.ids(rule.only or rule.prefer, demand.provider, state.accounts, state.names_version)
