"""Whoever steals the issuing key can pretend to be a pooled host, and no other: to whatever program there is."""

from pathlib import Path

import pytest

from tests.e2e.authority.believers import BELIEVERS, Scene, Target
from tests.e2e.authority.conftest import CARELESS, LOOKALIKE, OURS
from tests.upstream.hosts import TENANT

POOLED: tuple[Target, ...] = (
    ("chatgpt.com", OURS),
    ("api.individual.githubcopilot.com", OURS),
    ("copilot-proxy.githubusercontent.com", OURS),
    (f"copilot-api.{TENANT}", OURS),
)
FOREIGN: tuple[Target, ...] = (("example.com", OURS), ("github.com", OURS), (LOOKALIKE, OURS), ("127.0.0.1", OURS))
BELIEVED_FROM_ANOTHER: tuple[Target, ...] = (("example.com", CARELESS), ("127.0.0.1", CARELESS))
"""So that it is our authority's bounds, and nothing else, which keep a program from believing."""


@pytest.mark.parametrize("program", BELIEVERS)
def test_a_stolen_key_is_believed_about_pooled_hosts_and_about_nothing_else(scene: Scene, program: str) -> None:
    pooled, foreign, others = POOLED, FOREIGN, BELIEVED_FROM_ANOTHER
    if program.startswith("Codex"):
        pooled, foreign, others = POOLED[:1], FOREIGN[:1], BELIEVED_FROM_ANOTHER[:1]  # it takes seconds each
    expected = dict.fromkeys((*pooled, *others), True) | dict.fromkeys(foreign, False)
    assert BELIEVERS[program](scene, expected) == expected


def test_no_key_that_can_be_stolen_is_the_roots(scene: Scene) -> None:
    folder: Path = scene.lab.folder / "data" / "seatpool" / "ca"
    keys = [path.name for path in folder.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert keys == ["mitmproxy-ca.pem"]
    assert (folder / "mitmproxy-ca.pem").read_bytes().count(b"PRIVATE KEY-----\n") == 2, "one key, that of mitmproxy"
