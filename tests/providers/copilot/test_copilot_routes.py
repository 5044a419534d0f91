import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.providers.copilot import COPILOT
from seatpool.providers.copilot.routes import ROUTES, engine_of

API = "api.individual.githubcopilot.com"
PROXY = "proxy.business.githubcopilot.com"


@pytest.mark.parametrize(
    ("method", "host", "path", "upgrade", "name", "endpoint"),
    [
        ("POST", API, "/chat/completions", False, "chat-completions", "api"),
        ("POST", API, "/responses", False, "responses", "api"),
        ("POST", API, "/responses?x=1", False, "responses", "api"),
        ("GET", API, "/responses", True, "responses-ws", "api"),
        ("POST", API, "/v1/messages", False, "messages", "api"),
        ("POST", API, "/embeddings", False, "embeddings", "api"),
        ("POST", "copilot-api.octo.ghe.com", "/v1/messages", False, "messages", "api"),
        ("POST", API, "/v1/images/generations", False, "images", "api"),
        ("POST", API, "/v1/images/edits", False, "images", "api"),
        ("POST", API, "/v1/systemone", False, "decisions", "api"),
        ("POST", PROXY, "/v1/engines/gpt-41-copilot/completions", False, "engine", "proxy"),
        ("POST", PROXY, "/chat/completions", False, "edits", "proxy"),
        ("POST", "copilot-proxy.githubusercontent.com", "/chat/completions", False, "edits", "proxy"),
        ("POST", "copilot-proxy.octo.ghe.com", "/v1/engines/gpt-4o-copilot/completions", False, "engine", "proxy"),
    ],
)
def test_these_move(method: str, host: str, path: str, upgrade: bool, name: str, endpoint: str) -> None:
    route = COPILOT.match(method, host, path, upgrade=upgrade)
    assert route is not None
    assert (route.name, route.endpoint, route.websocket) == (name, endpoint, upgrade)


# Every other path of copilot.md 1.2 to 1.4: they act as the person, or belong to their account.
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/models"),
        ("GET", "/models/gpt-x"),
        ("POST", "/models/gpt-x/policy"),
        ("POST", "/models/session"),
        ("POST", "/models/session/intent"),
        ("POST", "/auto"),
        ("GET", "/agents"),
        ("POST", "/agents/chat"),
        ("POST", "/agents/swe/internal/memory/v0/octo"),
        ("POST", "/skills"),
        ("POST", "/mcp"),
        ("POST", "/mcp/readonly"),
        ("GET", "/_ping"),
        ("GET", "/copilot_internal/v2/token"),
        ("POST", "/telemetry"),
        ("GET", "/chat/completions"),
        ("GET", "/responses"),
        ("POST", "/responses/"),
        ("POST", "//responses"),
        ("POST", "/v1/responses"),
        ("POST", "/embeddings/code/search"),
        ("POST", "/mcp/../responses"),
        ("POST", "/%72esponses"),
        ("POST", "/RESPONSES"),
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "/images/generations"),
        ("POST", "/v1/images"),
        ("GET", "/v1/systemone"),
    ],
)
def test_everything_else_stays(method: str, path: str) -> None:
    assert COPILOT.match(method, API, path, upgrade=False) is None
    assert COPILOT.match(method, PROXY, path, upgrade=False) is None or path == "/chat/completions"


@pytest.mark.parametrize("model", ["..", ".", "", "a/b", "%2e%2e", "a%2fb", "a b", "-x", "é"])
def test_an_engine_that_could_become_another_path_stays(model: str) -> None:
    path = f"/v1/engines/{model}/completions"
    assert COPILOT.match("POST", PROXY, path, upgrade=False) is None
    assert engine_of(path) is None


def test_an_upgrade_moves_only_the_responses_socket() -> None:
    moving = [r.route.name for r in ROUTES if COPILOT.match(r.method, API, r.path.pattern, upgrade=True)]
    assert moving == ["responses-ws"]
    assert COPILOT.match("POST", API, "/responses", upgrade=True) is None


def test_chat_paths_do_not_move_on_the_completions_host_nor_engines_on_the_api_host() -> None:
    assert COPILOT.match("POST", PROXY, "/responses", upgrade=False) is None
    assert COPILOT.match("POST", API, "/v1/engines/gpt-x/completions", upgrade=False) is None


def pooled(host: str) -> bool:
    return any(re.fullmatch(pattern, host) for pattern in COPILOT.hosts)


@pytest.mark.parametrize("plan", ["individual", "business", "enterprise"])
def test_plan_hosts_are_pooled(plan: str) -> None:
    assert pooled(f"api.{plan}.githubcopilot.com") and pooled(f"proxy.{plan}.githubcopilot.com")


@pytest.mark.parametrize(
    "host",
    [
        "api.githubcopilot.com",
        "copilot-proxy.githubusercontent.com",
        "copilot-api.octo.ghe.com",
        "copilot-proxy.octo-corp.ghe.com",
    ],
)
def test_generic_and_tenant_hosts_are_pooled(host: str) -> None:
    assert pooled(host)


@pytest.mark.parametrize(
    "host",
    [
        "api.github.com",
        "github.com",
        "githubcopilot.com",
        "api-model-lab.githubcopilot.com",
        "telemetry.individual.githubcopilot.com",
        "origin-tracker.individual.githubcopilot.com",
        "copilot-telemetry.githubusercontent.com",
        "origin-tracker.githubusercontent.com",
        "api.mcp.github.com",
        "uploads.github.com",
        "raw.githubusercontent.com",
        "octo.ghe.com",
        "api.octo.ghe.com",
        "copilot-api.ghe.com",
        "copilot-api.a.b.ghe.com",
        "api.githubcopilot.com.evil.example",
        "evilapi.githubcopilot.com",
        "apixgithubcopilot.com",
        "api.githubcopilot.com.",
    ],
)
def test_no_other_host_is_decrypted(host: str) -> None:
    assert not pooled(host)
    assert COPILOT.match("POST", host, "/chat/completions", upgrade=False) is None


@given(st.text(), st.text(), st.text(), st.booleans())
def test_matching_never_raises(method: str, host: str, path: str, upgrade: bool) -> None:
    assert COPILOT.match(method, host, path, upgrade=upgrade) is None
