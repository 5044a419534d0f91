import re

import pytest

from seatpool.providers.codex import CODEX

HOST = "chatgpt.com"


@pytest.mark.parametrize(
    ("method", "path", "upgrade", "name"),
    [
        ("GET", "/backend-api/codex/responses", True, "responses-ws"),
        ("POST", "/backend-api/codex/responses", False, "responses"),
        ("POST", "/backend-api/codex/responses?client_version=1", False, "responses"),
        ("POST", "/backend-api/codex/responses/compact", False, "compact"),
        ("POST", "/backend-api/codex/alpha/search", False, "search"),
        ("POST", "/backend-api/codex/images/generations", False, "images"),
        ("POST", "/backend-api/codex/images/edits", False, "images"),
        ("POST", "/backend-api/codex/memories/trace_summarize", False, "memories"),
    ],
)
def test_model_work_moves(method: str, path: str, upgrade: bool, name: str) -> None:
    route = CODEX.match(method, HOST, path, upgrade=upgrade)
    assert route is not None
    assert (route.name, route.websocket) == (name, upgrade)


def test_answers_with_tokens_are_no_ones_to_see() -> None:
    assert {"/api/auth/session", "/backend-api/accounts/switch-workspace-token"} <= CODEX.secret_answers


@pytest.mark.parametrize(
    ("method", "path", "upgrade"),
    [
        ("GET", "/backend-api/wham/accounts/check", False),
        ("GET", "/backend-api/wham/usage", False),
        ("GET", "/backend-api/codex/models?client_version=0.169.0", False),
        ("POST", "/backend-api/codex/realtime/calls", False),
        ("POST", "/backend-api/codex/analytics-events/events", False),
        ("POST", "/backend-api/codex/turn-costs", False),
        ("POST", "/backend-api/files", False),
        ("POST", "/backend-api/ps/mcp", False),
        ("POST", "/backend-api/wham/rate-limit-reset-credits/consume", False),
        # Not quite the paths above: another method, no upgrade, unusual spellings.
        ("HEAD", "/backend-api/codex/responses", False),
        ("GET", "/backend-api/codex/responses", False),
        ("POST", "/backend-api/codex/responses", True),
        ("POST", "/backend-api/codex/responses/", False),
        ("POST", "/backend-api//codex/responses", False),
        ("POST", "/backend-api/codex/../codex/responses", False),
        ("POST", "/backend-api/codex/Responses", False),
        ("POST", "/backend-api/codex/responses%2Fcompact", False),
        ("POST", "https://chatgpt.com/backend-api/codex/responses", False),
    ],
)
def test_everything_else_stays_with_the_editor(method: str, path: str, upgrade: bool) -> None:
    assert CODEX.match(method, HOST, path, upgrade=upgrade) is None


@pytest.mark.parametrize(
    ("host", "pooled"),
    [
        ("chatgpt.com", True),
        ("us.chatgpt.com", True),
        ("gov.chatgpt.com", True),
        ("ab.chatgpt.com", False),  # metrics: tunnelled
        ("auth.openai.com", False),  # sign-in: tunnelled
        ("api.openai.com", False),
        ("notchatgpt.com", False),
        ("chatgpt.com.example.org", False),
        ("chatgptxcom", False),
    ],
)
def test_only_hosts_that_serve_workspaces_are_opened(host: str, pooled: bool) -> None:
    assert any(re.fullmatch(pattern, host) for pattern in CODEX.hosts) is pooled
