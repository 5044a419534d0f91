"""What the real Codex and Copilot CLI say, recorded: nothing of a person's, and nothing that is new to this version."""

import json
from pathlib import Path

import pytest

from seatpool.providers.recording.flows import read
from tests.clients import codex
from tests.clients.conftest import Desk
from tests.clients.test_copilot_cli import ask as copilot
from tests.harness.recorder import recording, seatpool
from tests.upstream.tokens import MARKER, codex_account_id

pytestmark = pytest.mark.timeout(90, func_only=True)
PROMPT = "what does Zanzibar earn"


def test_turns_are_recorded_checked_and_read_back(desk: Desk, home: Path, tmp_path: Path) -> None:
    desk.pool("alice", "carol")
    out = tmp_path / "codex.jsonl"
    with recording(desk.proxy, out):
        code, events = codex.execute(desk, home, PROMPT)
        assert copilot(desk, home, "claude-sonnet-4.6").returncode == 0
    assert (code, codex.said(events)) == (0, ["alice0 alice1 alice2 "])
    text = out.read_text()
    hidden = (
        MARKER,
        PROMPT,
        "Zanzibar",
        str(home),
        codex_account_id("editor"),
        "alice0",
        "carol0",
        "emma",
        "say hi",
        "example.com",
    )
    assert [secret for secret in hidden if secret in text] == []
    flows = list(read(text.encode().split(b"\n")))
    assert {"messages", "responses-ws"} <= {flow.route for flow in flows}
    (socket,) = [flow for flow in flows if flow.route == "responses-ws"]
    assert all(n in ("input", "tools") or not n.startswith("redacted") for n in socket.messages[0].body.value)
    checked = seatpool(desk.proxy, "--check", out)
    assert (checked.exit_code, checked.stdout) == (0, f"nothing new in {len(flows)} flows\n")
    assert seatpool(desk.proxy, "--fixture", tmp_path / "made", out).exit_code == 0
    made = json.loads((tmp_path / "made" / "told.json").read_text())
    told, answered = made["codex-responses-ws.jsonl"], made["copilot-messages.sse"]
    usage = [event["usage"] for event in events if event["type"] == "turn.completed"]
    assert told["tokens"][-1]["input"] == usage[-1]["input_tokens"]
    assert told["tokens"][-1]["output"] == usage[-1]["output_tokens"]
    assert (answered["outcome"], answered["tokens"]["input"], answered["tokens"]["output"]) == ("ok", 20_000, 300)
