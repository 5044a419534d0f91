"""The real clients with what `seatpool setup` wrote and with no word of the tests' own, and without a part of it.

The fakes' authority stands for the public ones: in this lab, the system's own file of authorities has it.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from seatpool.setup.bundle import BUNDLE
from seatpool.setup.doctor.words import explained
from tests.clients import language_server
from tests.clients.conftest import Desk, Started
from tests.clients.language_server import LanguageServer
from tests.clients.npm import path_with_clients
from tests.clients.stdio import RpcError
from tests.clients.test_codex import UPGRADE_REFUSED, tool_call
from tests.e2e.conftest import EDITOR
from tests.harness import REPOSITORY
from tests.upstream import codex_login, tokens

pytestmark = pytest.mark.timeout(90, func_only=True)


def person(home: Path, **more: str) -> dict[str, str]:
    """What every program of this person knows, without a word of a proxy or an authority."""
    folders = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
    return {"HOME": str(home), "PATH": path_with_clients(), "TZ": "UTC", **folders, **more}


SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")


NOWHERE = "http://127.0.0.1:9"
"""Nothing listens there."""


@dataclass
class Lost:
    """A Codex that was started, and what it has said so far."""

    process: "subprocess.Popen[bytes]"
    said: Path


LOST: dict[str, Callable[[Path], None]] = {
    "without trust": lambda settings: without(settings, "SSL_CERT_FILE"),
    "without a proxy": lambda settings: without(settings, "HTTPS_PROXY", f"HTTPS_PROXY={NOWHERE}\n"),
}
"""What is wrong in its `.env`."""


@pytest.fixture(scope="module", autouse=True)
def lost(
    office: Desk, _public_authorities: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Lost]]:
    """They are at it while the other tests run."""
    started = {}
    for name, spoil in LOST.items():
        home = tmp_path_factory.mktemp("lost")
        codex_login(home / ".codex", EDITOR)
        set_up(office, home, "codex")
        spoil(home / ".codex" / ".env")
        with (home / "said").open("wb") as said:
            argv = ["codex", "exec", "--skip-git-repo-check", "say hi"]
            pipes = {"stdin": subprocess.DEVNULL, "stdout": said, "stderr": said}
            process = office.lab.popen(argv, env=person(home), cwd=home, **pipes)
        started[name] = Lost(process, home / "said")
    yield started
    for each in started.values():
        office.lab.end(each.process)


def understood(text: str) -> set[str]:
    """Which words of the doctor's table a program has said."""
    return {each.said for each in explained(text)}


def doctor_says(desk: Desk) -> list[tuple[str, str]]:
    """What it finds in the proxy: text and level."""
    argv = [sys.executable, "-m", "seatpool.cli", "doctor", "--json", "--only", "distrust"]
    ran = desk.lab.run(argv, env=person(desk.folder, PYTHONPATH=str(REPOSITORY / "addon")))
    return [(row["text"], row["level"]) for row in json.loads(ran.stdout)["findings"]]


@pytest.fixture(scope="module", autouse=True)
def _public_authorities(office: Desk) -> Iterator[None]:
    if not SYSTEM.exists():
        pytest.skip(f"this machine has no {SYSTEM}")
    both = office.folder / "system.pem"
    both.write_bytes(SYSTEM.read_bytes() + office.fakes.ca.read_bytes())
    mounted = office.lab.run(["mount", "--bind", both, SYSTEM])
    assert mounted.returncode == 0, mounted.stderr
    yield
    office.lab.run(["umount", SYSTEM])


def set_up(desk: Desk, home: Path, *names: str) -> None:
    authority = home / "data" / "seatpool" / "ca"
    shutil.copytree(desk.proxy.ca.parent, authority)
    environment = person(home, PYTHONPATH=str(REPOSITORY / "addon"))
    ran = desk.lab.run([sys.executable, "-m", "seatpool.cli", "setup", *names, "--yes"], env=environment, cwd=home)
    assert ran.returncode == 0, ran.stderr


def without(file: Path, name: str, instead: str = "") -> None:
    """Take out the line with that name."""
    lines = file.read_text().splitlines(keepends=True)
    kept = [line for line in lines if name not in line]
    assert len(kept) == len(lines) - 1
    file.write_text("".join(kept) + instead)


