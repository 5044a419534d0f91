"""`seatpool ca trust system` with Debian's own tool, on copies of the machine's files in a namespace."""

import shutil

import pytest

from tests.e2e.authority.believers import Scene, seatpool
from tests.e2e.authority.conftest import OURS

FOLDERS = ("/usr/local/share/ca-certificates", "/etc/ssl/certs")
COPIES = """
set -e
for folder in "$@"; do
  copy=$(mktemp -d) && cp -a "$folder/." "$copy" && mount --bind "$copy" "$folder"
done
mount --bind "$(mktemp -d)" /etc/ca-certificates/update.d  # what other packages do with it takes seconds
"""


def believes(scene: Scene) -> bool:
    """Whether a program that is told nothing believes a certificate of ours."""
    return scene.lab.run(["curl", "-sS", f"https://chatgpt.com:{OURS}/"]).returncode == 0


def files(scene: Scene) -> str:
    """Every file of the system's store, with its content."""
    tell = 'for f in $(find "$@" | sort); do echo "$f $([ -f "$f" ] && md5sum <"$f")"; done'
    return scene.lab.run(["sh", "-c", tell, "tell", *FOLDERS]).stdout


@pytest.fixture
def system(scene: Scene) -> Scene:
    if shutil.which("update-ca-certificates") is None or shutil.which("curl") is None:
        pytest.skip("no update-ca-certificates, or no curl, on this machine")
    ran = scene.lab.run(["sh", "-c", COPIES, "copies", *FOLDERS])
    if ran.returncode != 0:
        pytest.skip(f"the store cannot be copied here: {ran.stderr}")
    return scene


def test_every_program_of_the_system_trusts_it_until_it_is_taken_back(system: Scene) -> None:
    before = files(system)
    assert len(before.splitlines()) > 50
    assert not believes(system)
    trusted = seatpool(system, "ca", "trust", "system", "--yes")
    assert trusted.returncode == 0, trusted.stdout + trusted.stderr
    assert believes(system)
    assert "(Debian)" in seatpool(system, "ca", "show").stdout
    untrusted = seatpool(system, "ca", "untrust", "system", "--yes")
    assert untrusted.returncode == 0, untrusted.stdout + untrusted.stderr
    assert not believes(system)
    assert files(system) == before
