"""Transparent mode with the system's own firewall, in a network of its own: no program knows of a proxy."""

import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from seatpool.providers.registry import provider_of
from seatpool.setup.transparent import GROUP
from tests.e2e.conftest import ACCOUNTS, ALONE, CODEX_BODY, CODEX_PATH, EDITOR, Scene, codex_headers
from tests.harness import REPOSITORY, Lab, Mitmdump
from tests.harness.clients import curl
from tests.harness.namespace import why_no_namespaces
from tests.upstream.certs import CA_NAME
from tests.upstream.hosts import FAKE_HOSTS

# Public addresses, as a machine without a router in front has them: mitmproxy by itself turns those away.
POOLED4, POOLED6, OTHER4 = "192.31.196.1", "2620:4f:8000::1", "192.31.196.2"
NEW4 = "192.31.196.3"
OF_OTHERS = "add table inet others; add chain inet others kept { type filter hook output priority 10; }"
SEND_UDP = f"""
import socket
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.settimeout(5)
asked.connect(({POOLED4!r}, 443))
asked.send(b"QUIC")
asked.recv(1)
"""


def why_not(*tools: str) -> str | None:
    if os.geteuid() != 0:
        return "redirecting takes root"
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return f"no {', '.join(missing)} on this machine" if missing else why_no_namespaces()


