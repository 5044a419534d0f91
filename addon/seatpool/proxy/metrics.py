"""`http://seatpool.test/metrics`: for Prometheus, which asks through the proxy (`proxy_url` of a scrape).

No other program than this machine's gets here, and a page of another origin cannot read the answer.
"""

from collections.abc import Callable

from mitmproxy import http

from seatpool.core.exposition import CONTENT_TYPE
from seatpool.proxy.own_host import page
from seatpool.service.pool import PoolService

PATH = "/metrics"
AWAY = "The pool's database is away.\n"


class Metrics:
    """One per proxy."""

    def __init__(self, service: Callable[[], PoolService | None]) -> None:
        """`service`: None while the database is away."""
        self._service = service

    def page(self, _request: http.Request) -> http.Response:
        """A scrape."""
        service = self._service()
        return page(200, service.metrics(), CONTENT_TYPE) if service is not None else page(503, AWAY)
