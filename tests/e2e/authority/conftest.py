"""A thief with the key of our authority, and programs that trust it."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from mitmproxy.certs import CertStore

from seatpool.providers.registry import certified_names
from seatpool.setup.authority import Authority
from tests.e2e.authority.believers import Scene
from tests.harness import REPOSITORY, Lab
from tests.harness.namespace import why_no_namespaces
from tests.upstream.hosts import FAKE_HOSTS, TENANT

OURS, CARELESS = 8443, 8444
"""Where the thief has the key of our authority, and that of one without bounds, which mitmproxy makes by itself."""

LOOKALIKE = "evilgithubcopilot.com"


@pytest.fixture(scope="package")
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
