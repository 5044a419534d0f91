"""What a proxy can tell of a machine by looking: how its clock goes, and which programs do not trust its authority."""

import logging
from collections import deque
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic

import msgspec
from mitmproxy import http, tls

from seatpool.clock import utcnow
from seatpool.providers.registry import OWN_HOST

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 30.0
SAMPLES = 5
HALF_A_SECOND = 0.5
"""A `Date` is cut to whole seconds."""
AT_MOST = 20
"""Hosts that are remembered."""
DISTRUST = ("does not trust", "unknown ca", "bad certificate", "certificate unknown", "certificate expired")
"""In mitmproxy's and OpenSSL's words for a handshake that the client has ended because of our certificate."""


class Distrusted(msgspec.Struct):
    """Handshakes for one host that clients have refused to finish."""

    times: int
    last: datetime
    trusted_since: int = 0
    """Handshakes for it that clients have finished since the last one which they have not."""


class Seen:
    """One per proxy; nothing of it is kept."""

    def __init__(self) -> None:
        self.distrusted: dict[str, Distrusted] = {}
        self._skews_s: deque[float] = deque(maxlen=SAMPLES)
        self._heard_at: datetime | None = None
        self._look_at = 0.0

    def clock(self) -> dict[str, object] | None:
        """By how many seconds this machine's clock is ahead of the upstreams', and when that was last heard."""
        if self._heard_at is None:
            return None
        return {
            "ahead_s": round(sorted(self._skews_s)[len(self._skews_s) // 2], 1),
            "answers": len(self._skews_s),
            "heard_at": self._heard_at.isoformat(),
        }

    # -- hooks

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """An upstream has answered, and says when."""
        now = monotonic()
        if now < self._look_at or flow.response is None or "age" in flow.response.headers:
            return  # what comes out of a cache is older
        try:
            said = parsedate_to_datetime(flow.response.headers.get("date", ""))
        except ValueError:
            return  # our own answers say nothing, and must not keep us from hearing the next one
        self._look_at = now + LOOK_EVERY_S
        self._heard_at = utcnow()
        aware = said if said.tzinfo else said.replace(tzinfo=UTC)
        self._skews_s.append((self._heard_at - aware).total_seconds() - HALF_A_SECOND)

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """A client has refused the certificate that it was shown, or gone away from it."""
        words = data.conn.error or ""
        if not any(each in words for each in DISTRUST):
            return
        host = data.context.client.sni or "somewhere"
        if host == OWN_HOST:
            return  # whoever asks for that tells what it thinks of it
        known = self.distrusted.get(host)
        if known is None and len(self.distrusted) >= AT_MOST:
            return
        self.distrusted[host] = Distrusted(known.times + 1 if known else 1, utcnow())

    def tls_established_client(self, data: tls.TlsData) -> None:
        """A client has taken the certificate."""
        if self.distrusted and (known := self.distrusted.get(data.context.client.sni or "")) is not None:
            known.trusted_since += 1
