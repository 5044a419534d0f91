"""What the pool asks of the process that it is loaded into, before it serves anybody.

Each is harmless where it cannot be had, and says in its own file why it is wanted.
"""

import gc

from mitmproxy.master import Master

from seatpool.proxy.process import accepting, bounds, descriptors, hangup, unquoted
from seatpool.service import threads
from seatpool.service.network import reaching


def prepare(master: Master) -> None:
    """While the addon is loaded. No loop runs yet."""
    threads.spare_memory()
    descriptors.allow_many()
    unquoted.install()
    bounds.install()
    accepting.go_on(master.event_loop)
    gc.freeze()  # with what mitmproxy has made of it


def settle_in(master: Master) -> None:
    """In the loop that serves."""
    hangup.install(master)
    reaching.install()


def leave() -> None:
    """When the addon is unloaded: mitmproxy's own words are as they were, and what it unpacks."""
    unquoted.uninstall()
    bounds.uninstall()
