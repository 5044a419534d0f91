"""What Codex tells of where it is at work: the program, and the remotes of the folders that it works in.

The remotes stand in `x-codex-turn-metadata`, as a header of a request and in `client_metadata` of a socket's messages:
`{"workspaces": {"/folder": {"associated_remote_urls": {"origin": "git@..."}}}}`. They are absent in a folder without
remotes, where git takes too long, and in the handshake of the pre-warming ahead of the first turn (seen with 0.169).
"""

import re
from typing import Any

import msgspec
from msgspec.structs import replace

from seatpool.core.repositories import normalised
from seatpool.providers.base import RequestFacts
from seatpool.providers.codex.wire import slug
from seatpool.providers.http import HeaderView
from seatpool.providers.tolerant import mapping, product

TURN_METADATA = "x-codex-turn-metadata"


class _Metadata(msgspec.Struct):
    workspaces: Any = None
    request_kind: Any = None


class _Message(msgspec.Struct):
    model: Any = None
    generate: Any = None
    client_metadata: Any = None


_IN_MESSAGE = b'"x-codex-turn-metadata"'
_GENERATE = b'"generate"'
_AT_END = 16 * 1024
"""So far from its end at most: `client_metadata` is its last field (codex.md 2.1)."""
_STRING = re.compile(rb'\s*:\s*("(?:[^"\\]++|\\.)*+")')
_NOTHING = _Metadata()
_read_text = msgspec.json.Decoder(str).decode
_read_metadata = msgspec.json.Decoder(_Metadata).decode
_read_message = msgspec.json.Decoder(_Message).decode


def client(headers: HeaderView) -> str | None:
    """The program: `codex_cli_rs`, `codex_exec`, `codex_vscode`, ..."""
    return product(headers.get("originator")) or product(headers.get("user-agent"))


def repositories(metadata: object) -> tuple[str, ...]:
    """The repositories of all folders, each once, in order."""
    workspaces = mapping(_parse(metadata).workspaces)
    if not workspaces:
        return ()
    urls = (u for w in workspaces.values() for u in mapping(mapping(w).get("associated_remote_urls")).values())
    names = [normalised(url) for url in urls if isinstance(url, str)]
    return tuple(dict.fromkeys(name for name in names if name is not None))


def in_message(content: bytes) -> tuple[str, ...]:
    """The repositories that a socket's message names, found without reading the rest of it."""
    at = content.rfind(_IN_MESSAGE, max(0, len(content) - _AT_END))
    found = _STRING.match(content, at + len(_IN_MESSAGE)) if at >= 0 else None
    try:
        return repositories(_read_text(found[1])) if found is not None else ()
    except (ValueError, RecursionError):
        return ()


def early(metadata: str | None) -> bool:
    """Whether this is the handshake before the first turn. Refused with 403, the client says nothing and asks again
    with the turn, whose handshake tells everything."""
    return bool(_parse(metadata).request_kind == "prewarm")


def warms_up(content: bytes) -> bool:
    """Whether a socket's message asks for nothing to be generated: the first one of each (codex-observed.md 2)."""
    if _GENERATE not in content:
        return False
    try:
        return _read_message(content).generate is False
    except (ValueError, RecursionError):
        return False


def _parse(metadata: object) -> _Metadata:
    if not isinstance(metadata, str):
        return _NOTHING
    try:
        return _read_metadata(metadata)
    except (ValueError, RecursionError):
        return _NOTHING


def of_turn(facts: RequestFacts, content: bytes) -> RequestFacts:
    """The facts of a socket with what one of its messages tells."""
    try:
        message = _read_message(content)
    except (ValueError, RecursionError):
        return facts
    model = slug(message.model) or facts.model
    remotes = repositories(mapping(message.client_metadata).get(TURN_METADATA)) or facts.repositories
    if (model, remotes) == (facts.model, facts.repositories):
        return facts
    return replace(facts, model=model, repositories=remotes)
