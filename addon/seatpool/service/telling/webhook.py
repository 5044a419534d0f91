"""Notices as JSON to an address of the person's.

The same words have several names, since each receiver looks for its own and passes the others over: `text` is for
Slack, Mattermost and Rocket.Chat, `content` for Discord ("cannot send an empty message" without), `message` for Gotify.
"""

from urllib.parse import urlsplit

import msgspec

from seatpool.core.notices import Notice
from seatpool.providers.http import HttpRequest
from seatpool.service.logins.refresher import Sender
from seatpool.service.network.transport import LOOPBACK, SideCallFailed
from seatpool.service.telling.desktop import NotDelivered

STRICT = frozenset({"chat.googleapis.com"})
"""Hosts that refuse a message with anything but `text` in it (400, "Unknown name"): Google Chat's."""


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


def said(notice: Notice, host: str | None) -> dict[str, object]:
    """What such a host gets."""
    if host in STRICT:
        return {"text": notice.text}
    words = dict.fromkeys(("text", "content", "message"), notice.text)
    return {
        "program": "seatpool",
        "kind": notice.kind.value,
        "title": notice.title,
        **words,
        "account": notice.account,
        "until": notice.until,
    }


class Webhook:
    """Sends notices to one address, which may hold a secret: it is in no log."""

    name = "webhook"

    def __init__(self, url: str, transport: Sender) -> None:
        self._url = url
        self._transport = transport

    async def deliver(self, notice: Notice) -> None:
        """Raises `NotDelivered`."""
        headers = (("content-type", "application/json"), ("user-agent", "seatpool"))
        try:
            body = msgspec.json.encode(said(notice, urlsplit(self._url).hostname))
            reply = await self._transport.send(HttpRequest("POST", self._url, headers, body, plain=True))
        except SideCallFailed as failure:
            raise NotDelivered(str(failure)) from None
        if not 200 <= reply.status < 300:
            raise NotDelivered(f"{urlsplit(self._url).hostname} answered {reply.status}")
