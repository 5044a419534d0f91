"""A Copilot request that asks for another model: in its body, and of ghost text in the path (copilot.md 6)."""

from seatpool.providers.base import Route
from seatpool.providers.copilot.routes import engine_of
from seatpool.providers.rewriting import Rewritten, Wish, rewrite_body

REPLACEABLE = frozenset({"chat-completions", "responses", "messages", "engine", "edits"})
"""Not embeddings: vectors of two models have nothing in common. A socket's handshake does not tell its model."""


def rewrite(route: Route, path: str, body: bytes, wish: Wish) -> Rewritten:
    """The engine in the path is replaced where the new one can stand there."""
    if route.name == "engine" and wish.model is not None and engine_of(path) == wish.asked:
        moved = path.replace(f"/engines/{wish.asked}/", f"/engines/{wish.model}/", 1)
        if engine_of(moved) != wish.model:
            return Rewritten(path, body=body)
        path = moved
    return Rewritten(path, body=rewrite_body(body, wish)[0])
