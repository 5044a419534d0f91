"""Which paths move, as a table (codex.md 1). What is not listed acts as the person and stays on the editor's own login.

Matched by path alone, since a workspace can be served by another host (codex.md 1.1). `models` stays: its catalogue and
the editor's picker follow the editor's own plan. `accounts/check` stays: swapped, it stops the client
(codex-observed.md 1).
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from seatpool.core.model import ProviderName
from seatpool.providers.base import RequestFacts, Route

BASE = "/backend-api/codex/"
USAGE = "/backend-api/wham/usage"

HOSTS = (r"(?!ab\.|codex-cloud-backend\.)(?:[a-z0-9-]+\.)*chatgpt\.com",)
"""Workspaces can live on any host of chatgpt.com; metrics and cloud previews serve no model and are left sealed."""


def _route(name: str, *, websocket: bool = False) -> Route:
    return Route(ProviderName.CODEX, name, "api", websocket)


ROUTES: Mapping[tuple[str, str, bool], Route] = MappingProxyType(
    {
        # method, path, upgrade
        ("GET", BASE + "responses", True): _route("responses-ws", websocket=True),
        ("POST", BASE + "responses", False): _route("responses"),
        ("POST", BASE + "responses/compact", False): _route("compact"),
        ("POST", BASE + "alpha/search", False): _route("search"),
        ("POST", BASE + "images/generations", False): _route("images"),
        ("POST", BASE + "images/edits", False): _route("images"),
        ("POST", BASE + "memories/trace_summarize", False): _route("memories"),
    }
)

SECRET_ANSWERS = frozenset(
    {"/api/auth/session"} | {f"/backend-api/{n}accounts/switch-workspace-token" for n in ("", "codex/", "wham/")}
)
"""They hand out tokens: of the web's session, and of another workspace (codex.md 4, which leaves its path open)."""


def match(method: str, path: str, *, upgrade: bool) -> Route | None:
    """The route of a request; exact, so that no unusual spelling of a path ever moves."""
    return ROUTES.get((method, path.partition("?")[0], upgrade))


def looks_up(method: str, path: str) -> bool:
    """Whether a request asks for the person's own usage (codex.md 3.4)."""
    return method == "GET" and path.partition("?")[0] == USAGE


PATIENCE_S: Mapping[str, float] = MappingProxyType(
    {
        "responses-ws": 10.0,  # fifteen with the handshake, and upstream's answer to that takes its time (codex.md 5)
        "responses": 60.0,  # without an answer's head it waits for more than 418 s (codex-observed.md 4)
        "compact": 60.0,  # four times its idle time of 300 s (codex.md 1)
    }
)
"""Seconds that a request may be held, by route."""
ELSE_S = 25.0
"""Of the others nothing is known but that 30 s are no trouble (codex.md 6)."""


def patience(facts: RequestFacts) -> float:
    """Seconds that such a request may be held."""
    return PATIENCE_S.get(facts.route.name, ELSE_S)


_STAYING = re.compile(
    r"/backend-api/(?:"
    r"codex/(?:responses|models|realtime/calls|analytics-events/events|turn-costs)"
    r"|(?:wham|ps|aip|/?connectors|(?:public/)?plugins|files)(?:/.*)?"
    r"|me|accounts(?:/.*)?)"
)
"""What is known to stay on the editor's own login (codex.md 1), as it is spelt (openai/codex issue 20844)."""


def is_known(path: str) -> bool:
    """Whether a path is one that is known to stay, rather than one that nobody has thought of."""
    return _STAYING.fullmatch(path.partition("?")[0]) is not None
