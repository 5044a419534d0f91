"""What every provider can show instead of the numbers that came."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from seatpool.core.model import ProviderName, QuotaWindow
from seatpool.core.shown import Member, Shown
from seatpool.providers.codex import shown as codex
from seatpool.providers.copilot import shown as copilot


class Dialect(Protocol):
    """How a provider's clients are told of quota. Nothing here raises on malformed input."""

    def pooled(self, members: Iterable[Member], now: datetime) -> dict[str, QuotaWindow]:
        """What several accounts have left, by bucket."""

    def head(self, came: Sequence[tuple[str, str]], shown: Shown) -> list[tuple[str, str]]:
        """The header fields of an answer that is no refusal; of what nothing is known there is none."""

    def sizes(self, came: Sequence[tuple[str, str]]) -> dict[str, float]:
        """How much the account has in all that gave this answer, by bucket; where the head tells it."""

    def message_sizes(self, content: bytes) -> dict[str, float]:
        """The same of an upstream's message."""

    def message(self, content: bytes, shown: Shown) -> bytes | None:
        """An upstream's message: the very same object where it tells nothing, None where it is better not sent."""

    def looks_up(self, method: str, path: str) -> bool:
        """Whether a request, which nobody but the editor's own login answers, asks for quota."""

    def look_up(self, content: bytes, shown: Shown) -> bytes:
        """The answer to it, with other numbers; the very same object where it is none."""


DIALECTS: Mapping[ProviderName, Dialect] = MappingProxyType({ProviderName.CODEX: codex, ProviderName.COPILOT: copilot})
