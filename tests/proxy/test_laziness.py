"""What is not asked for is not paid for: a proxy loads neither the page nor what tells a person, rules or logins."""

import subprocess
import sys

from tests.harness import REPOSITORY

LATER = (
    *("seatpool.page", "seatpool.core.outlook", "seatpool.core.report", "seatpool.core.story", "seatpool.core.tail"),
    *("seatpool.core.rulefile", "tomllib"),
    *("seatpool.providers.showing", "seatpool.providers.copilot.login"),
)
PROGRAM = f"""
import sys
from mitmproxy.test import taddons
from seatpool.proxy.addon import Pool
taddons.context(Pool())
print(*sorted(name for name in sys.modules if name.startswith({LATER})), sep=", ")
"""


def test_nothing_of_it_is_loaded_with_the_proxy() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": str(REPOSITORY / "addon")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == ""
