"""A case, and what can be said of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

HUNG = "hangs"
"""Outcome of a case in which nothing happened any more."""


@dataclass(frozen=True, slots=True)
class Case[Peer]:
    """One case. Its function tells in a word or two what its peer saw."""

    id: str
    reason: str
    right: tuple[str, ...]
    """Outcomes that the RFC allows; one that ends in `*` stands for all that begin so."""
    run: Callable[[Peer], Awaitable[str]]

    def allows(self, outcome: str) -> bool:
        """Whether an outcome is right."""
        return any(outcome.startswith(r[:-1]) if r.endswith("*") else outcome == r for r in self.right)


class Table[Peer]:
    """Gathers cases: `@table("5.1/1", "why", "goaway PROTOCOL_ERROR")` above a function."""

    def __init__(self) -> None:
        self.cases: list[Case[Peer]] = []

    def __call__(
        self, number: str, reason: str, *right: str
    ) -> Callable[[Callable[[Peer], Awaitable[str]]], Callable[[Peer], Awaitable[str]]]:
        """Add what is decorated."""

        def add(run: Callable[[Peer], Awaitable[str]]) -> Callable[[Peer], Awaitable[str]]:
            self.cases.append(Case(number, reason, right, run))
            return run

        return add
