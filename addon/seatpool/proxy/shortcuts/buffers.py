"""A connection that waits has no buffers of TLS.

OpenSSL keeps 17 KiB for each direction of each connection, unless it is told to give back what is empty. Of an editor's
many connections nearly all wait, most of the time, and each has one upstream.

It puts itself in the place of the two functions of mitmproxy that make contexts, and stands aside where these are not
the ones it knows. A context takes no wish any more once it was used, so there is no later moment for it.
"""

import logging
from collections.abc import Callable
from functools import lru_cache, update_wrapper
from typing import Any

from mitmproxy.net import tls
from OpenSSL import SSL

logger = logging.getLogger(__name__)

MAKERS = ("create_client_proxy_context", "create_proxy_server_context")
SPARING = "seatpool_sparing"
"""Attribute of what was put in their places."""

Maker = Callable[..., SSL.Context]


def install() -> bool:
    """For whatever context is made from now on. False, with nothing done, where mitmproxy is not as expected."""
    makers = {name: getattr(tls, name, None) for name in MAKERS}
    if all(hasattr(maker, SPARING) for maker in makers.values()):
        return True
    if not all(hasattr(maker, "cache_parameters") for maker in makers.values()):
        logger.info("action=plain-buffers reason=unknown-contexts")
        return False
    for name, maker in makers.items():
        setattr(tls, name, sparing(maker))
    return True


def sparing(maker: Any) -> Maker:
    """A cached function that makes contexts, with as large a cache, whose contexts give back what is empty."""
    original: Maker = maker.__wrapped__

    def make(**how: Any) -> SSL.Context:
        context = original(**how)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        return context

    cached: Maker = lru_cache(**maker.cache_parameters())(update_wrapper(make, original))
    setattr(cached, SPARING, True)
    return cached