def codex_says(desk: Desk, home: Path) -> tuple[int, str]:
    argv = ["codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "say hi"]
    ran = desk.lab.run(argv, env=person(home), cwd=home / "work", timeout_s=40, stdin="")
    return ran.returncode, ran.stdout + ran.stderr


def runs_curl(desk: Desk) -> None:
    """Alice's next answer asks for a request to a host that is not pooled."""
    call = tool_call("alice", "curl -sS -o /dev/null -w 'it said %{http_code}' https://auth.openai.com/")
    desk.fakes.behave("alice", {"kind": "ok", "first": 1, "on": ["request"], "route": "responses", **call})


def test_codex_needs_nothing_but_its_env_file_and_what_it_runs_reaches_the_world(desk: Desk, home: Path) -> None:
    codex_login(home / ".codex", EDITOR)
    set_up(desk, home, "codex")
    desk.pool("alice")
    desk.fakes.behave("*", UPGRADE_REFUSED)
    runs_curl(desk)
    code, said = codex_says(desk, home)
    assert (code, "alice0 alice1 alice2" in said, "it said 404" in said) == (0, True, True), said
    # Why the file that is named there has the system's authorities in it, too.
    settings = home / ".codex" / ".env"
    settings.write_text(settings.read_text().replace("with-system-roots.pem", "mitmproxy-ca-cert.pem"))
    runs_curl(desk)
    code, said = codex_says(desk, home)
    refused = "(60) SSL certificate problem" in said  # what curl prints to both of its outputs may be mixed before that
    assert (code, "alice0 alice1 alice2" in said, refused) == (0, True, True), said


# How a program is started by a shell that has read its file. An interactive one would want a terminal.
FROM_SHELL = ["bash", "-c", '[ ! -e ~/.bashrc ] || . ~/.bashrc; exec "$@"', "bash"]
TOKEN = tokens.github_token("emma", "gho")
ASK = ["copilot", "-p", "say hi", "--model", "gpt-5-mini", "--no-auto-update", "--allow-all-tools"]


def copilot_says(desk: Desk, home: Path) -> tuple[int, str, str]:
    environment = person(home, COPILOT_GITHUB_TOKEN=TOKEN)
    ran = desk.lab.run([*FROM_SHELL, *ASK], env=environment, cwd=home / "work", timeout_s=40, stdin="")
    return ran.returncode, ran.stdout.strip(), ran.stderr


@pytest.mark.parametrize("name", ["shell", "copilot-cli"])
def test_the_copilot_cli_works_from_a_shell_that_was_set_up(desk: Desk, home: Path, name: str) -> None:
    (home / ".bashrc").write_text("# mine\n")
    (home / ".copilot").mkdir()
    set_up(desk, home, name)
    desk.pool("dave")
    assert copilot_says(desk, home)[:2] == (0, "dave0 dave1 dave2")


def test_the_copilot_cli_that_is_told_of_the_proxy_alone_reaches_nobody(desk: Desk, home: Path) -> None:
    (home / ".bashrc").write_text("")
    set_up(desk, home, "shell")
    without(home / ".bashrc", "NODE_EXTRA_CA_CERTS")
    desk.pool("dave")
    code, said, complaint = copilot_says(desk, home)
    assert (code, said) == (1, "")
    assert "tls_post_process_server_certificate:certificate verify failed" in understood(complaint)
    refused = [text.partition(",")[0] for text, level in doctor_says(desk) if level == "warning"]
    assert "a program refused the proxy's certificate for api.individual.githubcopilot.com" in refused


def test_the_copilot_cli_that_trusts_seatpools_roots_alone_says_so(desk: Desk, home: Path) -> None:
    alone = {"SSL_CERT_FILE": str(desk.proxy.ca), "HTTPS_PROXY": desk.proxy.url}
    ran = desk.lab.run(ASK, env=person(home, **alone, COPILOT_GITHUB_TOKEN=TOKEN), cwd=home / "work", stdin="")
    assert understood(ran.stderr) == {"Authentication token found but could not be validated"}, ran.stdout + ran.stderr


def serve(
    started: Started, home: Path, more: Mapping[str, str] = MappingProxyType({}), state: str = "Normal"
) -> LanguageServer:
    environment = person(home, GH_COPILOT_TOKEN=TOKEN, GH_COPILOT_USER="emma", **more)
    process = started([*FROM_SHELL, *language_server.ARGV], environment, home / "work")
    return LanguageServer(process, home / "work", state)


def test_the_language_server_works_in_an_editor_that_such_a_shell_starts(
    desk: Desk, started: Started, home: Path
) -> None:
    (home / ".bashrc").write_text("")
    set_up(desk, home, "shell")
    desk.pool("dave")
    server = serve(started, home)
    assert [text.strip() for text in server.complete()] == ["dave0 dave1 dave2"]
    chat = server.chat("say hi", "gpt-5-mini")
    assert (chat.error, chat.text.strip()) == (None, "dave0 dave1 dave2")


def test_the_language_server_that_is_told_of_the_proxy_alone_reaches_nobody(
    desk: Desk, started: Started, home: Path
) -> None:
    (home / ".bashrc").write_text("")
    set_up(desk, home, "shell")
    without(home / ".bashrc", "NODE_EXTRA_CA_CERTS")
    desk.pool("dave")
    server = serve(started, home)
    assert server.complete() == []
    with pytest.raises(RpcError) as failed:
        server.chat("say hi", "gpt-5-mini")
    assert understood(str(failed.value)) == {"self-signed certificate in certificate chain"}
    shown = [m.params.get("message", "") for m in server.rpc.messages if m.method == "didChangeStatus"]
    assert "self-signed certificate in certificate chain" in shown, "in the editor's status line"


def test_the_language_server_says_when_nothing_listens(started: Started, home: Path) -> None:
    said = serve(started, home, {"HTTPS_PROXY": NOWHERE}, "Warning").says
    assert understood(said) == {"ECONNREFUSED"}, said


def test_codex_that_is_told_of_a_proxy_without_a_scheme_says_so(desk: Desk, home: Path) -> None:
    codex_login(home / ".codex", EDITOR)
    set_up(desk, home, "codex")
    settings = home / ".codex" / ".env"
    settings.write_text(settings.read_text().replace("http://127.0.0.1", "127.0.0.1"))
    desk.pool("alice")
    code, said = codex_says(desk, home)
    assert (code, understood(said)) == (0, {"Proxy URL scheme not supported"}), said


@pytest.mark.parametrize("name", LOST)
def test_codex_that_cannot_come_says_what_the_doctor_explains(desk: Desk, lost: Mapping[str, Lost], name: str) -> None:
    """Started with the first of these tests: it tries for 20 seconds."""
    code, said = lost[name].process.wait(60), lost[name].said.read_text()
    wanted = {"workspace routing discovery failed", "Connection failed: error sending request"}
    assert (code, understood(said)) == (1, wanted), said
    assert desk.fakes.journal() == []


def test_codex_says_that_the_file_of_authorities_is_gone(desk: Desk, home: Path) -> None:
    codex_login(home / ".codex", EDITOR)
    set_up(desk, home, "codex")
    (home / "data/seatpool/ca" / BUNDLE).unlink()
    ran = desk.lab.run(["codex", "doctor", "--json"], env=person(home), cwd=home / "work", timeout_s=60, stdin="")
    assert "Failed to read CA certificate file" in understood(ran.stdout), ran.stdout


DOCTOR = {"without trust": {"TLS handshake or certificate validation failed"}, "without a proxy": set()}


@pytest.mark.parametrize("name", LOST)
def test_the_doctor_of_codex_tells_the_one_from_the_other(desk: Desk, home: Path, name: str) -> None:
    codex_login(home / ".codex", EDITOR)
    set_up(desk, home, "codex")
    LOST[name](home / ".codex" / ".env")
    ran = desk.lab.run(["codex", "doctor"], env=person(home), cwd=home / "work", timeout_s=60, stdin="")
    assert understood(ran.stdout + ran.stderr) == DOCTOR[name], ran.stdout
