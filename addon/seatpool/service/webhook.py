"""Notices as JSON to an address of the person's: `text` is what Slack and its like show."""

from urllib.parse import urlsplit

import msgspec

from seatpool.core.notices import Notice
from seatpool.providers.http import HttpRequest
from seatpool.service.desktop import NotDelivered
from seatpool.service.refresher import Sender
from seatpool.service.transport import LOOPBACK, SideCallFailed


def refusal(url: str) -> str | None:
    """Why nothing is sent to such an address; None: it may be."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "not an address"
    if parts.scheme == "https" and host:
        return None
    if parts.scheme == "http" and host in LOOPBACK:
        return None
    return "say https://..., or http:// with 127.0.0.1, [::1] or localhost"


class Webhook:
    """Sends notices to one address, which may hold a secret: it is in no log."""

    name = "webhook"

    def __init__(self, url: str, transport: Sender) -> None:
        self._url = url
        self._transport = transport

    async def deliver(self, notice: Notice) -> None:
        """Raises `NotDelivered`."""
        told = {
            "program": "seatpool",
            "kind": notice.kind.value,
            "title": notice.title,
            "text": notice.text,
            "account": notice.account,
            "until": notice.until,
        }
        headers = (("content-type", "application/json"), ("user-agent", "seatpool"))
        try:
            body = msgspec.json.encode(told)
            reply = await self._transport.send(HttpRequest("POST", self._url, headers, body, plain=True))
        except SideCallFailed as failure:
            raise NotDelivered(str(failure)) from None
        if not 200 <= reply.status < 300:
            raise NotDelivered(f"{urlsplit(self._url).hostname} answered {reply.status}")
