"""`seatpool record`: what is refused, what it leaves behind, and what a file is told to hold."""

import io
import json
import os
import sys
import time
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from seatpool.cli.main import main
from seatpool.cli.recording import Shown
from seatpool.providers.recording.flows import Piece, Taken, TakenAnswer
from seatpool.providers.recording.redacting import recorded
from seatpool.providers.recording.redaction import Redactor
from seatpool.setup import recording as wishes

HEADERS = (("authorization", "Bearer gho_aVeryLongToken1234567890"), ("content-type", "application/json"))
USAGE = b'{"type":"response.completed","response":{"usage":{"input_tokens":7,"output_tokens":3}}}'
ANSWER = TakenAnswer(
    200, "HTTP/2.0", (("content-type", "text/event-stream"),), (Piece(1.0, b"data: " + USAGE + b"\n\n"),), 1.0
)
FLOW = Taken(
    1.5,
    "codex",
    "responses",
    "POST",
    "chatgpt.com",
    "/backend-api/codex/responses",
    "HTTP/2.0",
    HEADERS,
    b"{}",
    (ANSWER,),
)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data" / "seatpool"


def ran(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["record", *map(str, arguments)])


def file_of(folder: Path, *flows: Taken) -> Path:
    file = folder / "flows.jsonl"
    file.write_bytes(b"".join(msgspec.json.encode(recorded(flow, Redactor(bytes(32)))) + b"\n" for flow in flows))
    return file


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--for", "soon"), "'soon' is no length of time: say 30s, 10min or 2h"),
        (("--for", "0s"), "is no length of time"),
        (("--host", "example.com"), "'example.com' is no host that the pool serves"),
        (("--check",), "with a FILE say either --check or --fixture DIR"),
        (("--json",), "--json goes with --check"),
        (("nowhere.jsonl", "--check"), "does not exist"),
        (("there.jsonl",), "with a FILE say either --check or --fixture DIR"),
        (("there.jsonl", "--check", "--for", "1s"), "and nothing of recording"),
        (("there.jsonl", "--check"), "there.jsonl: line 1 is no recorded flow"),
        (("--out", "there.jsonl"), "is there already; name another with --out"),
    ],
)
def test_wrong_input_is_refused_in_a_line_and_nothing_is_begun(
    arguments: tuple[str, ...], said: str, data: Path
) -> None:
    Path("there.jsonl").write_text("[]\n")
    result = ran(*arguments)
    assert result.exit_code in (1, 2) and said in result.output
    assert not data.exists() and Path("there.jsonl").read_text() == "[]\n"


def test_what_cannot_be_wished_leaves_no_recording(tmp_path: Path, data: Path) -> None:
    (data / "recording.json").mkdir(parents=True)
    os.utime(data / "recording.json", (1, 1))
    result = ran("--out", "flows.jsonl", "--for", "1s")
    assert (result.exit_code, result.output) == (1, f"Error: {data / 'recording.json'}: Is a directory\n")
    assert not Path("flows.jsonl").exists() and [path.name for path in data.iterdir()] == ["recording.json"]


def test_a_recording_of_somebody_elses_does_nothing_to_a_terminal_and_writes_into_its_folder_alone(
    tmp_path: Path,
) -> None:
    """What is attached to an issue is written by whoever likes to."""
    file = file_of(tmp_path, FLOW)
    flow = json.loads(file.read_text())
    flow["route"], flow["request"]["headers"] = r"..\..\up/../../responses", [["x-\x1b]0;title\x07", "v"]]
    file.write_text(json.dumps(flow))
    told = ran("--check", file).output
    assert "new header: x-?]0;title?" in told and "\x1b" not in told
    assert "codex-.._.._up_.._.._responses.sse" in ran("--fixture", tmp_path / "made", file).output
    assert {path.parent for path in tmp_path.rglob("*.sse")} == {tmp_path / "made"}
    file.write_text(json.dumps({**flow, "provider": "nobody"}))
    assert ran("--fixture", tmp_path / "more", file).output.endswith("line 1 is no recorded flow\n")


