"""What Copilot's clients tell of program and repository."""

import json

import pytest

from seatpool.providers.copilot import COPILOT
from tests.providers.copilot.copilot_material import SOCKET_FACTS, facts


@pytest.mark.parametrize(
    ("nwo", "host", "repositories"),
    [
        ("Acme/Widgets", "github.com", ("github.com/acme/widgets",)),
        ("acme/widgets", "octo.ghe.com", ("octo.ghe.com/acme/widgets",)),
        ("acme/widgets", "", ("github.com/acme/widgets",)),
        ("__no_repository__", "__no_repository__", ()),  # as the CLI says where it knows none
        ("acme", "github.com", ()),
        ("acme/wid gets", "github.com", ()),
    ],
)
def test_the_cli_names_its_repository_in_two_headers(nwo: str, host: str, repositories: tuple[str, ...]) -> None:
    told = facts(x_github_repository_nwo=nwo, x_github_repository_host=host)
    assert told.repositories == repositories


def test_editors_name_none() -> None:
    assert facts(editor_version="vscode/1.120.0").repositories == ()


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ({"editor_version": "copilot/1.0.102", "copilot_integration_id": "copilot-developer-cli"}, "copilot"),
        ({"editor_version": "Neovim/0.11.0", "copilot_integration_id": "jetbrains-chat"}, "neovim"),
        ({"editor_version": "vscode/1.120.0"}, "vscode"),
        ({"copilot_integration_id": "vscode-chat"}, "vscode-chat"),
        ({"user_agent": "GitHubCopilotChat/0.66.0"}, "githubcopilotchat"),
        ({}, None),
    ],
)
def test_the_program_is_the_editor(headers: dict[str, str], client: str | None) -> None:
    assert facts(**headers).client == client


def test_a_sockets_message_names_the_model_that_its_handshake_does_not() -> None:
    told = COPILOT.turn(SOCKET_FACTS, json.dumps({"type": "response.create", "model": "gpt-5.4"}).encode())
    assert (SOCKET_FACTS.model, told.model) == (None, "gpt-5.4")
    assert COPILOT.turn(told, b'{"type":"response.cancel"}') is told