def needs(*tools: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(why_not(*tools) is not None, reason=f"no transparent mode: {why_not(*tools)}")


class Box:
    """A machine with two public addresses and the world behind them."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.fakes = lab.upstream({"accounts": ACCOUNTS}, address="")
        self._proxy = Mitmdump(folder / "home", lab=lab)
        self._proxy.folder.mkdir()
        self.scene = Scene(lab, self.fakes, self._proxy, folder)
        self.scene.pool("alice", "bob")
        self.ca = folder / "home" / "data" / "seatpool" / "ca" / "mitmproxy-ca-cert.pem"
        options = {**ALONE, "ssl_verify_upstream_trusted_ca": str(self.fakes.ca), "flow_detail": "1"}
        self._arguments = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]

    def transparent(self, *argv: str, code: int = 0) -> str:
        """What a command says that ends with this exit code."""
        script = REPOSITORY / "scripts" / "transparent"
        module: Sequence[str | Path] = [sys.executable, "-m", "seatpool.cli", "transparent"]
        program = [script] if (REPOSITORY / ".venv" / "bin" / "seatpool").exists() else module
        env = {**self._proxy._env, "PYTHONPATH": str(REPOSITORY / "addon")}
        ran = self.lab.run([*program, *argv], env=env)
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def on(self, *argv: str) -> None:
        self.transparent("on", *argv, "--db", str(self._proxy.database), "--", *self._arguments)

    def ask(self, *how: str, program: str = "curl", ca: Path | None = None) -> str:
        """Whose answer a Codex gets that has heard of no proxy."""
        headers = [part for name, value in codex_headers().items() for part in ("-H", f"{name}: {value}")]
        data = ("--data-binary", CODEX_BODY.decode())
        argv = curl(f"https://chatgpt.com{CODEX_PATH}", *headers, *data, *how, ca=ca or self.ca)
        ran = self.lab.run([program, *argv[1:]])
        found = re.search(r'"id": "resp_(\w+?)_\d+"', ran.stdout)
        assert ran.returncode == 0 and found, ran.stdout + ran.stderr
        return found[1]

    def issuer(self, host: str, *how: str, user: int = 0) -> str:
        """Who vouches for a host."""
        asked = [
            "setpriv",
            f"--reuid={user}",
            "--clear-groups",
            "curl",
            "-sSkv",
            "--max-time",
            "10",
            *how,
            f"https://{host}/",
        ]
        told = self.lab.run(asked).stderr
        return next(line.partition("issuer: ")[2] for line in told.splitlines() if "issuer: " in line)

    def rules(self, *command: str) -> str:
        ran = self.lab.run(command or ("nft", "list", "ruleset"))
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def state(self) -> dict[str, Any]:
        """What is known of it while it is on."""
        found: dict[str, Any] = json.loads(self.rules("sh", "-c", "cat /run/seatpool/transparent-*.json"))
        return found

    def log(self) -> str:
        """What the proxy says."""
        return self.rules("sh", "-c", "cat /run/seatpool/transparent-*.log")

    def process(self, name: str) -> int:
        """The number of `proxy` or `holder`."""
        return int(self.state()[name]["pid"])

    def left(self) -> str:
        """Files of ours."""
        return self.rules("find", "/run", "-name", "*seatpool*", "-o", "-name", "transparent*")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    folder = tmp_path_factory.mktemp("transparent")
    places = {host: POOLED4 for host in FAKE_HOSTS if provider_of(host)} | {"example.com": OTHER4}
    with pytest.MonkeyPatch.context() as patch, Lab(folder / "lab", elsewhere=places) as lab:
        patch.setenv("SEATPOOL_KEYRING", "off")
        lab.run(["mount", "-t", "tmpfs", "tmpfs", "/run"])
        with (lab.folder / "hosts").open("a") as hosts:
            hosts.write(f"{POOLED6} chatgpt.com\n")
        for address in (f"{POOLED4}/32", f"{OTHER4}/32", f"{POOLED6}/128"):
            assert lab.run(["ip", "address", "add", address, "dev", "lo"]).returncode == 0
        box = Box(lab, folder)
        try:
            yield box
        finally:
            box.transparent("off")


def until(happens: Callable[[], bool], timeout_s: float = 10) -> None:
    end = time.monotonic() + timeout_s
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@needs("nft", "curl")
def test_programs_that_know_of_no_proxy_reach_the_pool_and_off_leaves_nothing(box: Box) -> None:
    box.rules("nft", OF_OTHERS)
    before = box.rules()
    assert "off" in box.transparent("status", code=3)
    shown = box.transparent("on", "--dry-run", "--backend", "pf", "--port", "9443")
    assert f"table <hosts4> {{ {POOLED4} }}" in shown and "-> ::1 port 9443" in shown
    assert (box.rules(), box.left()) == (before, ""), "nothing was done"

    box.on()
    for family in ("-4", "-6"):
        assert box.ask(family) == "alice", "the first of the pool; the program's own login is the editor's"
    assert box.scene.asked("responses") == ["alice", "alice"]
    assert box.scene.asked("accounts-check")[:1] == ["alice"], "the proxy's own calls get out"
    proxy = box.process("proxy")
    assert f"Gid:\t{GROUP}\t{GROUP}\t{GROUP}\t{GROUP}\n" in Path(f"/proc/{proxy}/status").read_text()
    assert box.log().count("client connect") == 2, "nothing of the proxy's came back to it"

    assert CA_NAME in box.issuer("example.com")
    assert CA_NAME not in box.issuer("chatgpt.com")
    assert OTHER4 not in box.log() and box.log().count("client connect") == 3
    shared = ("--connect-to", f"example.com:443:{POOLED4}:443")
    assert CA_NAME in box.issuer("example.com", *shared), "another site on a pooled host's address stays sealed"
    assert CA_NAME in box.issuer("chatgpt.com", user=65534), "other users are let alone"
    assert "PermissionError" in box.lab.run([sys.executable, "-c", SEND_UDP]).stderr, "no HTTP/3 around the proxy"

    assert before in box.rules() and box.rules().count("table inet seatpool") == 1
    with (box.lab.folder / "hosts").open("a") as hosts:
        hosts.write(f"{NEW4} api.githubcopilot.com\n")
    box.on()
    until(lambda: NEW4 in box.rules())
    assert (box.process("proxy"), box.rules().count("table inet seatpool")) == (proxy, 1)
    assert POOLED4 in box.rules(), "what a name has meant stays"
    assert "on: nft redirects what programs of root send to 9 hosts (2 of IPv4 and 1 of IPv6)" in box.transparent(
        "status"
    )

    box.transparent("off")
    assert (box.rules(), is_alive(proxy), box.left()) == (before, False, "")
    assert box.ask(ca=box.fakes.ca) == EDITOR


@needs("nft", "curl")
def test_whoever_is_killed_the_rules_go_along(box: Box) -> None:
    before = box.rules()
    box.on()
    holder = box.process("holder")
    os.kill(box.process("proxy"), signal.SIGKILL)
    until(lambda: box.rules() == before and not is_alive(holder))
    assert box.ask(ca=box.fakes.ca) == EDITOR
    assert "the proxy has ended by itself; what it said is in /run/" in box.transparent("status", code=3)

    box.on()
    holder, proxy = box.process("holder"), box.process("proxy")
    os.kill(holder, signal.SIGKILL)
    until(lambda: box.rules() == before)
    assert box.ask(ca=box.fakes.ca) == EDITOR
    found = json.loads(box.transparent("status", "--json", code=1))
    assert (found["state"], found["rules"], found["mended"]) == ("broken", False, True)
    assert (found["proxy"], found["holder"]["alive"]) == ({"pid": proxy, "alive": True}, False)
    assert (is_alive(proxy), box.left()) == (False, "")


@needs("iptables-restore", "ip6tables-restore", "nft", "curl")
def test_iptables_does_the_same_where_there_is_no_nftables(box: Box) -> None:
    def saved() -> list[str]:
        both = box.rules("iptables-save") + box.rules("ip6tables-save")
        return [line for line in both.splitlines() if line.startswith("-")]

    box.rules("iptables", "-t", "nat", "-A", "OUTPUT", "-d", "192.0.2.7", "-j", "RETURN")
    before = saved()
    box.on("--backend", "iptables")
    for family in ("-4", "-6"):
        assert box.ask(family) == "alice"
    box.on("--backend", "iptables")
    assert sum("-j SEATPOOL" in line for line in saved()) == 4, "both tables of both families, once"
    assert set(before) < set(saved())
    os.kill(box.process("holder"), signal.SIGKILL)
    assert box.ask() == "alice", "the proxy is still there, and so are the rules"
    told = box.transparent("status", code=1)
    assert "the process that holds the rules (process" in told and "the proxy (process" not in told
    assert "all of it is taken out now; nothing is redirected any more" in told
    assert (saved(), box.left()) == (before, "")


SUDO = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
exec "$@"
"""
"""In place of the real one: mitmproxy asks for it even where it is root already."""


@needs("curl")
@pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="local capture needs /dev/net/tun")
def test_local_capture_takes_the_named_programs_alone(box: Box, tmp_path: Path) -> None:
    """It is the system's eBPF that does it: for the whole machine, so the name is one that nobody else has."""
    (tmp_path / "sudo").write_text(SUDO)
    (tmp_path / "sudo").chmod(0o755)
    named = shutil.copy(shutil.which("curl") or "", tmp_path / "captured-curl")
    # Where hierarchies are mixed, cgroup2 is not where mitmproxy looks for it.
    box.lab.run(["sh", "-c", "[ -e /sys/fs/cgroup/cgroup.procs ] || mount -t cgroup2 none /sys/fs/cgroup"])
    proxy = Mitmdump(
        tmp_path / "proxy",
        lab=box.lab,
        upstream_ca=box.fakes.ca,
        options={**ALONE, "pool_db": str(box.scene.proxy.database)},
        arguments=("--mode", "regular", "--mode", "local:nobody-else,captured-curl@1"),
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    try:
        proxy.start()
    except RuntimeError:
        if any("eBPF initialization failed" in line for line in proxy.log):
            pytest.skip("this kernel, or this container, does not let mitmproxy's eBPF in")
        raise
    try:
        proxy.wait_log("Local redirector started")
        for family in ("-4", "-6"):
            assert box.ask(family, program=str(named), ca=proxy.ca) == "alice"
        assert box.ask(ca=box.fakes.ca) == EDITOR, "another program is not captured"
        assert sum("client connect" in line for line in proxy.log) == 2
    finally:
        proxy.stop()