def test_without_a_proxy_it_says_so_and_leaves_nothing_but_an_empty_file(tmp_path: Path, data: Path) -> None:
    data.mkdir(parents=True)
    (data / "recording.json").write_text("{}")
    os.utime(data / "recording.json", (1, 1))  # one that was killed has left it
    result = ran("--out", "flows.jsonl", "--for", "1s")
    assert result.exit_code == 0, result.output
    assert (
        f"0 flows in {tmp_path / 'flows.jsonl'}" in result.output
        and "No proxy of yours has carried any" in result.output
    )
    assert list(data.iterdir()) == []
    assert (tmp_path / "flows.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_wish_is_its_owners_alone_and_ends_with_who_keeps_it(data: Path) -> None:
    file = wishes.wish_file()
    wish = wishes.Wish("flows.jsonl", bytes(32), (), time.time())
    wishes.put(file, wish)
    assert file == data / "recording.json" and file.stat().st_mode & 0o777 == 0o600
    assert wishes.read(file) == wish and "flows.jsonl" in repr(wish) and str(bytes(4)) not in repr(wish)
    os.utime(file, (time.time() - 60, time.time() - 60))
    assert wishes.read(file) is None and not file.exists()


def test_nothing_is_added_to_a_file_that_others_can_read_or_that_is_a_link(tmp_path: Path) -> None:
    file = tmp_path / "flows.jsonl"
    with pytest.raises(FileNotFoundError):
        wishes.append(str(file), [b"{}"])
    file.touch(0o644)
    file.chmod(0o644)
    with pytest.raises(PermissionError):
        wishes.append(str(file), [b"{}"])
    file.chmod(0o600)
    wishes.append(str(file), [b"{}"])
    (tmp_path / "link").symlink_to(file)
    with pytest.raises(OSError, match="link"):
        wishes.append(str(tmp_path / "link"), [b"{}"])
    assert file.read_bytes() == b"{}\n"


def test_what_is_new_is_told_by_the_exit_code_too(tmp_path: Path) -> None:
    known = ran("--check", file_of(tmp_path, FLOW))
    assert (known.exit_code, known.output) == (0, "nothing new in 1 flow\n")
    strange = msgspec.structs.replace(FLOW, headers=(*HEADERS, ("x-codex-window-mode", "wide")))
    told = ran("--check", "--json", file_of(tmp_path, FLOW, strange))
    assert told.exit_code == 3
    row = {"kind": "header", "name": "x-codex-window-mode", "where": "codex responses", "flows": 1}
    assert json.loads(told.output) == {"flows": 2, "new": [row]}


def test_fixtures_are_written_once_and_never_over_others(tmp_path: Path) -> None:
    file = file_of(tmp_path, FLOW, FLOW)
    assert ran("--fixture", tmp_path / "made", file).output == "codex-responses.sse: ok\n"
    assert (tmp_path / "made" / "codex-responses.sse").read_bytes() == b"data: " + USAGE + b"\n\n"
    told = json.loads((tmp_path / "made" / "told.json").read_text())["codex-responses.sse"]
    assert told == {"provider": "codex", "route": "responses", "outcome": "ok", "tokens": {"input": 7, "output": 3}}
    again = ran("--fixture", tmp_path / "made", file)
    assert again.exit_code == 1 and "has told.json already; name another folder" in again.output
    assert ran("--fixture", tmp_path / "none", file_of(tmp_path)).exit_code == 1


def test_what_ctrl_c_comes_amid_is_told_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, told = Shown(file_of(tmp_path, FLOW, FLOW, FLOW)), io.StringIO()
    monkeypatch.setattr(sys, "stdout", Interrupted(told, at=2))
    with pytest.raises(KeyboardInterrupt):
        shown.go_on()
    assert shown.count == 1
    monkeypatch.setattr(sys, "stdout", told)
    shown.go_on()
    assert (shown.count, len(told.getvalue().splitlines())) == (3, 3)


class Interrupted(io.StringIO):
    """Of which a line is the last."""

    def __init__(self, told: io.StringIO, at: int) -> None:
        super().__init__()
        self._told, self._left = told, at

    def write(self, words: str) -> int:
        self._left -= words.endswith("\n")
        if not self._left:
            raise KeyboardInterrupt
        return self._told.write(words)
