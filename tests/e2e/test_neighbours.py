"""Another script beside the pool, loaded after it, so that it has the last word."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, Scene, codex_headers

STREAMING = """
def requestheaders(flow):
    flow.request.stream = True

def responseheaders(flow):
    flow.response.stream = True
"""
"""As mitmproxy's own examples do it."""


@pytest.mark.parametrize("version", ["http1", "http2"])
async def test_where_a_script_streams_everything_the_pool_still_serves_and_replays(
    start: Callable[..., Scene], tmp_path: Path, version: str
) -> None:
    script = tmp_path / "streaming.py"
    script.write_text(STREAMING)
    scene = start("alice", "bob", arguments=("-s", str(script)))
    scene.fakes.behave("alice", {"kind": "usage_limit", "route": "responses"})
    async with await getattr(scene.network, version)("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
        assert (await incoming.text()).startswith("bob0")
    assert scene.asked("responses") == ["alice", "bob"]
    assert scene.cooldowns().keys() == {"alice"}
