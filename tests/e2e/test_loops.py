"""Ways that lead back into the proxy, real ones: each is refused at its first turn, in words, at a small price."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Lab, Mitmdump
from tests.harness.clients import curl
from tests.harness.namespace import why_no_namespaces

ABROAD = "198.51.100.7"
"""An address of nobody (RFC 5737) that the redirect catches."""
SEALED = "example.com"
CODEX = "https://chatgpt.com/backend-api/codex/responses"
FEW = 6
"""Client connections that one request may cost: its own, and one for each sending of three."""
MODES = (
    "regular@8080",
    "reverse:https://chatgpt.com@443",
    "reverse:http://example.com@80",
    "upstream:http://127.0.0.1:8081@8083",
    "transparent@8084",
)
REDIRECT = f"""
table ip lab {{
  chain output {{
    type nat hook output priority -100;
    ip daddr {ABROAD} tcp dport {{ 22, 443 }} redirect to :8084
  }}
}}
"""


class Place:
    """A proxy with every kind of way back: its names resolve to it, and another proxy sends back what it gets."""

    def __init__(self, lab: Lab, proxy: Mitmdump) -> None:
        self.lab = lab
        self.proxy = proxy

    def curl(self, *arguments: str) -> tuple[str, str]:
        """What was answered, and what curl complained of."""
        ran = self.lab.run(curl(arguments[-1], "-m", "10", *arguments[:-1], ca=self.proxy.ca))
        return ran.stdout, ran.stderr

    def since(self) -> int:
        """A mark in the log."""
        return len(self.proxy.log)

    def comes(self, since: int, words: str, times: int = 1) -> None:
        """Wait until so many lines of the log from there on have these words: a client may have its answer before."""
        until = time.monotonic() + 10
        while sum(words in line for line in self.proxy.log[since:]) < times:
            assert time.monotonic() < until, self.proxy.log[since:]
            time.sleep(0.02)

    def connections(self, since: int) -> int:
        """Of clients, in the log from there on."""
        return sum(line.endswith("client connect") for line in self.proxy.log[since:])

    def told(self, since: int) -> list[str]:
        """The addresses of which it was said that they lead back."""
        found = (re.search(r"action=loop-refused address=(\S+):\d+:", line) for line in self.proxy.log[since:])
        return [match[1] for match in found if match]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    reason = why_no_namespaces()
    if reason is not None:
        pytest.skip(f"names that resolve to the proxy need a namespace of their own: {reason}")
    folder = tmp_path_factory.mktemp("loops")
    with pytest.MonkeyPatch.context() as patch, Lab(folder, ("chatgpt.com", SEALED)) as lab:
        patch.setenv("SEATPOOL_KEYRING", "off")
        arguments = tuple(part for mode in MODES for part in ("--mode", mode))
        # As with the system's bundle after `seatpool ca trust`: the proxy would believe itself.
        itself = folder / "proxy" / "confdir" / "mitmproxy-ca-cert.pem"
        proxy = Mitmdump(folder / "proxy", lab=lab, upstream_ca=itself, arguments=arguments)
        back = ("--mode", "upstream:http://127.0.0.1:8083@8081")
        other = Mitmdump(folder / "other", lab=lab, bare=True, arguments=back, options={"ignore_hosts": ".*"})
        with proxy, other:
            yield Place(lab, proxy)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST.", "127.0.0.1:443"])
def test_a_client_that_asks_the_proxy_for_itself_is_told_so(place: Place, host: str) -> None:
    since = place.since()
    port = "" if ":" in host else ":8080"
    said, _ = place.curl("-x", "http://127.0.0.1:8080", f"http://{host}{port}/")
    assert said.startswith("seatpool: the way to ") and "leads back into this proxy" in said
    _, complaint = place.curl("-x", "http://127.0.0.1:8080", f"https://{host}{port}/")
    assert "508" in complaint
    place.comes(since, "client connect", 2)
    assert place.connections(since) == 2


def test_a_pooled_name_that_resolves_to_the_proxy_is_answered_once_in_the_providers_form(place: Place) -> None:
    since = place.since()
    said, _ = place.curl("-x", "http://127.0.0.1:8080", "-d{}", "-w", " %{http_code}", CODEX)
    assert "the way to chatgpt.com leads back into this proxy" in said
    assert said.startswith("{") and said.endswith(" 508"), "JSON, as the provider's own errors"
    place.comes(since, "action=loop-refused")
    assert place.connections(since) <= FEW
    assert place.told(since) == ["chatgpt.com"]


def test_a_name_that_is_left_sealed_and_resolves_to_the_proxy_ends_there(place: Place) -> None:
    since = place.since()
    said, complaint = place.curl("-x", "http://127.0.0.1:8080", f"https://{SEALED}/")
    assert (said, "curl: (35)" in complaint or "curl: (56)" in complaint) == ("", True), complaint
    place.comes(since, "action=loop-refused")
    assert place.connections(since) <= FEW
    assert place.told(since) == [SEALED]


def test_plain_http_to_a_name_that_resolves_to_the_proxy_ends_there(place: Place) -> None:
    since = place.since()
    _, complaint = place.curl(f"http://{SEALED}/")
    assert "curl: (52)" in complaint
    place.curl("-x", "http://127.0.0.1:8080", f"http://{SEALED}/")
    assert place.connections(since) <= FEW


@pytest.mark.parametrize("host", ["chatgpt.com", "elsewhere.example"])
def test_another_proxy_that_sends_back_what_it_gets_is_found_out_by_the_hello(place: Place, host: str) -> None:
    since = place.since()
    said, complaint = place.curl("-x", "http://127.0.0.1:8083", "-d{}", CODEX.replace("chatgpt.com", host))
    assert ("leads back into this proxy" in said) if host == "chatgpt.com" else "curl: (" in complaint
    assert place.connections(since) <= FEW
    assert len(place.told(since)) <= 1


@pytest.fixture
def redirected(place: Place) -> Iterator[None]:
    """As a redirect that does not spare the proxy's own connections."""
    if shutil.which("nft") is None:
        pytest.skip("no nft on this machine")
    rules = place.lab.folder / "rules.nft"
    rules.write_text(REDIRECT)
    way = f"ip addr add 192.0.2.1/32 dev lo && ip route add {ABROAD} dev lo && nft -f {rules}"
    made = place.lab.run(["sh", "-c", way])
    assert made.returncode == 0, made.stderr
    yield
    place.lab.run(["sh", "-c", f"nft delete table ip lab && ip route del {ABROAD} && ip addr del 192.0.2.1/32 dev lo"])


