"""The token of the page is one person's, and nobody else's."""

from pathlib import Path

from seatpool.setup.page_token import renew, token


def test_it_stays_until_another_one_is_made(tmp_path: Path) -> None:
    file = tmp_path / "data" / "page-token"
    first = token(file)
    assert len(first) >= 43 and token(file) == first
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    assert renew(file) != first
    assert token(file) != first
    assert [path.name for path in file.parent.iterdir()] == ["page-token"]


def test_what_is_too_short_to_be_one_is_none(tmp_path: Path) -> None:
    file = tmp_path / "page-token"
    for weak in ("", "\n", "short\n"):
        file.write_text(weak)
        assert len(token(file)) >= 43
