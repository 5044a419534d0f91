"""What ties a conversation to an account: its ids, its model, and the sticky-routing token (codex.md 2.1, 2.2)."""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec

from seatpool.core.model import CredentialKind
from seatpool.providers.base import RequestFacts, Route
from seatpool.providers.carriers import Carrier
from seatpool.providers.codex import told
from seatpool.providers.codex.auth import bearer
from seatpool.providers.codex.quota import MAIN_BUCKETS, OWN_BUCKETS
from seatpool.providers.codex.wire import TURN_STATE, plain, slug, text
from seatpool.providers.http import HeaderView
from seatpool.providers.jsonparts import members
from seatpool.providers.tolerant import read_json

CONVERSATION_HEADERS = ("session-id", "thread-id", "session_id", "conversation_id", "x-client-request-id")
"""The session comes first: the threads of its agents share their history. The last is the thread's id as well."""
ROUTING_HINT = "x-codex-routing-hint"
RESERVES = frozenset({"gpt-reserve"})
"""Luna Reserve: Codex asks for it once its own account's usage look-up says that all else is spent, and that this is
there; it has a meter of its own (router-for-me/CLIProxyAPI issue 5568, pleaseai/shunt issue 659)."""
CARRIERS = (Carrier.CIPHER, Carrier.PREVIOUS, Carrier.UPLOAD)
"""Ids of items are not bound; upstream keeps nothing by them (`store: false`, codex.md 2.3)."""

_PLAIN_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class _Body(msgspec.Struct):
    model: Any = None
    prompt_cache_key: Any = None


_decode_body = msgspec.json.Decoder(_Body).decode


def facts(route: Route, headers: HeaderView, body: Callable[[], bytes]) -> RequestFacts | None:
    """What selection needs; None without a ChatGPT login. The body is read only where the headers are silent."""
    if bearer(headers) is None:
        return None
    model = slug(_hinted_model(headers.get(ROUTING_HINT, "")))
    conversation = next((key for name in CONVERSATION_HEADERS if (key := headers.get(name))), None)
    if not route.websocket and (model is None or conversation is None):
        fields = _read_body(body())
        model = model or slug(fields.model)
        conversation = conversation or text(fields.prompt_cache_key)
    metadata, own = headers.get(told.TURN_METADATA), OWN_BUCKETS.get(route.name)
    return RequestFacts(
        route=route,
        needs=(CredentialKind.CODEX_OAUTH,),
        model=model,
        conversation=None if conversation is None else _opaque(conversation),
        buckets=MAIN_BUCKETS if own is None else (*MAIN_BUCKETS, own),
        own_meter=model in RESERVES,
        client=told.client(headers),
        repositories=told.repositories(metadata),
        early=route.websocket and told.early(metadata),
        turn_state=issued_turn_state(headers),
    )


def issued_turn_state(headers: HeaderView) -> str | None:
    """The sticky-routing token in the head of an answer, or of a request that sends it back."""
    return plain(headers.get(TURN_STATE))


def edit_client_frame(content: bytes, turn_state: str | None, owned: Callable[[str], bool]) -> bytes:
    """The client's message with a foreign token in its `client_metadata` replaced, or removed where there is none.

    Every other byte stays as it is; a message without a foreign token is returned as the same object.
    """
    if b'"x-codex-turn-state"' not in content:
        return content
    outer = members(content)
    metadata = outer.get("client_metadata") if outer else None
    if metadata is None:
        return content
    start, end = metadata.value
    inner = members(content[start:end])
    state = inner.get(TURN_STATE) if inner else None
    if state is None:
        return content
    value = read_json(content[start + state.value[0] : start + state.value[1]])
    if not isinstance(value, str) or owned(value):
        return content
    if turn_state is None:
        first, last = state.whole
        return content[: start + first] + content[start + last :]
    first, last = state.value
    return content[: start + first] + msgspec.json.encode(turn_state) + content[start + last :]


def _hinted_model(hint: str) -> str | None:
    """The slug in `model=<slug>[;tier=<t>]`."""
    fields = (part.strip().partition("=") for part in hint.split(";"))
    return next((value for name, _, value in fields if name == "model"), None)


def _opaque(key: str) -> str:
    """The key, hashed where it is not plainly an id: somebody's own key might hold content."""
    return key if _PLAIN_ID.fullmatch(key) else sha256(key.encode("utf-8", "backslashreplace")).hexdigest()


def _read_body(content: bytes) -> _Body:
    try:
        return _decode_body(content)
    except (ValueError, RecursionError):
        return _Body()
