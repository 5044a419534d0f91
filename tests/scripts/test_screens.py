"""The README's pictures are there, small, need nothing from elsewhere, and are what `./scripts/screenshots` takes."""

import re
import struct
from pathlib import Path

import pytest

from scripts import screening
from tests.harness.browser import find_chromium

ROOT = Path(__file__).parents[2]
NAMES = {"page-dark.png", "page-light.png", "status.svg"}


def test_the_pictures_of_the_readme_are_those_that_are_kept() -> None:
    named = set(re.findall(r"scripts/screens/([\w.-]+)", (ROOT / "README.md").read_text()))
    assert named == NAMES == {path.name for path in screening.SCREENS.iterdir()}
    assert sum(path.stat().st_size for path in screening.SCREENS.iterdir()) < 400_000


def test_the_terminals_picture_needs_nothing_from_elsewhere() -> None:
    drawn = (screening.SCREENS / "status.svg").read_text()
    assert "@font-face" not in drawn and "url(http" not in drawn and "href" not in drawn


def test_they_are_taken_of_a_real_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine")
    for name in ("XDG_DATA_HOME", "SEATPOOL_KEYRING"):
        monkeypatch.setenv(name, "")  # it sets them, and they are to be as before afterwards
    assert screening.main(["--into", str(tmp_path / "screens"), "--quick"]) == 0
    assert "switch to=bob" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "screens").iterdir()} == NAMES
    for scheme in ("light", "dark"):
        head = (tmp_path / "screens" / f"page-{scheme}.png").read_bytes()[:24]
        assert struct.unpack(">II", head[16:]) == (screening.WIDE, screening.HIGH)
    drawn = (tmp_path / "screens" / "status.svg").read_text().replace("&#160;", " ")
    assert "cooling" in drawn and "usage_limit_reached" in drawn and "paused" in drawn
