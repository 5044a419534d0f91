"""Fake upstreams: real TLS servers on loopback that speak as chatgpt.com and GitHub Copilot do, scripted per account.

hosts       which names there are, and which fake answers for which
certs       the CA and the one certificate that names them all
tokens      secrets that name their owner and hold the marker FAKESECRET
logins      sign-in files as the real programs write them
world       accounts and behaviours: who is refused, cut off or kept waiting, and for how long
journal     what was asked, by whom, and how it was answered
wire, http1, http2, websocket    bytes
dialogue    what a model's answer looks like in each dialect
refusals    what a refusal looks like in each dialect
signins     who signs in, and what they decide
doors       addresses where a connection comes to nothing
exchange, sockets, codex, codex_signin, copilot, copilot_signin    the routes
server      the listener
control     orders to a running fake, over a Unix socket
"""

from tests.upstream.certs import Certificates, make_certificates
from tests.upstream.control import Control, ControlServer
from tests.upstream.hosts import FAKE_HOSTS
from tests.upstream.journal import Journal
from tests.upstream.logins import codex_auth, codex_login, copilot_login
from tests.upstream.server import Upstream
from tests.upstream.world import Behaviour, FakeAccount, World

__all__ = [
    "FAKE_HOSTS",
    "Behaviour",
    "Certificates",
    "Control",
    "ControlServer",
    "FakeAccount",
    "Journal",
    "Upstream",
    "World",
    "codex_auth",
    "codex_login",
    "copilot_login",
    "make_certificates",
]
