"""Unknown hosts are counted over proxies and starts, and no disorder of the file harms anybody."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from seatpool.setup.strangers import AT_MOST, Stranger, add, read

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def test_counts_add_up_and_the_latest_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "new" / "hosts.json"
    add(file, {"api.new.githubcopilot.com": 2, "x.chatgpt.com": 1}, NOW)
    add(file, {"api.new.githubcopilot.com": 3}, LATER)
    assert read(file) == (
        Stranger("api.new.githubcopilot.com", 5, NOW, LATER),
        Stranger("x.chatgpt.com", 1, NOW, NOW),
    )


def test_a_broken_file_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "hosts.json"
    for content in ("{", "[]", '{"a": 1}', '{"a": {"connections": 1}}'):
        file.write_text(content)
        assert read(file) == ()
        add(file, {"x.chatgpt.com": 1}, NOW)
        assert read(file) == (Stranger("x.chatgpt.com", 1, NOW, NOW),)


def test_no_more_than_so_many_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "hosts.json"
    for number in range(AT_MOST + 5):
        add(file, {f"h{number}.githubcopilot.com": 1}, NOW + timedelta(minutes=number))
    assert len(read(file)) == AT_MOST
    assert read(file)[0].host == f"h{AT_MOST + 4}.githubcopilot.com"
