"""What a run comes to, kept for each release: text, figures and plots."""

import json
import os
import platform
import re
import sqlite3
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import seatpool
from seatpool.cli.version import version as described
from tests.harness import REPOSITORY

RESULTS = REPOSITORY / "scripts" / "bench-results"
NAMED = re.compile(r"\d+(\.\d+)*[a-z0-9.]*")
"""A version, as the name of a folder."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Of one run. `name` is that of its files."""

    name: str
    text: str
    figures: Mapping[str, Any]


def version() -> str:
    """The release that this is, or is to become: without what tells builds between two releases apart."""
    return re.sub(r"\.dev.*|\+.*", "", seatpool.__version__) if seatpool.__version__ != seatpool.CLONE else "next"


def machine() -> dict[str, Any]:
    """What figures depend on. No names and no paths."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "mitmproxy": metadata.version("mitmproxy"),
        "sqlite": sqlite3.sqlite_version,
        "openssl": ssl.OPENSSL_VERSION.split(" ")[1],
        "seatpool": described(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def keep(found: Findings, version: str, results: Path = RESULTS) -> Path:
    """Write into the version's folder, over what an earlier run of that name has left. Returns the folder."""
    folder = results / version
    folder.mkdir(parents=True, exist_ok=True)
    about = ", ".join(f"{name} {value}" for name, value in found.figures["machine"].items())
    (folder / f"{found.name}.txt").write_text(f"{about}\n\n{found.text}\n")
    (folder / f"{found.name}.json").write_text(json.dumps(found.figures, indent=1) + "\n")
    from scripts.benchmark.plots import plots  # it takes a second, and is in the dev set only

    for name, picture in plots(found.figures).items():
        (folder / f"{name}.svg").write_text(picture)
    return folder
