"""Whoever does not look at the page does not pay for it."""

import subprocess
import sys

from tests.harness import REPOSITORY

PROGRAM = """
import sys
from mitmproxy.test import taddons
from seatpool.proxy.addon import Pool
taddons.context(Pool())
print(sorted(name for name in sys.modules if name.startswith(("seatpool.page", "seatpool.core.outlook", "html"))))
"""


def test_nothing_of_it_is_loaded_with_the_proxy() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": str(REPOSITORY / "addon")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "seatpool" not in ran.stdout, ran.stdout
