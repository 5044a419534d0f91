"""What clients are told of quota: put into what goes out to them, once the pool has read what came."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mitmproxy import http
from mitmproxy.websocket import WebSocketMessage

from seatpool.core.model import ProviderName
from seatpool.core.shown import Showing
from seatpool.providers.base import Provider
from seatpool.proxy.hiding import FieldList
from seatpool.service.pool import PoolService
from seatpool.service.trail import Trail

if TYPE_CHECKING:
    from seatpool.providers.showing import Dialect
    from seatpool.service.telling.shown import ShownQuota

logger = logging.getLogger(__name__)

FIRST_REFUSAL = 400
"""From here on numbers tell why: they stay."""


class ClientQuota:
    """One per proxy, where the person wants other numbers than upstream's."""

    def __init__(self, shown: "ShownQuota", dialects: "Mapping[ProviderName, Dialect]") -> None:
        self._shown = shown
        self._dialects = dialects

    def head(self, trail: Trail, status: int, fields: FieldList) -> FieldList:
        """The head of an answer, as the client is to read it."""
        if status >= FIRST_REFUSAL:
            return fields
        shown, dialect = self._shown.of(trail), self._dialects[trail.facts.route.provider]
        came = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]
        if shown is None:
            self._shown.note(trail, dialect.sizes(came))
            return fields
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in dialect.head(came, shown)]

    def message(self, trail: Trail, message: WebSocketMessage) -> None:
        """An upstream's message that is about to be passed on."""
        if message.dropped:
            return
        shown, dialect = self._shown.of(trail), self._dialects[trail.facts.route.provider]
        if shown is None:
            self._shown.note(trail, dialect.message_sizes(message.content))
            return
        told = dialect.message(message.content, shown)
        if told is None:
            message.drop()
        elif told is not message.content:
            message.content = told

    def look_up(self, provider: Provider, flow: http.HTTPFlow) -> None:
        """The whole answer to a question that an editor asks with its own login."""
        request, response, dialect = flow.request, flow.response, self._dialects[provider.name]
        if response is None or response.status_code != 200 or response.stream:
            return
        shown = self._shown.pool(provider.name) if dialect.looks_up(request.method, request.path) else None
        content = response.get_content(strict=False) if shown is not None else None
        if shown is None or not content:
            return
        told = dialect.look_up(content, shown)
        if told is not content:
            response.content = told
            response.headers.pop("etag", None)  # it names the answer as it was


def client_quota(showing: str, service: PoolService | None) -> ClientQuota | None:
    """None where clients read what came: then nothing stands in its way."""
    if service is None or showing == Showing.UPSTREAM:
        return None
    # Loaded by those who wish for it: most see what came.
    from seatpool.providers.showing import DIALECTS
    from seatpool.service.telling.shown import ShownQuota

    return ClientQuota(ShownQuota(service.knowledge.state, Showing(showing)), DIALECTS)
