"""Who exists at the fakes."""

from typing import Any

from tests.e2e.conftest import ACCOUNTS as EDITORS

CODEX = tuple(f"codex{letter}" for letter in "abcdef")
COPILOT = tuple(f"copilot{letter}" for letter in "abc")
DELTAS, SIZE = 12, 60
"""Of each answer, and the characters of each delta."""


def script() -> dict[str, Any]:
    """As `World.from_script` reads it."""
    accounts: dict[str, Any] = {name: {"provider": "codex"} for name in CODEX}
    accounts |= {name: {"provider": "copilot", "plan": "individual"} for name in COPILOT}
    accounts |= {name: EDITORS[name] for name in ("editor", "emma")}
    # Nothing is told of quota: an answer that had begun before its account was limited would contradict the limit.
    answer = {"kind": "ok", "deltas": DELTAS, "gap_ms": 25, "size": SIZE, "rate_limits": False}
    return {"accounts": accounts, "behaviours": [answer]}