@pytest.mark.usefixtures("redirected")
@pytest.mark.parametrize("host", ["chatgpt.com", SEALED])
def test_a_redirect_that_catches_the_proxys_own_connections_ends_at_the_first(place: Place, host: str) -> None:
    since = place.since()
    said, complaint = place.curl("--connect-to", f"{host}:443:{ABROAD}:443", f"https://{host}/x")
    assert ("leads back into this proxy" in said) if host == "chatgpt.com" else "curl: (" in complaint
    assert place.connections(since) <= FEW
    assert not [line for line in place.proxy.log[since:] if "turned-away" in line]


@pytest.mark.usefixtures("redirected")
def test_what_is_neither_tls_nor_http_ends_too(place: Place) -> None:
    since = place.since()
    place.lab.run(["sh", "-c", f"printf 'SSH-2.0-x\\r\\n' | timeout 3 nc -q1 {ABROAD} 22"])
    assert place.connections(since) <= FEW


def test_before_a_byte_is_sent_as_well(place: Place, tmp_path: Path) -> None:
    """`connection_strategy=eager` connects as soon as it knows where to."""
    arguments = ("--mode", "reverse:http://chatgpt.com:8090@8090")
    eager = Mitmdump(tmp_path / "eager", lab=place.lab, arguments=arguments, options={"connection_strategy": "eager"})
    with eager:
        place.lab.run(["curl", "-sS", "-m", "5", "http://127.0.0.1:8090/"])
        assert [line for line in eager.log if "action=loop-refused" in line]
        assert sum(line.endswith("client connect") for line in eager.log) <= FEW


def test_an_upstream_proxy_that_is_the_proxy_itself_keeps_it_from_starting(place: Place, tmp_path: Path) -> None:
    for mode in ("upstream:http://localhost:8099@8099", "reverse:https://127.0.0.1:8099@8099"):
        proxy = Mitmdump(tmp_path / "itself", lab=place.lab, arguments=("--mode", mode))
        with pytest.raises(RuntimeError, match="seatpool itself listens there"):
            proxy.start()


def test_nothing_crashed_and_every_connection_is_over(place: Place) -> None:
    assert not [line for line in place.proxy.log if "crashed" in line or "Traceback" in line]
    ss = place.lab.run(["cat", "/proc/net/tcp"])
    open_now = [line for line in ss.stdout.splitlines()[1:] if line.split()[3] == "01"]
    assert len(open_now) <= FEW, subprocess.list2cmdline(open_now)
