"""What the real Codex says, recorded: nothing of a person's is in it, and nothing that this version does not know."""

import json
from pathlib import Path

import pytest

from seatpool.providers.recording.flows import read
from tests.clients import codex
from tests.clients.conftest import Desk
from tests.harness.recorder import recording, seatpool
from tests.upstream.tokens import MARKER, codex_account_id

pytestmark = pytest.mark.timeout(90, func_only=True)
PROMPT = "what does Zanzibar earn"


def test_a_turn_of_codex_is_recorded_checked_and_read_back(desk: Desk, home: Path, tmp_path: Path) -> None:
    desk.pool("alice")
    out = tmp_path / "codex.jsonl"
    with recording(desk.proxy, out, "--host", "chatgpt.com"):
        code, events = codex.execute(desk, home, PROMPT)
    assert (code, codex.said(events)) == (0, ["alice0 alice1 alice2 "])
    text = out.read_text()
    hidden = (MARKER, PROMPT, "Zanzibar", str(home), codex_account_id("editor"), "alice0", "example.com")
    assert [secret for secret in hidden if secret in text] == []
    flows = list(read(text.encode().split(b"\n")))
    (socket,) = [flow for flow in flows if flow.route == "responses-ws"]
    assert all(n in ("input", "tools") or not n.startswith("redacted") for n in socket.messages[0].body.value)
    checked = seatpool(desk.proxy, "--check", out)
    assert (checked.returncode, checked.stdout) == (0, f"nothing new in {len(flows)} flows\n")
    assert seatpool(desk.proxy, "--fixture", tmp_path / "made", out).returncode == 0
    told = json.loads((tmp_path / "made" / "told.json").read_text())["codex-responses-ws.jsonl"]
    usage = [event["usage"] for event in events if event["type"] == "turn.completed"]
    assert told["tokens"][-1]["input"] == usage[-1]["input_tokens"]
    assert told["tokens"][-1]["output"] == usage[-1]["output_tokens"]
