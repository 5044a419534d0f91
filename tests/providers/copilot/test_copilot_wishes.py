"""A Copilot request for another model."""

import pytest

from seatpool.core.model import ProviderName
from seatpool.providers.base import Route
from seatpool.providers.copilot import COPILOT
from seatpool.providers.http import Headers
from seatpool.providers.rewriting import Wish

CHAT = Route(ProviderName.COPILOT, "chat-completions", "api")
ENGINE = Route(ProviderName.COPILOT, "engine", "proxy")
GHOST = "/v1/engines/gpt-x/completions"


@pytest.mark.parametrize(
    ("route", "path", "body", "model", "new_path", "new_body"),
    [
        (CHAT, "/chat/completions", b'{"model":"gpt-x"}', "gpt-y", "/chat/completions", b'{"model":"gpt-y"}'),
        (ENGINE, GHOST, b'{"prompt":"a"}', "gpt-y", "/v1/engines/gpt-y/completions", b'{"prompt":"a"}'),
        (ENGINE, f"{GHOST}?a=gpt-x", b"", "gpt-y", "/v1/engines/gpt-y/completions?a=gpt-x", b""),
        (ENGINE, GHOST, b'{"model":"gpt-x"}', "gpt-y", "/v1/engines/gpt-y/completions", b'{"model":"gpt-y"}'),
        (ENGINE, GHOST, b'{"model":"gpt-x"}', "org/gpt-y", GHOST, b'{"model":"gpt-x"}'),  # it cannot stand there
        (ENGINE, "/v1/engines/other/completions", b"{}", "gpt-y", "/v1/engines/other/completions", b"{}"),
    ],
)
def test_the_model_is_replaced_where_it_stands(
    route: Route, path: str, body: bytes, model: str, new_path: str, new_body: bytes
) -> None:
    said = COPILOT.rewrite(route, path, Headers(), body, Wish("gpt-x", model))
    assert (said.path, said.headers, said.body) == (new_path, (), new_body)
    assert new_body != body or said.body is body


def test_nothing_is_hastened_and_vectors_and_sockets_keep_their_model() -> None:
    assert COPILOT.hastened == frozenset()
    assert not {"embeddings", "responses-ws"} & COPILOT.replaceable
    assert COPILOT.rewrite_frame(frame := b'{"type":"response.create","model":"gpt-x"}', Wish("gpt-x", "y")) is frame
