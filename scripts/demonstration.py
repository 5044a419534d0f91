"""What `./scripts/demo` shows: fake upstreams, two accounts, a real mitmdump with the pool, a real curl.

The proxy finds the fakes through a three-line addon that changes where connections to chatgpt.com lead.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from seatpool.providers.codex import CODEX
from seatpool.store import Store
from tests.upstream import codex_auth

ROOT = Path(__file__).parent.parent
PATIENCE_S = 30
"""For anything that should take a second."""

WORLD = {
    "accounts": {
        "editor": {"provider": "codex"},
        "alice": {"provider": "codex", "behaviours": [{"kind": "usage_limit", "resets_in_s": 7200}]},
        "bob": {"provider": "codex", "behaviours": [{"deltas": 8, "gap_ms": 200}]},
    }
}

REDIRECT = """
def server_connect(data):
    data.server.address = ("127.0.0.1", {port})

def server_connected(data):
    data.server.address = ("chatgpt.com", 443)
"""


def main() -> int:
    """Run it; 0 when the stream came from the second account."""
    if shutil.which("curl") is None:
        print("the demo needs curl on the path", file=sys.stderr)
        return 1
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="seatpool-demo-")))
        os.environ["SEATPOOL_KEYRING"] = "off"
        print("Two pretended accounts: alice, asked first, has used up her plan; bob has not.\n")
        upstream_port = stack.enter_context(fakes(folder))
        fill_pool(folder / "pool.db")
        since = time.monotonic()
        port = stack.enter_context(proxy(folder, upstream_port, lambda line: say(since, "pool", line)))
        said = ask(folder, port, lambda line: say(since, "curl", line))
    served = said.startswith("bob0")
    print(f"\n{'curl never heard of the 429.' if served else 'Something is wrong: the stream did not come from bob.'}")
    print("Your own accounts: ./scripts/seatpool login codex (or copilot), then ./scripts/run" if served else "")
    return 0 if served else 1


def say(since: float, who: str, what: str) -> None:
    """One line beside the others."""
    print(f"{time.monotonic() - since:6.2f} s  {who}   {what}", flush=True)


@contextmanager
def running(argv: list[str], **more: object) -> Iterator[subprocess.Popen[str]]:
    """A program that is ended with this block, whatever happens in it."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}  # what it says is shown as it is said
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=env, **more)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        process.stdout.close()


@contextmanager
def fakes(folder: Path, world: Mapping[str, object] = WORLD) -> Iterator[int]:
    """The pretended chatgpt.com, on a free port."""
    (folder / "world.json").write_text(json.dumps(world))
    argv = [sys.executable, "-m", "tests.upstream", "--script", str(folder / "world.json"), "--port", "0"]
    with running([*argv, "--ca-out", str(folder / "upstream-ca.pem")]) as process:
        yield json.loads(process.stdout.readline())["port"]


def fill_pool(database: Path, names: Sequence[str] = ("alice", "bob")) -> None:
    """The accounts, with where they are served already known, so that no side call has to find the fakes."""
    with Store.open(str(database)) as store:
        for priority, name in enumerate(names):
            login = (CODEX.read_login("auth.json", json.dumps(codex_auth(name)).encode()) or ())[0]
            placed = replace(login.credentials[0], endpoints={"api": "https://chatgpt.com"})
            store.save_login(
                provider=login.provider,
                identity=login.identity,
                name=name,
                issuer=login.issuer,
                plan=login.plan,
                credentials=[placed],
                now=datetime.now(UTC),
            )
            store.set_priority(name, priority)


@contextmanager
def proxy(folder: Path, upstream_port: int, tell: Callable[[str], None]) -> Iterator[int]:
    """A real mitmdump with the pool; its lines about accounts go to `tell`."""
    (folder / "redirect.py").write_text(REDIRECT.format(port=upstream_port))
    options = {
        "confdir": folder / "mitmproxy",
        "pool_db": folder / "pool.db",
        "ssl_verify_upstream_trusted_ca": folder / "upstream-ca.pem",
        "flow_detail": 0,
        "pool_strategy": "priority",  # alice first
        "pool_learn": "false",  # two accounts are enough to tell of
    }
    argv = [str(Path(sys.executable).with_name("mitmdump")), "-s", "addon/pool.py", "-s", str(folder / "redirect.py")]
    argv += ["--listen-host", "127.0.0.1", "--listen-port", "0"]
    argv += [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    ports: list[int] = []
    listening = threading.Event()

    def read(process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            if found := re.search(r"listening at \S*:(\d+)", line):
                ports.append(int(found[1]))
                listening.set()
            if found := re.search(r"account=\S+ action=.*", line):
                tell(found[0])

    with running(argv, stderr=subprocess.STDOUT) as process:
        reader = threading.Thread(target=read, args=(process,), daemon=True)
        reader.start()
        if not listening.wait(PATIENCE_S):
            raise SystemExit("mitmdump did not start")
        yield ports[0]
        process.terminate()
        reader.join(10)


def ask(folder: Path, port: int, tell: Callable[[str], None], conversation: str | None = None) -> str:
    """A streamed request as the editor's own Codex would send it; returns everything that the model said."""
    tokens = codex_auth("editor")["tokens"]
    headers = {
        "authorization": f"Bearer {tokens['access_token']}",
        "chatgpt-account-id": tokens["account_id"],
        "content-type": "application/json",
        "accept": "text/event-stream",
        **({"session-id": conversation} if conversation is not None else {}),
    }
    argv = ["curl", "-sSN", "--max-time", str(PATIENCE_S), "-x", f"http://127.0.0.1:{port}"]
    argv += ["--cacert", str(folder / "mitmproxy" / "mitmproxy-ca-cert.pem")]
    argv += [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    argv += ["-d", '{"model":"gpt-x","stream":true,"input":[]}', "-w", "status %{http_code}\n"]
    tell("POST https://chatgpt.com/backend-api/codex/responses, as the editor's own account")
    said = ""
    with running([*argv, "https://chatgpt.com/backend-api/codex/responses"]) as process:
        for line in process.stdout or ():
            if line.startswith("data: ") and "delta" in (event := json.loads(line[6:])):
                said += event["delta"]
                tell(f"hears {event['delta']!r}")
            elif line.startswith("status "):
                tell(f"ends with {line.strip()}")
    return said


if __name__ == "__main__":
    sys.exit(main())
