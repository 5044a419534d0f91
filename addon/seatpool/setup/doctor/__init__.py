"""What a person's machine is like, as far as the proxy and its clients depend on it: looked at, never changed.

Each check is a small function from a `Situation` to findings, in the file of its idea; `CHECKS` is the table. Those
that need the database or the rules are in `cli`, which tells and mends. `running` looks after time and crashes, and
`words` says what programs mean that refuse the proxy.
"""

from seatpool.setup.doctor import authority, clients, clock, environment, hosts, interpreter, port, selftest
from seatpool.setup.doctor.check import Check
from seatpool.setup.doctor.finding import Finding, Level, Mend, problem, warning, well
from seatpool.setup.doctor.situation import Situation

__all__ = ["CHECKS", "Check", "Finding", "Level", "Mend", "Situation", "problem", "warning", "well"]

CHECKS = (
    Check("interpreter", interpreter.python),
    Check("mitmproxy", interpreter.mitmproxy, limit_s=30),
    Check("port", port.port),
    Check("version", port.version),
    Check("authority", authority.authority),
    Check("trust", authority.trust, limit_s=60),
    Check("authority-in-use", authority.in_use),
    Check("https", selftest.https),
    Check("websocket", selftest.websocket),
    Check("clients", clients.clients),
    Check("environment", environment.environment),
    Check("clock", clock.clock),
    Check("unknown-hosts", hosts.unknown),
    Check("unknown-paths", hosts.unknown_paths),
    Check("distrust", hosts.distrust),
)
