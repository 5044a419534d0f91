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
NAMED = re.compile(r"next|\d+(\.\d+)*[a-z0-9.]*")
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
    from scripts.benchmark.plots import plots  # its library takes a second to load, and is in the dev set only

    for name, picture in plots(found.figures).items():
        (folder / f"{name}.svg").write_text(picture)
    (results / "README.md").write_text(index(results))
    return folder


def index(results: Path) -> str:
    """Every release, the newest first and with its pictures."""
    lines = [
        "# What was measured",
        "",
        "Written by `./scripts/bench --keep`; figures of different machines are not comparable, ratios are. What was",
        "simulated is written by `./scripts/prove --keep`: *proof*.",
    ]
    releases = sorted((path for path in results.iterdir() if path.is_dir()), key=_age, reverse=True)
    for place, folder in enumerate(releases):
        told = ", ".join(f"[{path.stem}]({folder.name}/{path.name})" for path in sorted(folder.glob("*.txt")))
        lines += ["", f"## {folder.name}", "", told]
        pictures = sorted(folder.glob("*.svg")) if place == 0 else []
        lines += [f"![{path.stem}]({folder.name}/{path.name})" for path in pictures]
    return "\n".join(lines) + "\n"


def _age(folder: Path) -> tuple[bool, list[int]]:
    """A version's numbers, in order; what is no number is to become the next release."""
    return not folder.name[0].isdigit(), [int(number) for number in re.findall(r"\d+", folder.name)]
