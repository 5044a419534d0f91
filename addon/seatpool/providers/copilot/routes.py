"""Which paths move, as a table (copilot.md 1.3, 1.4). What is not listed acts as the person and is left alone.

Tokens, policy, content exclusion, models, MCP, agents, memory and telemetry are never here, although some of them share
these hosts.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from seatpool.core.model import ProviderName
from seatpool.providers.base import RequestFacts, Route

_TENANT = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_API_HOSTS = (r"api\.(?:(?:individual|business|enterprise)\.)?githubcopilot\.com", rf"copilot-api\.{_TENANT}\.ghe\.com")
_PROXY_HOSTS = (
    r"proxy\.(?:individual|business|enterprise)\.githubcopilot\.com",
    r"copilot-proxy\.githubusercontent\.com",
    rf"copilot-proxy\.{_TENANT}\.ghe\.com",
)
HOSTS = _API_HOSTS + _PROXY_HOSTS

_ENDPOINTS = (("api", re.compile("|".join(_API_HOSTS))), ("proxy", re.compile("|".join(_PROXY_HOSTS))))

# One segment that no normalisation can turn into another path: no `%`, and never dots alone.
_ENGINE = re.compile(r"/v1/engines/([A-Za-z0-9][A-Za-z0-9._:@+-]*)/completions")


class _Row(msgspec.Struct, frozen=True):
    endpoint: str
    method: str
    path: re.Pattern[str]
    route: Route


def _row(endpoint: str, method: str, path: str, name: str, *, websocket: bool = False) -> _Row:
    return _Row(endpoint, method, re.compile(path), Route(ProviderName.COPILOT, name, endpoint, websocket))


ROUTES = (
    _row("api", "POST", "/chat/completions", "chat-completions"),
    _row("api", "POST", "/responses", "responses"),
    _row("api", "GET", "/responses", "responses-ws", websocket=True),
    _row("api", "POST", "/v1/messages", "messages"),
    _row("api", "POST", "/embeddings", "embeddings"),
    _row("api", "POST", "/v1/images/(?:generations|edits)", "images"),
    _row("api", "POST", "/v1/systemone", "decisions"),
    _row("proxy", "POST", _ENGINE.pattern, "engine"),
    _row("proxy", "POST", "/chat/completions", "edits"),
)
"""`edits` is next-edit suggestion and instant apply: the same path as chat, on the other host (copilot.md 1.4). The
Copilot CLI asks for `images` (1.0.102, where its setting `imageGeneration` is on), pi for `decisions`
(earendil-works/pi pull 11679): each names a model, and nothing of an account's."""


SECRET_ANSWERS = frozenset({"/models/session", "/models/session/intent", "/auto"})
"""They hand out auto mode's session token (copilot.md 1.3)."""


def match(method: str, host: str, path: str, *, upgrade: bool) -> Route | None:
    """The route of a request; exact, so that no unusual spelling of a path ever moves."""
    endpoint = next((name for name, hosts in _ENDPOINTS if hosts.fullmatch(host.lower())), None)
    bare = path.partition("?")[0]
    for row in ROUTES:
        asked = (row.endpoint, row.method, row.route.websocket) == (endpoint, method, upgrade)
        if asked and row.path.fullmatch(bare):
            return row.route
    return None


def lists_models(method: str, host: str, path: str) -> bool:
    """Whether an editor asks for its chat models; the completions proxy has a list of its own (copilot.md 1.4)."""
    asked = method == "GET" and path.partition("?")[0] == "/models"
    return asked and any(re.fullmatch(name, host) for name in _API_HOSTS)


def engine_of(path: str) -> str | None:
    """The model that a ghost-text request names in its path (copilot.md 6)."""
    found = _ENGINE.fullmatch(path.partition("?")[0])
    return found[1] if found else None


PATIENCE_S: Mapping[str, float] = MappingProxyType(
    {
        "engine": 0.0,  # who types on has no use for it (copilot.md 9)
        "edits": 0.0,
        "responses-ws": 8.0,  # the CLI gives a connection ten (copilot.md 9)
        "embeddings": 10.0,  # part of a search that a person waits for
        "decisions": 10.0,  # made by the dozen, in half a second each
    }
)
"""Seconds that a request may be held, by route."""
CHAT_S = 45.0
"""Of the others: VS Code has to be answered within a minute, the language server within two (copilot.md 9)."""
CLI, CLI_S = "copilot", 120.0
"""The Copilot CLI waits 300 s for an answer's head, and newer ones 600 s (copilot.md 9)."""


def patience(facts: RequestFacts) -> float:
    """Seconds that such a request may be held."""
    return PATIENCE_S.get(facts.route.name, CLI_S if facts.client == CLI else CHAT_S)


_STAYING = re.compile(
    r"/(?:models(?:/.*)?|auto|agents(?:/.*)?|skills|search/[^/]+|mcp(?:/.*)?|github/chat/.*|_ping|telemetry"
    r"|responses|chat/completions|embeddings/.*)"
)
"""What is known to stay on the editor's own login, on either host (copilot.md 1.3, 1.4): sets of GitHub's tools by name
(github/github-mcp-server pull 1111) and github.com's own chat (github/gh-copilot issue 75) as well."""


def is_known(path: str) -> bool:
    """Whether a path is one that is known to stay, rather than one that nobody has thought of."""
    return _STAYING.fullmatch(path.partition("?")[0]) is not None
