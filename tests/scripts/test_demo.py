"""`./scripts/demo` shows what it says, and ends by itself."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_shows_a_429_that_curl_never_hears_of() -> None:
    shown = subprocess.run([ROOT / "scripts" / "demo"], capture_output=True, text=True, timeout=90, check=False)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    lines = shown.stdout.splitlines()
    switch = next(n for n, line in enumerate(lines) if "account=alice action=switch to=bob" in line)
    heard = [n for n, line in enumerate(lines) if "hears" in line]
    assert len(heard) == 8
    assert switch < heard[0]
    times = [float(re.match(r" *([0-9.]+) s", lines[n])[1]) for n in heard]  # type: ignore[index] # all of them match
    assert times[-1] - times[0] > 1.0, "it streams: eight words, 200 ms apart"
    assert "FAKESECRET" not in shown.stdout + shown.stderr
