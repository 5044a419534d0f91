"""Whether this machine knows what time it is: cooldowns, tokens and certificates all go by it.

Compared with the `Date` of answers that the proxy has seen; before there is one, the system says whether it follows a
time server.
"""

import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

from seatpool.setup.doctor.finding import Finding, problem, theirs, warning, well
from seatpool.setup.doctor.situation import Situation

NOTICED_S = 60
"""A throttle is seconds long, and would be waited out wrongly."""
HARMFUL_S = 300
"""Tokens are renewed so long before their end (service/logins/refresher.py)."""
SETTING = {
    "Linux": "sudo timedatectl set-ntp true",
    "Darwin": "sudo sntp -sS time.apple.com",
    "Windows": "w32tm /resync",
}


def clock(situation: Situation) -> Iterator[Finding]:
    """What is known of it."""
    mend = theirs(SETTING.get(situation.machine.system, "set the clock"))
    heard = (situation.running or {}).get("clock")
    if heard is None:
        follows = _follows_a_server()
        if follows is None:
            yield well(f"it is {situation.now:%Y-%m-%d %H:%M} UTC here; nothing has been heard to compare it with")
        elif follows:
            yield well("the system says that its clock follows a time server")
        else:
            yield warning("the system says that its clock follows no time server", mend)
        return
    ahead_s = float(heard["ahead_s"])
    which = "ahead of" if ahead_s > 0 else "behind"
    text = f"this machine's clock is {_span(abs(ahead_s))} {which} the providers'"
    if abs(ahead_s) >= HARMFUL_S:
        yield problem(f"{text}: tokens and certificates are taken for over, or are not taken yet", mend)
    elif abs(ahead_s) >= NOTICED_S:
        yield warning(f"{text}: limits are waited out too long or too short", mend)
    else:
        at = datetime.fromisoformat(heard["heard_at"]).astimezone(UTC)
        yield well(f"this machine's clock agrees with the providers' (their answer of {at:%H:%M} UTC)")


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _follows_a_server() -> bool | None:
    if platform.system() != "Linux":
        return None
    try:
        ran = subprocess.run(
            ["timedatectl", "show", "--property=NTPSynchronized", "--value"],  # noqa: S607 # wherever it is here
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(ran.stdout.strip())
