"""Which clients come through the proxy, what they read for it, and how that is written and taken back.

    from seatpool.setup.editors import Person, default_wish, targets

    for target in targets():
        target.state(Person(), default_wish())      # State.CONFIGURED | NOT_CONFIGURED | ELSEWHERE | ABSENT
        target.findings(Person(), default_wish())   # the same for each file, with the proxy that it names
        target.mend                                 # "seatpool setup codex"

Asking changes nothing. `change` plans and writes, `journal` remembers what to take back, `catalogue` is the data.
"""

from seatpool.setup import address
from seatpool.setup.authority import TRUSTED, default_folder
from seatpool.setup.bundle import BUNDLE
from seatpool.setup.editors.catalogue import TARGETS
from seatpool.setup.editors.model import Finding, Person, Spot, State, Target, Wish

__all__ = ["Finding", "Person", "Spot", "State", "Target", "Wish", "default_wish", "targets"]


def targets() -> tuple[Target, ...]:
    """In the order in which a person is told of them."""
    return TARGETS


def default_wish(proxy: str | None = None) -> Wish:
    """The proxy as `seatpool run` starts it, or another one; this person's authority. Raises `address.NoProxy`."""
    folder = default_folder()
    return Wish(address.parse(proxy or address.proxy_url()), folder / TRUSTED, folder / BUNDLE)
