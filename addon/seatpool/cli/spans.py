"""Lengths of time as a person says them."""

from seatpool.core.spans import ago, closely, span

__all__ = ["ago", "closely", "span"]
