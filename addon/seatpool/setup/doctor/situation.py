"""Under which circumstances is looked: everything that a check may depend on, so that a test can make it up."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from seatpool.setup import shell
from seatpool.setup.address import Address
from seatpool.setup.authority import Authority
from seatpool.setup.doctor.asking import Proxy, Told
from seatpool.setup.doctor.finding import Mend, theirs
from seatpool.setup.editors import Person, Wish
from seatpool.setup.shell import Shell
from seatpool.setup.trust import Machine


class Once[T]:
    """What several checks want to know is asked once."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._known: list[T] = []

    def __call__(self) -> T:
        """The answer."""
        with self._lock:
            if not self._known:
                self._known.append(self._ask())
            return self._known[0]


class Situation(msgspec.Struct, frozen=True):
    """This machine, this shell, and the proxy that is asked."""

    now: datetime
    address: Address
    """Where the proxy is looked for."""
    wish: Wish
    """What clients should be told."""
    own_host: str
    """What the proxy answers itself."""
    examples: tuple[str, ...]
    """Such hosts, one of each kind."""
    names: tuple[str, ...]
    """What the authority has to be for."""
    authority: Authority
    is_stranger: Callable[[str], bool]
    """Whether this version does not know a host that looks like a provider's."""
    about: Callable[[], Told]
    """What the proxy tells of itself."""
    person: Person = msgspec.field(default_factory=Person)
    machine: Machine = msgspec.field(default_factory=Machine)

    @property
    def environ(self) -> Mapping[str, str]:
        """Of the shell that asks."""
        return self.person.environ

    @property
    def shell(self) -> Shell:
        """That commands are for."""
        return shell.of(self.machine.system)

    @property
    def start(self) -> Mend:
        """What makes a proxy listen there."""
        return theirs("seatpool run" if self.address.port == 8080 else f"seatpool run --port {self.address.port}")

    @property
    def proxy(self) -> Proxy:
        """The way through it."""
        return Proxy(self.address, self.own_host)

    @property
    def running(self) -> dict[str, Any] | None:
        """What a proxy of ours tells of itself; None where there is none."""
        return self.about().told
