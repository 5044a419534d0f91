"""A terminal that is closed ends the proxy as Ctrl-C does: what is under way is finished, and stored.

Left alone, SIGHUP ends it at once. A refresh token is good once: one that comes just then is lost, and its account with
it. mitmproxy sees to SIGINT and SIGTERM only.

Windows has no such signal. It would wait for a handler of its own (CTRL_CLOSE_EVENT), but ends the launchers by which a
virtual environment starts Python there, and they take it along (python/cpython#96289).
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress

from mitmproxy.master import Master

OUTPUTS = (1, 2)


def install(master: Master) -> None:
    """Where there is such a signal, and nobody has said what it is to do: `nohup` has."""
    hangup = getattr(signal, "SIGHUP", None)  # none on Windows
    if hangup is not None and signal.getsignal(hangup) is signal.SIG_DFL:
        terminals = [output for output in OUTPUTS if os.isatty(output)]
        asyncio.get_running_loop().add_signal_handler(hangup, _end, master, terminals)


def _end(master: Master, terminals: Sequence[int]) -> None:
    """mitmproxy exits at once when a line cannot be written any more, so lines to what is gone go nowhere."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for output in terminals:
            os.dup2(nowhere, output)
        os.close(nowhere)
    master.shutdown()
