"""What a running proxy tells of itself, at `https://seatpool.test/about`: for `seatpool doctor`. Never a credential."""

import os
import platform
from collections.abc import Callable, Mapping

import msgspec
from mitmproxy import ctx, http, version

import seatpool
from seatpool.clock import utcnow
from seatpool.proxy.counting import Counting
from seatpool.proxy.own_host import page
from seatpool.proxy.page import Page
from seatpool.proxy.seen import Seen
from seatpool.setup.code import PACKAGE, stamp

PATH = "/about"


class About:
    """Knows from the start what may change in the files since."""

    def __init__(
        self, seen: Seen, counted: Mapping[str, Counting], database: Callable[[], str | None], shown: Page
    ) -> None:
        """`counted`: what is not known, by kind. `database`: None while it cannot be opened."""
        self._seen = seen
        self._counted = counted
        self._database = database
        self._shown = shown
        self._code = stamp()
        self._started = utcnow()

    def page(self, _request: http.Request) -> http.Response:
        """As JSON."""
        store = ctx.master.addons.get("tlsconfig").certstore
        servers = ctx.master.addons.get("proxyserver")
        told = {
            "program": "seatpool",
            "version": seatpool.__version__,
            "code": self._code,
            "package": str(PACKAGE),
            "pid": os.getpid(),
            "started_at": self._started.isoformat(),
            "python": platform.python_version(),
            "mitmproxy": version.VERSION,
            "database": self._database(),
            "confdir": ctx.options.confdir,
            "issuing_sha256": store.default_ca.fingerprint().hex(),
            "modes": list(ctx.options.mode),
            "listening": [f"{host}:{port}" for host, port, *_ in servers.listen_addrs()],
            "page": self._shown.addresses,
            "viewers": self._shown.viewers,
            "on_failure": ctx.options.pool_on_failure,
            "rules": ctx.options.pool_rules,
            "clock": self._seen.clock(),
            "unwritten": {kind: counting.unwritten for kind, counting in self._counted.items()},
            "distrusted": [
                {"host": host, "times": each.times, "last": each.last.isoformat(), "trusted_since": each.trusted_since}
                for host, each in self._seen.distrusted.items()
            ],
        }
        return page(200, msgspec.json.encode(told), "application/json")
