"""One cell is one fault on one wire of one provider. It has two accounts of its own, so that all can go on at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.faults.faults import GROUPS, Doing, Fault, Wire, plain
from tests.upstream.doors import Door

PROVIDERS = ("codex", "copilot")
ROUTES: Mapping[tuple[str, bool], str] = {
    ("codex", False): "responses",
    ("codex", True): "responses",
    ("copilot", False): "chat-completions",
    ("copilot", True): "responses",
}
"""Names at the fakes, by provider and whether it is a WebSocket."""
_PLACES = {Wire.HTTP1: "request", Wire.HTTP2: "request", Wire.HANDSHAKE: "handshake", Wire.TURN: "frame"}


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One of the matrix."""

    number: int
    fault: Fault
    wire: Wire
    provider: str

    @property
    def id(self) -> str:
        """For test ids."""
        return f"{self.fault.name}-{self.wire.name.lower()}-{self.provider}"

    @property
    def client(self) -> str:
        """What its editor calls itself: a rule gives it the accounts."""
        return f"c{self.number}"

    @property
    def accounts(self) -> tuple[str, str]:
        """The first is asked first."""
        return f"c{self.number}a", f"c{self.number}b"

    @property
    def socket(self) -> bool:
        """Whether it asks over a WebSocket."""
        return self.wire in (Wire.HANDSHAKE, Wire.TURN)

    @property
    def route(self) -> str:
        """Its name at the fakes."""
        return ROUTES[self.provider, self.socket]

    @property
    def doing(self) -> Doing:
        """What goes wrong."""
        doing = self.fault.codex if self.provider == "codex" else self.fault.copilot
        assert doing is not None
        return doing

    def world(self) -> dict[str, dict[str, Any]]:
        """Its accounts, for the fakes."""
        first, second = self.accounts
        return {first: self._account(bad=True), second: self._account(bad=self.fault.everybody)}

    def rule(self) -> str:
        """TOML that gives its editor its accounts, and no others."""
        accounts = ", ".join(f'"{name}"' for name in self.accounts)
        return f'[[rule]]\nname = "{self.client}"\nclient = ["{self.client}"]\nonly = [{accounts}]\n'

    def _account(self, *, bad: bool) -> dict[str, Any]:
        account: dict[str, Any] = {"provider": self.provider}
        if bad and isinstance(self.doing, Door):
            served = (
                {"origin": self.doing.codex_origin} if self.provider == "codex" else {"plan": self.doing.copilot_plan}
            )
            return account | served
        if bad and not isinstance(self.doing, Door):
            where = {"route": self.route, "on": [_PLACES[self.wire]]}
            warm = {"reused": True} if self.fault.warm else {}
            good = [{"kind": "ok", "first": 1, **where}] if self.fault.second else []
            return account | {"behaviours": [*good, {**plain(self.doing), **where, **warm}]}
        return account


def _all() -> Iterator[tuple[Fault, Wire, str]]:
    for faults in GROUPS.values():
        for fault in faults:
            for provider in PROVIDERS:
                if (fault.codex if provider == "codex" else fault.copilot) is not None:
                    yield from ((fault, wire, provider) for wire in fault.wires)


CELLS: tuple[Cell, ...] = tuple(Cell(number, *which) for number, which in enumerate(_all()))
