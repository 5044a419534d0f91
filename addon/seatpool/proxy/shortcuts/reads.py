"""A read takes as much memory as mitmproxy takes of it at once.

For each read of a socket asyncio takes 256 KiB, and cuts that down to what has come. The C library has pieces of that
size from the system: a mapping, page faults and an unmapping for every read. mitmproxy takes 64 KiB at a time.

It sets an attribute that asyncio does not promise to keep, and stands aside where that is another.
"""

import logging
from asyncio import selector_events

logger = logging.getLogger(__name__)

READ = 64 * 1024
"""Bytes that mitmproxy reads at once."""
USUAL = 256 * 1024
"""What asyncio takes by itself."""


def install() -> bool:
    """For every connection from now on. False, with nothing done, where asyncio is not as expected."""
    transport = getattr(selector_events, "_SelectorSocketTransport", None)
    found = getattr(transport, "max_size", None)
    if transport is None or found not in (READ, USUAL):
        logger.info("action=plain-reads reason=unknown-transport")
        return False
    transport.max_size = READ
    return True
