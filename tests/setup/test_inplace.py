"""A file takes another one's place although somebody looks at that one, as far as the system lets it."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from seatpool import inplace

Looked = Callable[[int], list[str]]


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> Looked:
    """As Windows has it: somebody has what is to be replaced open, for so many tries."""
    plain = os.replace

    def by_somebody(tries: int) -> list[str]:
        refused: list[str] = []

        def replace(draft: Path, file: Path) -> None:
            if len(refused) < tries:
                refused.append(file.name)
                raise PermissionError(13, "Access is denied", str(draft), 5, str(file))
            plain(draft, file)

        monkeypatch.setattr(os, "replace", replace)
        return refused

    return by_somebody


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    draft, file = tmp_path / "draft", tmp_path / "file"
    draft.write_text("new")
    file.write_text("old")
    return draft, file


def test_on_windows_it_is_tried_again_while_somebody_looks(files: tuple[Path, Path], looked_at: Looked) -> None:
    draft, file = files
    refused = looked_at(2)
    inplace.put(draft, file, windows=True)
    assert (file.read_text(), draft.exists(), refused) == ("new", False, ["file", "file"])


def test_what_is_refused_for_good_is_told(files: tuple[Path, Path], looked_at: Looked) -> None:
    refused = looked_at(100)
    with pytest.raises(PermissionError):
        inplace.put(*files, windows=True)
    assert (files[1].read_text(), len(refused)) == ("old", len(inplace.PAUSES_S) + 1)


def test_elsewhere_a_refusal_is_one_at_once(files: tuple[Path, Path], looked_at: Looked) -> None:
    refused = looked_at(1)
    with pytest.raises(PermissionError):
        inplace.put(*files, windows=False)
    assert (files[1].read_text(), refused) == ("old", ["file"])


def test_what_is_missing_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        inplace.put(tmp_path / "draft", tmp_path / "file", windows=True)


def test_a_draft_that_failed_is_gone_and_its_file_named(files: tuple[Path, Path]) -> None:
    draft, file = files
    with pytest.raises(OSError, match="No space left") as told, inplace.drafting(draft, file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert (told.value.filename, draft.exists(), file.read_text()) == (str(file), False, "old")


def test_a_draft_that_was_interrupted_is_gone(files: tuple[Path, Path]) -> None:
    draft, file = files
    with pytest.raises(KeyboardInterrupt), inplace.drafting(draft, file):
        raise KeyboardInterrupt
    assert (draft.exists(), file.read_text()) == (False, "old")
