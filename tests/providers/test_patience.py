"""How long a client may be kept waiting: within what is known of it."""

import pytest

from seatpool.core.model import CredentialKind, ProviderName
from seatpool.providers.base import RequestFacts, Route
from seatpool.providers.codex import routes as codex
from seatpool.providers.copilot import routes as copilot
from seatpool.providers.registry import PROVIDERS

BEARABLE_S = {
    # route, client: copilot.md 9, codex.md 5 and 6, codex-observed.md 4
    ("engine", None): 1,
    ("edits", None): 1,
    ("chat-completions", "vscode"): 60,
    ("messages", "neovim"): 120,
    ("responses", "copilot"): 300,
    ("responses-ws", "copilot"): 10,
}


def facts(provider: ProviderName, route: str, client: str | None = None) -> RequestFacts:
    return RequestFacts(Route(provider, route, "api"), (CredentialKind.CODEX_OAUTH,), client=client)


@pytest.mark.parametrize(("route", "client"), BEARABLE_S)
def test_a_copilot_client_gets_its_answer_in_time(route: str, client: str | None) -> None:
    held_s = PROVIDERS[ProviderName.COPILOT].patience(facts(ProviderName.COPILOT, route, client))
    assert held_s < BEARABLE_S[route, client]
    assert (held_s == 0) == (route in ("engine", "edits")), "who types on is never kept waiting"


def test_codex_gets_its_handshake_in_time_with_room_for_the_upstreams_answer() -> None:
    patience = PROVIDERS[ProviderName.CODEX].patience
    assert patience(facts(ProviderName.CODEX, "responses-ws")) + 4 < 15
    assert patience(facts(ProviderName.CODEX, "responses")) < 300


def test_every_route_has_a_patience() -> None:
    for name, table in ((ProviderName.CODEX, codex.ROUTES.values()), (ProviderName.COPILOT, copilot.ROUTES)):
        for row in table:
            route = row if isinstance(row, Route) else row.route
            assert 0 <= PROVIDERS[name].patience(facts(name, route.name)) <= 120
