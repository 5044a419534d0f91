"""What end-to-end tests, the demo and the benchmark share.

namespace         `Lab`: a private network in which the fakes answer to their real names
                  (`namespaces_allowed`, `why_no_namespaces`)
mitmdump          `Mitmdump`: a real mitmdump with the pool, or bare
clients           `Network`: HTTP/1.1, HTTP/2 and WebSocket clients through a proxy; `curl`
browser           `Chromium`: a real browser without a screen, driven over its debugging pipe
incoming          an answer as it arrives, with times
elapsing          time that goes by for leases
marks             `needs_namespaces`, for tests
"""

from tests.harness.browser import Chromium, find_chromium
from tests.harness.clients import Network, TunnelRefused, curl
from tests.harness.incoming import BrokenOff, Event, Incoming
from tests.harness.mitmdump import POOL_ADDON, Mitmdump
from tests.harness.namespace import REPOSITORY, Lab, namespaces_allowed, why_no_namespaces
from tests.harness.websocket_client import Dropped, HandshakeRefused, WebSocketClient

__all__ = [
    "POOL_ADDON",
    "REPOSITORY",
    "BrokenOff",
    "Chromium",
    "Dropped",
    "Event",
    "HandshakeRefused",
    "Incoming",
    "Lab",
    "Mitmdump",
    "Network",
    "TunnelRefused",
    "WebSocketClient",
    "curl",
    "find_chromium",
    "namespaces_allowed",
    "why_no_namespaces",
]
