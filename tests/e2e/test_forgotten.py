"""Nothing of a request stays in memory until garbage is looked for: bodies are large, and requests many."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Scene
from tests.e2e.test_codex import ask

pytestmark = pytest.mark.asyncio

COUNTER = """\
import gc, logging, weakref
flows = []
def running():
    gc.disable()
def request(flow):
    flows.append(weakref.ref(flow))
    logging.info("flows=%d still-there=%d", len(flows), sum(each() is not None for each in flows[:-1]))
"""


@pytest.fixture
def counted(start: Callable[..., Scene], tmp_path: Path) -> Scene:
    """Beside a script that tells with each request how many of those before it are still in memory."""
    script = tmp_path / "counter.py"
    script.write_text(COUNTER)
    return start("alice", "bob", arguments=("-s", str(script)))


@pytest.mark.parametrize("version", ["http1", "http2"])
async def test_a_flow_that_is_over_goes_without_garbage_being_looked_for(counted: Scene, version: str) -> None:
    ways: list[tuple[str, dict[str, Any]]] = [
        ("alice", {"kind": "ok", "deltas": 5}),
        ("alice", {"kind": "usage_limit"}),
        ("bob", {"kind": "usage_limit"}),
    ]
    for name, behaviour in ways:
        counted.fakes.behave(name, behaviour)
        await ask(counted, version)
    await ask(counted, version)
    assert counted.asked("responses") == ["alice", "alice", "bob", "bob"]
    assert counted.proxy.wait_log(r"flows=4 still-there=(\d+)")[1] == "0"
