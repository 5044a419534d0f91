"""Whoever steals the issuing key can pretend to be a pooled host, and no other: to whatever program there is."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mitmproxy.certs import CertStore

from seatpool.providers.registry import certified_names
from seatpool.setup.authority import Authority
from tests.e2e.authority.believers import BELIEVERS, Scene, Target
from tests.harness import REPOSITORY, Lab
from tests.harness.namespace import why_no_namespaces
from tests.upstream.hosts import FAKE_HOSTS, TENANT

OURS, CARELESS = 8443, 8444
"""Where the thief has the key of our authority, and that of one without bounds, which mitmproxy makes by itself."""

LOOKALIKE = "evilgithubcopilot.com"

POOLED: tuple[Target, ...] = (
    ("chatgpt.com", OURS),
    ("api.individual.githubcopilot.com", OURS),
    ("copilot-proxy.githubusercontent.com", OURS),
    (f"copilot-api.{TENANT}", OURS),
)
FOREIGN: tuple[Target, ...] = (("example.com", OURS), ("github.com", OURS), (LOOKALIKE, OURS), ("127.0.0.1", OURS))
BELIEVED_FROM_ANOTHER: tuple[Target, ...] = (("example.com", CARELESS), ("127.0.0.1", CARELESS))
"""So that it is our authority's bounds, and nothing else, which keep a program from believing."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    reason = why_no_namespaces()
    if reason is not None:
        pytest.skip(f"names that resolve to a thief need a namespace of their own: {reason}")
    folder = tmp_path_factory.mktemp("authority")
    with Lab(folder / "lab", (*FAKE_HOSTS, LOOKALIKE)) as lab:
        authority = Authority(folder / "lab" / "data" / "seatpool" / "ca")
        authority.keep(certified_names([TENANT]), datetime.now(UTC))
        CertStore.create_store(folder / "careless", "mitmproxy", 2048)
        careless = folder / "careless" / "mitmproxy-ca-cert.pem"
        trusted, seen = folder / "trusted.pem", folder / "seen"
        trusted.write_bytes(authority.trusted.read_bytes() + careless.read_bytes())
        stolen = (f"{OURS}={authority.in_use}", f"{CARELESS}={folder / 'careless' / 'mitmproxy-ca.pem'}")
        argv = [sys.executable, "-m", "tests.e2e.authority.thief", seen, *stolen]
        thief = lab.popen(argv, cwd=REPOSITORY, stdout=subprocess.PIPE)
        assert thief.stdout is not None
        assert thief.stdout.readline() == b"ready\n"
        yield Scene(lab, folder, trusted, seen, careless)


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
