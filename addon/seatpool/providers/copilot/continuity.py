"""What a request tells of itself: model, conversation, buckets. Nothing of its contents is kept.

The conversation's key is a hash of the editor's session and of how the conversation began: its instructions and
everything up to the first thing that the person said. That beginning is the same in every later request, while cache
marks, tool results and the order of JSON keys are not; so only texts are hashed.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from seatpool.core.repositories import named
from seatpool.providers.base import RequestFacts, Route
from seatpool.providers.carriers import Carrier
from seatpool.providers.copilot import auth
from seatpool.providers.copilot.auth import PROXY
from seatpool.providers.copilot.quota import OWN_BUCKETS
from seatpool.providers.copilot.routes import engine_of
from seatpool.providers.copilot.wire import text
from seatpool.providers.http import HeaderView
from seatpool.providers.tolerant import mapping, product, read_json

CLI_SESSION = "x-client-session-id"
EDITOR_SESSION = "vscode-sessionid"

CHAT_BUCKETS = ("chat", "premium_interactions", "premium_models")
COMPLETION_BUCKETS = ("completions",)

REPOSITORY = "x-github-repository-nwo"
REPOSITORY_HOST = "x-github-repository-host"

_RESPONSES = (Carrier.CIPHER, Carrier.PREVIOUS, Carrier.ITEM, Carrier.UPLOAD)
CARRIERS: Mapping[str, tuple[Carrier, ...]] = MappingProxyType(
    {
        "responses": _RESPONSES,
        "responses-ws": _RESPONSES,
        "messages": (Carrier.SIGNATURE, Carrier.UPLOAD),
        "chat-completions": (Carrier.SIGNATURE, Carrier.CIPHER, Carrier.UPLOAD),
    }
)
"""By route: an `id` means something in Responses alone, elsewhere every call of a tool has one."""

_MODEL = re.compile(r"[\w.:/@+-]{1,128}", re.ASCII)

_ABSENT = msgspec.Raw(b"null")


class _Body(msgspec.Struct):
    """The few fields that are read of a body that may be megabytes long; the rest is skipped, not built."""

    model: msgspec.Raw = _ABSENT
    system: msgspec.Raw = _ABSENT
    """Instructions of `/v1/messages`."""
    instructions: msgspec.Raw = _ABSENT
    """Instructions of `/responses`."""
    messages: msgspec.Raw = _ABSENT
    input: msgspec.Raw = _ABSENT


_read_body = msgspec.json.Decoder(_Body).decode
_read_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def facts(route: Route, path: str, headers: HeaderView, body: Callable[[], bytes]) -> RequestFacts | None:
    """What selection needs; None when the request carries no credential that the pool could replace."""
    needs = auth.needs(headers)
    if not needs:
        return None
    if route.name == "engine" or route.websocket:
        parsed = None
        model = _slug(engine_of(path))
    else:
        parsed = _parse(body())
        model = _model(parsed)
    return RequestFacts(
        route=route,
        needs=needs,
        model=model,
        conversation=_conversation(route, headers, parsed),
        buckets=_buckets(route),
        client=_client(headers),
        repositories=_repositories(headers),
        sent=auth.sent(headers),
    )


def of_turn(facts: RequestFacts, content: bytes) -> RequestFacts:
    """The facts of a socket with the model that its message names; the handshake is silent about that."""
    model = _model(_parse(content))
    return replace(facts, model=model) if model is not None and model != facts.model else facts


def _client(headers: HeaderView) -> str | None:
    """The editor's own name: the integration's is `jetbrains-chat` in every editor of the language server."""
    named = (product(headers.get(name)) for name in ("editor-version", "copilot-integration-id", "user-agent"))
    return next(filter(None, named), None)


def _repositories(headers: HeaderView) -> tuple[str, ...]:
    """Only the Copilot CLI has headers for it, and says `__no_repository__` where it knows none."""
    path = headers.get(REPOSITORY)
    if path is None or "/" not in path:
        return ()
    found = named(headers.get(REPOSITORY_HOST) or auth.GITHUB, path)
    return (found,) if found is not None else ()


def _buckets(route: Route) -> tuple[str, ...]:
    if route.endpoint == PROXY:
        return COMPLETION_BUCKETS
    own = OWN_BUCKETS.get(route.name)
    return CHAT_BUCKETS if own is None else (own,)


def _parse(content: bytes) -> _Body:
    try:
        return _read_body(content)
    except (ValueError, RecursionError):
        return _Body()


def _model(body: _Body) -> str | None:
    return _slug(text(read_json(body.model)))


def _slug(stated: str | None) -> str | None:
    """What can be a model's name."""
    return stated if stated is not None and _MODEL.fullmatch(stated) else None


def _conversation(route: Route, headers: HeaderView, body: _Body | None) -> str | None:
    """Ghost text and suggestions belong together by editor alone; embeddings belong to nothing (copilot.md 4)."""
    if route.name == "embeddings":
        return None
    session = headers.get(EDITOR_SESSION, "")
    if route.endpoint == PROXY:
        return _key("typing", session) if session else None
    named = headers.get(CLI_SESSION)
    if named:
        return _key("session", named)
    if body is None:  # a socket's messages come after the choice
        return _key("socket", session) if session else None
    beginning = list(_beginning(body))
    return _key("chat", session, *beginning) if beginning else None


def _key(*parts: str) -> str:
    digest = blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "replace")
        digest.update(b"%d:" % len(raw))
        digest.update(raw)
    return digest.hexdigest()


def _beginning(body: _Body) -> Iterator[str]:
    """Instructions, then roles and texts up to the first of the person, that one too; nothing where they are silent."""
    said: list[str] = []
    for items in (body.messages, body.input):
        for role, words in _items(items):
            said += (role, words)
            if role == "user":
                yield from (_texts(read_json(body.system)), _texts(read_json(body.instructions)), *said)
                return


def _items(raw: msgspec.Raw) -> Iterator[tuple[str, str]]:
    """Role and text of each item, read one by one; a bare string is what the person said."""
    try:
        items = _read_items(raw)
    except (ValueError, RecursionError):
        alone = read_json(raw)
        if isinstance(alone, str):
            yield "user", alone
        return
    for item in items:
        found = mapping(read_json(item))
        yield text(found.get("role")), _texts(found.get("content"))


def _texts(content: object) -> str:
    """The words of a string or of a list of parts, without cache marks, pictures or results."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(t for part in content if (t := text(mapping(part).get("text"))))
