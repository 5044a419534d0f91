"""`seatpool record` beside a real mitmdump: what a running pool carries, without anything of a person's in it."""

import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import zstandard

from seatpool.providers.recording.flows import Flow, read
from tests.e2e.conftest import CODEX_PATH, EDITOR, Scene, codex_headers
from tests.e2e.test_codex import CREATE, open_socket, said, spoken, turn
from tests.harness.recorder import recording, seatpool
from tests.upstream.tokens import MARKER, codex_account_id

pytestmark = pytest.mark.asyncio
PROMPT, PLACE = "what does Zanzibar earn", "/home/zoe/salaries/plan.py"
SECRETS = (
    MARKER,
    PROMPT,
    "Zanzibar",
    "zoe",
    codex_account_id(EDITOR),
    "example.com",
    "alice0",
    "bob0",
    "clearance-9271",
    "192.0.2.77",
)


def flows_of(file: Path) -> list[Flow]:
    return list(read(file.read_bytes().split(b"\n")))


async def test_flows_of_each_kind_are_recorded_without_a_secret_and_told_and_made_fixtures_of(
    scene: Scene, tmp_path: Path
) -> None:
    scene.pool("alice", "bob")
    out = tmp_path / "flows.jsonl"
    body = {
        "model": "gpt-x",
        "stream": True,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": PROMPT}]}],
    }
    packed = zstandard.compress(json.dumps(body).encode())
    more = {"content_encoding": "zstd", "cookie": "cf_clearance=clearance-9271", "x_forwarded_for": "192.0.2.77"}
    scene.fakes.behave("alice", {"kind": "usage_limit", "route": "responses", "on": ["request"]})
    async with open_socket(scene) as before, AsyncExitStack() as later:
        with recording(scene.proxy, out) as told:
            assert out.stat().st_mode & 0o777 == 0o600
            async with await scene.network.http2("chatgpt.com") as client:
                incoming = await client.send("POST", CODEX_PATH, codex_headers(**more), packed)
                events = [event async for event in incoming.events()]
                listed = await client.send(
                    "GET", f"/backend-api/codex/models?client_version=0.169.0&who={PLACE}", codex_headers()
                )
                await listed.body()
                strange = await client.send("GET", "/backend-api/never/heard", codex_headers(x_codex_zoe="1"))
                await strange.body()
            async with open_socket(scene) as socket:
                message = {**CREATE, "input": [{"role": "user", "content": PROMPT}]}
                assert spoken(await turn(socket, message)).startswith("bob0 ")
            still = await later.enter_async_context(open_socket(scene))
            await turn(still, message)
            assert seatpool(scene.proxy, "--out", tmp_path / "other").exit_code == 1, "one at a time"
            assert await turn(before), "one that was open before is none of it"
    assert said(events).startswith("bob0 ")
    assert told.code == 130 and f"in {out}" in told.err and "Traceback" not in told.err
    text = out.read_text()
    assert [secret for secret in SECRETS if secret in text or secret in told.out + told.err] == []
    flows = flows_of(out)
    assert len(told.out.splitlines()) == len(flows)
    assert f"{len(flows)} flows in" in told.err
    posted, models, unknown, *sockets = sorted(flows, key=lambda flow: flow.at_s)
    assert [answer.status for answer in posted.answers] == [429, 200]
    assert posted.request.body is not None
    assert posted.request.body.value["input"][0]["content"][0]["type"] == "input_text"
    stream = posted.answers[1].body
    assert stream is not None and stream.cuts and stream.cuts[-1][0] >= stream.cuts[0][0] > 0
    assert (models.route, models.request.query[0]) == (None, ("client_version", "0.169.0"))
    assert [flow.outcome for flow in sockets] == ["left", "open"]
    assert (sockets[0].messages[0].client, sockets[0].messages[0].body.value["type"]) == (True, "response.create")
    assert sockets[0].messages[-1].body.value["type"] == "response.completed"
    assert unknown.request.path.startswith("/backend-api/")
    checked = seatpool(scene.proxy, "--check", out)
    assert checked.exit_code == 3, checked
    assert f"new path: GET chatgpt.com{unknown.request.path} (codex; 1 of {len(flows)} flows)" in checked.stdout
    folder = tmp_path / "fixtures"
    assert seatpool(scene.proxy, "--fixture", folder, out).exit_code == 0
    made = json.loads((folder / "told.json").read_text())
    assert set(made) == {"codex-responses-429.json", "codex-responses.sse", "codex-responses-ws.jsonl"}
    counts = {"input": 20_000, "cached": 18_000, "output": 300}
    assert counts.items() <= made["codex-responses.sse"]["tokens"].items()
    assert all(counts.items() <= tokens.items() for tokens in made["codex-responses-ws.jsonl"]["tokens"])
    assert not list(scene.proxy.folder.glob("data/seatpool/recording*")), "the key is gone"
