"""What the package index and its vulnerability service know of a lock; asked by pip and pip-audit, as they are set up.

Not every index tells everything: a mirror may serve packages alone. What could not be asked is `Answer.unasked`, so
that silence is never taken for good news.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.supply.locks import Pin

_PATIENCE_S = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """To one question about all pins."""

    faults: list[str]
    unasked: dict[str, str]
    """Packages that nobody answered for, and why."""


def taken_back(pins: Sequence[Pin]) -> Answer:
    """Releases that their authors have yanked, and those of which the index has no file that the lock knows."""
    here = {pin.name: pin for pin in pins if pin.is_for_here}
    with tempfile.TemporaryDirectory(prefix="seatpool-audit-") as folder:
        wanted, report = Path(folder, "wanted.txt"), Path(folder, "report.json")
        # Without their hashes: with them pip would fetch whole files, and metadata is all that is asked for.
        wanted.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in here.values()))
        argv = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
        ran = _run([*argv, "--only-binary", ":all:", "--report", str(report), "-r", str(wanted)])
        if not report.exists():
            return Answer([], dict.fromkeys(here, _last_words(ran)))
        found = json.loads(report.read_text())["install"]
    faults = []
    for each in found:
        pin = here[_name(each["metadata"]["name"])]
        if each.get("is_yanked"):
            faults.append(f"{pin.name}: {pin.version} has been taken back by its authors")
        offered = each["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        if offered is not None and offered not in pin.hashes:
            faults.append(f"{pin.name}: the index offers another file for {pin.version} than the lock has seen")
    left_out = here.keys() - {_name(each["metadata"]["name"]) for each in found}
    return Answer(faults, dict.fromkeys(left_out, "pip left it out"))


def vulnerable(lock: Path, pins: Sequence[Pin]) -> Answer:
    """Known vulnerabilities, by pip-audit."""
    argv = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--requirement", str(lock)]
    ran = _run([*argv, "--format", "json", "--progress-spinner", "off"])
    try:
        told: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
    except ValueError:
        return Answer([], {pin.name: _last_words(ran) for pin in pins})
    faults = [
        f"{each['name']}: {each['version']} has {known['id']}"
        + (f", mended in {', '.join(known['fix_versions'])}" if known["fix_versions"] else ", not mended yet")
        for each in told
        for known in each.get("vulns", ())
    ]
    return Answer(faults, {each["name"]: each["skip_reason"] for each in told if "skip_reason" in each})


def _run(argv: list[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 1, "", f"no answer within {_PATIENCE_S} s")


def _last_words(ran: "subprocess.CompletedProcess[str]") -> str:
    return next((line.strip() for line in reversed(ran.stderr.splitlines()) if line.strip()), "it said nothing")


def _name(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
