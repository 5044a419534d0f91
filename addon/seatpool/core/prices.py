"""What tokens would have cost, had they been bought one by one."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from seatpool.core.model import Tokens

MILLION = 1_000_000
_DATED = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2})$")


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """USD for a million tokens."""

    input: float
    output: float
    cached: float | None = None
    """Of input that was read from a prompt cache; None: as any other."""
    written: float | None = None
    """Of input that was put into one; None: as any other."""

    def cost(self, tokens: Tokens) -> float | None:
        """USD; None where neither input nor output is known. Reasoning is output."""
        if tokens.input is None and tokens.output is None:
            return None
        cached, written = tokens.cached or 0, tokens.written or 0
        plain = max(0, (tokens.input or 0) - cached - written)
        return (
            plain * self.input
            + cached * (self.cached if self.cached is not None else self.input)
            + written * (self.written if self.written is not None else self.input)
            + (tokens.output or 0) * self.output
        ) / MILLION


class Prices(msgspec.Struct, frozen=True):
    """A list of prices."""

    date: str
    """When it was valid: `2026-11-21`."""
    by_model: Mapping[str, Price] = MappingProxyType({})
    """By `plain_name`."""

    def of(self, model: str | None) -> Price | None:
        """None: it has none that is known."""
        return self.by_model.get(plain_name(model)) if model is not None else None


class _File(msgspec.Struct):
    date: Any
    models: dict[str, Price]


def read(fields: object) -> Prices:
    """A price file's contents, parsed. `ValueError` in one line where they are no price list."""
    stated = msgspec.convert(fields, _File)
    if any(min(p.input, p.output, p.cached or 0.0, p.written or 0.0) < 0 for p in stated.models.values()):
        raise ValueError("a price is below zero")
    return Prices(str(stated.date), {plain_name(name): price for name, price in stated.models.items()})


def plain_name(model: str) -> str:
    """The same for `claude-sonnet-4.6`, `claude-sonnet-4-6` and `claude-sonnet-4-6-20260101`."""
    return _DATED.sub("", model.lower()).replace(".", "-")
