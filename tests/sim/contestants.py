"""Every way to choose that is compared, by name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from seatpool.core.policy import Policy
from seatpool.core.strategy import Strategy
from tests.sim.pool import Pool
from tests.sim.reference import Reference, Sticky
from tests.sim.routing import RoundRobin, Router
from tests.sim.scenario import World

DEFAULT = str(Policy().strategy)
REFERENCE = "reference"
REFERENCE_AUTO = "reference-auto"
ROTATION = "rotation"


def _of(strategy: Strategy) -> Callable[[World], Router]:
    return lambda made: Pool(made, Policy(strategy=strategy))


CONTESTANTS: Mapping[str, Callable[[World], Router]] = MappingProxyType(
    {
        **{str(strategy): _of(strategy) for strategy in Strategy},
        REFERENCE: Reference,
        REFERENCE_AUTO: lambda made: Reference(made, Sticky.AUTO),
        ROTATION: lambda made: RoundRobin(len(made.seats)),
    }
)
"""The product's strategies; the prior scorer as it comes, and with its other stickiness; rotation without affinity."""
