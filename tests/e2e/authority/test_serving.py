"""A real mitmdump with an authority that is for the common names alone, and 61 days old when it starts."""

import asyncio
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from seatpool.providers.registry import CERTIFIED
from seatpool.setup import strangers
from seatpool.setup.authority import Authority
from tests.e2e.authority.believers import environment
from tests.harness import Lab, Mitmdump, Network
from tests.harness.clients import curl
from tests.harness.namespace import why_no_namespaces
from tests.upstream import Control
from tests.upstream.certs import CA_NAME
from tests.upstream.hosts import TENANT

AGE = timedelta(days=61)
UNKNOWN = "api.proplus.githubcopilot.com"


class Place:
    """The lab, and what a person's programs see from there."""

    def __init__(self, lab: Lab, fakes: Control, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.authority = Authority(folder / "data" / "seatpool" / "ca")
        self.fakes = fakes
        self.proxy = Mitmdump(folder, lab=lab, upstream_ca=fakes.ca, options={"confdir": str(self.authority.folder)})

    async def issuer(self, host: str, ca: Path) -> str:
        """Who vouches for a host to those who trust `ca`."""
        certificate = await Network(ca, self.proxy.address, self.lab.connect).peer_certificate(host)
        return str(dict(pair for part in certificate["issuer"] for pair in part)["commonName"])

    def curl(self, url: str, *more: str, ca: Path | None = None) -> str:
        """The status of an answer; `curl` ends well or the test does not."""
        argv = curl(
            url, "-o", "/dev/null", "-w", "%{http_code}", *more, ca=ca or self.authority.trusted, proxy=self.proxy.url
        )
        ran = self.lab.run(argv)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    reason = why_no_namespaces()
    if reason is not None:
        pytest.skip(f"end-to-end tests need a namespace of their own: {reason}")
    folder = tmp_path_factory.mktemp("serving")
    with pytest.MonkeyPatch.context() as patch, Lab(folder / "lab") as lab:
        patch.setenv("SEATPOOL_KEYRING", "off")
        place = Place(lab, lab.upstream({"accounts": {}}), folder)
        place.authority.keep(CERTIFIED, datetime.now(UTC) - AGE)
        with place.proxy:
            yield place


def issuing(place: Place) -> str:
    pair = place.authority.current()
    assert pair is not None
    return pair.issuing.subject.rfc4514_string().partition("CN=")[2].partition(",")[0]


async def test_pooled_hosts_are_vouched_for_by_the_issuing_certificate(place: Place) -> None:
    for host in ("chatgpt.com", "api.individual.githubcopilot.com", "copilot-proxy.githubusercontent.com"):
        assert await place.issuer(host, place.authority.trusted) == issuing(place)


async def test_what_the_authority_is_not_for_is_left_sealed_and_works(place: Place) -> None:
    assert await place.issuer(f"copilot-api.{TENANT}", place.fakes.ca) == CA_NAME
    assert await place.issuer("api.github.com", place.fakes.ca) == CA_NAME


def test_a_client_that_comes_by_address_gets_a_certificate_that_it_can_accept(place: Place) -> None:
    assert place.curl("https://chatgpt.com/nothing", "--connect-to", "chatgpt.com:443:127.0.0.1:443") == "404"


def test_a_foreign_name_by_the_way_of_a_pooled_one_is_left_sealed(place: Place) -> None:
    way = ("--connect-to", "example.com:443:chatgpt.com:443")
    assert place.curl("https://example.com/", *way, ca=place.fakes.ca) != "000"


def test_an_unknown_host_of_a_provider_is_tunnelled_told_and_counted(place: Place) -> None:
    for _ in range(2):
        way = ("--connect-to", f"{UNKNOWN}:443:127.0.0.1:443", "--insecure")
        place.curl(f"https://{UNKNOWN}/", *way)
    place.proxy.wait_log(f"action=tunnelled host={UNKNOWN} reason=unknown-host")
    assert sum(UNKNOWN in line and "action=" in line for line in place.proxy.log) == 1
    place.proxy.stop()
    (row,) = strangers.read(place.folder / "data" / "seatpool" / "unknown-hosts.json")
    assert (row.host, row.connections) == (UNKNOWN, 2)
    place.proxy.start()


async def test_a_successor_is_made_and_taken_up_without_a_restart(place: Place) -> None:
    former = await place.issuer("chatgpt.com", place.authority.trusted)
    async with asyncio.timeout(10):
        while place.authority.next() is None:
            await asyncio.sleep(0.05)
    assert not [line for line in place.proxy.log if "change=none" in line], "what is as it was is not told"
    assert place.authority.trusted.read_text().count("BEGIN CERTIFICATE") == 2
    place.authority.keep((), datetime.now(UTC) + timedelta(days=28))
    assert issuing(place) == await place.issuer("chatgpt.com", place.authority.trusted) != former


async def test_a_damaged_file_leaves_the_former_authority_in_use(place: Place) -> None:
    trusted = place.folder / "kept.pem"
    trusted.write_bytes(place.authority.trusted.read_bytes())
    former = issuing(place)
    kept = place.authority.in_use.read_bytes()
    place.authority.in_use.write_text("nothing")
    with pytest.raises((OSError, ssl.SSLError)):
        await place.issuer("example.com", trusted)
    assert await place.issuer("chatgpt.com", trusted) == former
    place.authority.in_use.write_bytes(kept)
    assert await place.issuer("chatgpt.com", trusted) == former


def test_the_roots_can_be_had_of_the_proxy_itself(place: Place) -> None:
    """For containers and other machines, as certs-howto.md says: both of them, while there are two."""
    ran = place.lab.run(curl("http://mitm.it/cert/pem", ca=place.authority.trusted, proxy=place.proxy.url))
    assert (ran.returncode, ran.stdout) == (0, place.authority.trusted.read_text())


def test_run_makes_an_authority_at_its_first_start_and_uses_it(place: Place, tmp_path: Path) -> None:
    first = _run(place, tmp_path)
    assert "made a certificate authority that can vouch for" in first
    trusted = tmp_path / "data" / "seatpool" / "ca" / "mitmproxy-ca-cert.pem"
    assert f"its certificate authority is {trusted}" in first
    before = trusted.read_bytes()
    assert "made a certificate authority" not in _run(place, tmp_path)
    assert trusted.read_bytes() == before
    assert not (tmp_path / ".mitmproxy").exists(), "no authority without bounds lies about"


def test_run_leaves_a_folder_that_the_person_names_to_the_person(place: Place, tmp_path: Path) -> None:
    named = tmp_path / "mine"
    said = _run(place, tmp_path, "--set", f"confdir={named}")
    assert f"its certificate authority is {named / 'mitmproxy-ca-cert.pem'}" in said
    assert (named / "mitmproxy-ca.pem").exists()
    assert not (tmp_path / "data" / "seatpool" / "ca").exists()


@pytest.mark.parametrize("told", [("--listen-port", "8081"), ("--mode", "regular@8081")])
def test_where_mitmdump_is_told_another_port_that_is_the_one_to_set(
    place: Place, tmp_path: Path, told: tuple[str, ...]
) -> None:
    said = _run(place, tmp_path, *told, port=8082)
    assert "seatpool listens on http://127.0.0.1:8081;" in said
    assert "8082" not in said


def _run(place: Place, home: Path, *arguments: str, port: int = 8081) -> str:
    """What `seatpool run` says until one request has come through it; its own port, so that the other proxy may run."""
    env = {**environment(place.lab), "HOME": str(home), "XDG_DATA_HOME": str(home / "data")}
    more = ("--set", f"ssl_verify_upstream_trusted_ca={place.fakes.ca}", *arguments)
    argv = [sys.executable, "-m", "seatpool.cli", "run", "--port", str(port), "--", *more]
    process = place.lab.popen(argv, env=env, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if "listening at" in line:
            break
    trusted = said.partition("its certificate authority is ")[2].partition(" (")[0]
    ran = place.lab.run(curl("https://chatgpt.com/nothing", "-f", ca=Path(trusted), proxy="http://127.0.0.1:8081"))
    assert (ran.returncode, "404" in ran.stderr) == (22, True), said + ran.stderr
    process.send_signal(signal.SIGINT)
    said += process.stdout.read()
    place.lab.end(process)
    return said
