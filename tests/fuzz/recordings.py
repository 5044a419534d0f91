"""Flows that are recorded: the first message is the request (`GET example.com /path`), the others are its answers."""

import msgspec

from seatpool.providers.recording import known
from seatpool.providers.recording.contents import content_of, pieces_of
from seatpool.providers.recording.fixtures import fixtures
from seatpool.providers.recording.flows import EVENTS, Flow, Piece, Taken, TakenAnswer, TakenMessage, read
from seatpool.providers.recording.redacting import recorded
from seatpool.providers.recording.redaction import Redactor
from tests.fuzz.messages import SEPARATOR, Message, message

REDACTOR = Redactor(bytes(32))
ROUTES = ("responses", "responses-ws", "messages", "chat", "compact", None)


def recordings(data: bytes) -> None:
    """Whatever a flow holds, a line comes of it that is read again, and of which everything else can be made."""
    asked, *answers = map(message, data.split(SEPARATOR))
    method, host, path = (*asked.first.split(" ", 2), "", "", "")[:3]
    for provider in ("codex", "copilot"):
        taken = Taken(
            0.5,
            provider,
            ROUTES[len(data) % len(ROUTES)],
            method,
            host,
            path,
            "HTTP/2.0",
            tuple(asked.headers.items()),
            asked.body,
            tuple(map(_answer, answers)),
            tuple(TakenMessage(1.0, at % 2 == 0, True, each.body) for at, each in enumerate(answers)),
        )
        (flow,) = read([msgspec.json.encode(recorded(taken, REDACTOR))])
        _usable(flow)


def _answer(found: Message) -> TakenAnswer:
    half = len(found.body) // 2
    pieces = tuple(Piece(float(at), part) for at, part in enumerate((found.body[:half], found.body[half:])) if part)
    return TakenAnswer(found.status, "HTTP/2.0", tuple(found.headers.items()), pieces, 2.0)


def _usable(flow: Flow) -> None:
    bodies = [flow.request.body, *(answer.body for answer in flow.answers), *(m.body for m in flow.messages)]
    for body in filter(None, bodies):
        whole = content_of(body)
        assert body.kind != EVENTS or b"".join(pieces_of(body)) == whole
    known.news([flow])
    fixtures([flow])
