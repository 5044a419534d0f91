"""How requests are counted that nobody has thought of: by kind, without what could name a person or a thing."""

import pytest

from seatpool.providers.registry import stray

CAPI = "api.individual.githubcopilot.com"


@pytest.mark.parametrize(
    ("method", "host", "path", "kind"),
    [
        ("GET", "chatgpt.com", "/backend-api/new/thing?token=1", "GET chatgpt.com/backend-api/new/thing"),
        ("GET", "US.chatgpt.com", "/backend-api/x/6ba7b810-9dad", "GET us.chatgpt.com/backend-api/x/*"),
        ("POST", CAPI, "/v2/messages", f"POST {CAPI}/v2/messages"),
        ("POST", CAPI, "/v1/engines/gpt-41-copilot/speculate", f"POST {CAPI}/v1/engines/*/speculate"),
        ("GET", "chatgpt.com", "/a/b/c/d/e/f", "GET chatgpt.com/a/b/c/d/..."),
        ("GET", "chatgpt.com", f"/{'x' * 40}/a%20b/alice@example", "GET chatgpt.com/*/*/*"),
        ("GET", "chatgpt.com", "/", "GET chatgpt.com/"),
        ("M-1", "chatgpt.com", "/x", "* chatgpt.com/x"),
    ],
)
def test_what_is_unknown_is_counted_by_its_kind(method: str, host: str, path: str, kind: str) -> None:
    assert stray(method, host, path) == kind


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("chatgpt.com", "/backend-api/wham/accounts/check"),
        ("chatgpt.com", "/backend-api/codex/models?client_version=1"),
        ("chatgpt.com", "/backend-api/ps/plugins/installed"),
        ("chatgpt.com", "/backend-api/plugins/list"),
        ("chatgpt.com", "/backend-api//connectors/directory/list?external_logos=true"),
        ("chatgpt.com", "/backend-api/files/file-1/uploaded"),
        ("chatgpt.com", "/backend-api/codex/responses"),
        (CAPI, "/models"),
        (CAPI, "/models/session/intent"),
        (CAPI, "/auto"),
        (CAPI, "/agents/swe/internal/memory/v0/enabled"),
        (CAPI, "/mcp/readonly"),
        ("api.githubcopilot.com", "/mcp/x/issues/readonly"),
        ("api.githubcopilot.com", "/github/chat/threads"),
        (CAPI, "/_ping"),
        ("proxy.individual.githubcopilot.com", "/models"),
        ("example.com", "/whatever"),
    ],
)
def test_what_is_known_to_stay_is_not_counted(host: str, path: str) -> None:
    assert stray("GET", host, path) is None
