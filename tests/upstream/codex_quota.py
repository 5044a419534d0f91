"""What a fake ChatGPT account says of its quota: in headers and as a WebSocket message."""

import time
from typing import Any

from tests.upstream.world import FakeAccount

WINDOWS_S = {"primary": 18000, "secondary": 604800}


def percent(account: FakeAccount) -> dict[str, int]:
    """Percent used by window."""
    return {"primary": 20, "secondary": 5, **account.quota}


def quota_headers(account: FakeAccount) -> dict[str, str]:
    """`x-codex-*` as on an answer that went well (codex.md 3.1)."""
    fields = {
        "x-codex-active-limit": "premium",
        "x-codex-plan-type": account.plan,
        "x-codex-credits-has-credits": "False",
    }
    used = percent(account)
    for window, length_s in WINDOWS_S.items():
        fields |= {
            f"x-codex-{window}-used-percent": str(used[window]),
            f"x-codex-{window}-window-minutes": str(length_s // 60),
            f"x-codex-{window}-reset-at": str(resets_at(length_s)),
        }
    return fields


def rate_limits_event(account: FakeAccount) -> dict[str, Any]:
    """The `codex.rate_limits` message of a WebSocket (codex.md 3.2)."""
    used = percent(account)
    return {
        "type": "codex.rate_limits",
        "plan_type": account.plan,
        "metered_limit_name": "codex",
        "limit_name": None,
        "rate_limits": {
            window: {
                "used_percent": used[window],
                "window_minutes": length_s // 60,
                "reset_after_seconds": length_s // 2,
                "reset_at": resets_at(length_s),
            }
            for window, length_s in WINDOWS_S.items()
        },
        "credits": {"has_credits": False, "unlimited": False, "balance": None},
    }


def resets_at(length_s: int) -> int:
    """Unix time; every window is half over."""
    return int(time.time()) + length_s // 2
