"""Python, mitmproxy, and what of mitmproxy's inner parts is relied on."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator

from seatpool.setup.code import MITMPROXY, PACKAGE
from seatpool.setup.doctor.finding import Finding, problem, theirs, warning, well
from seatpool.setup.doctor.situation import Situation

LEAST = (3, 12)
FITTING = "seatpool.proxy.fitting"
"""A program, not a module to import: mitmproxy is loaded by proxies alone."""
INSTALL = f"{sys.executable} -m pip install '{MITMPROXY}'"


def python(_situation: Situation) -> Iterator[Finding]:
    """The one that runs this."""
    shown = f"Python {platform.python_version()}, {sys.executable}"
    if sys.version_info < LEAST:
        yield problem(f"{shown}: seatpool needs 3.12 or newer", theirs("install Python 3.12 or newer"))
    else:
        yield well(shown)


def mitmproxy(_situation: Situation) -> Iterator[Finding]:
    """Loaded in a process of its own."""
    path = os.pathsep.join((str(PACKAGE.parent), os.environ.get("PYTHONPATH", ""))).rstrip(os.pathsep)
    ran = subprocess.run(  # noqa: S603 # our own interpreter and module
        [sys.executable, "-P", "-m", FITTING],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        told = json.loads(ran.stdout)
    except ValueError:
        last = (ran.stderr.strip().splitlines() or ["no reason given"])[-1]
        yield problem(f"mitmproxy cannot be loaded: {last}", theirs(INSTALL))
        return
    if told["missing"]:
        said = "; ".join(told["missing"])
        yield problem(f"mitmproxy {told['mitmproxy']} does not fit the replay layer: {said}", theirs(INSTALL))
    elif told["aside"]:
        yield warning(
            f"mitmproxy {told['mitmproxy']} is not as its shortcuts expect it ({', '.join(told['aside'])}):"
            " they stand aside, and requests take longer",
            theirs(INSTALL),
        )
    else:
        yield well(f"mitmproxy {told['mitmproxy']}, all {told['seams']} inner parts as they should be")
