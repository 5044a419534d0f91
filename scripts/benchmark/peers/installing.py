"""From the package index into a virtual environment of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import platformdirs
from scripts.benchmark.client import Broken
from scripts.benchmark.peers.peer import Peer

CACHE = Path(platformdirs.user_cache_dir("seatpool")) / "bench-peers"
NEWEST = 15
"""Minor versions of Python 3 that are looked for, from here down."""


def programs(peer: Peer, cache: Path = CACHE) -> Path:
    """Where its programs are; installed now where they are not. Raises `Broken`."""
    folder = cache / peer.name
    done = folder / "installed"
    if done.exists():
        return folder / "bin"
    python = _python(peer)
    shutil.rmtree(folder, ignore_errors=True)
    _run(peer, [str(python), "-m", "venv", str(folder)])
    _run(peer, [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", peer.package])
    done.touch()
    return folder / "bin"


def version(peer: Peer, bin_: Path) -> str:
    """Of what was installed."""
    name = peer.package.partition("[")[0]
    code = f"import importlib.metadata; print(importlib.metadata.version({name!r}))"
    return subprocess.run([bin_ / "python", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _python(peer: Peer) -> Path:
    for path in _candidates():
        try:
            code = "import sys; print(*sys.version_info[:2])"
            ran = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
            if ran.returncode == 0 and tuple(map(int, ran.stdout.split())) >= peer.python:
                return path
        except (OSError, ValueError):
            continue
    wanted = ".".join(map(str, peer.python))
    raise Broken(f"{peer.name} needs Python {wanted} or newer, and there is none on this machine")


def _candidates() -> Iterator[Path]:
    """This one, those on the path, and what pyenv keeps."""
    yield Path(sys.executable)
    for minor in range(NEWEST, 10, -1):
        if found := shutil.which(f"python3.{minor}"):
            yield Path(found)
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(root.glob("versions/3.*/bin/python"), reverse=True)


def _run(peer: Peer, argv: list[str]) -> None:
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    if ran.returncode:
        said = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")] or ran.stderr.splitlines()[-1:]
        raise Broken(f"{peer.name} could not be installed: {said[-1] if said else 'pip does not say why'}")
