"""Certificates name what the authority permits, and hosts that nobody knows are told from those that are known."""

import ipaddress
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from freezegun import freeze_time
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.certs import CertStore
from mitmproxy.test import taddons

from seatpool.core.notices import Expiry, expiring
from seatpool.providers.registry import CERTIFIED, certified_names, is_stranger, provider_of
from seatpool.proxy.certificates import Certificates, FittingStore
from seatpool.setup.authority import Authority, default_folder
from seatpool.setup.pair import within
from tests.upstream.hosts import FAKE_HOSTS, TENANT


def general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def names_made(store: CertStore, *names: str) -> tuple[str | None, list[str]]:
    entry = store.get_cert(names[0], [general(name) for name in names])
    return entry.cert.cn, [str(each.value) for each in entry.cert.altnames]


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        (["chatgpt.com"], ["chatgpt.com"]),
        (["chatgpt.com", "104.18.32.47"], ["chatgpt.com"]),  # a client that came by address
        (["2606:4700::6812:202f", "chatgpt.com"], ["chatgpt.com"]),
        (["us.chatgpt.com", "example.com", "chatgpt.com"], ["us.chatgpt.com", "chatgpt.com"]),
        (["example.com", "127.0.0.1"], ["example.com", "127.0.0.1"]),  # refused anyway, and plainly so
    ],
)
def test_a_certificate_names_what_its_authority_permits(tmp_path: Path, asked: list[str], made: list[str]) -> None:
    Authority(tmp_path).keep(CERTIFIED, datetime.now(UTC))
    store = FittingStore.of(CertStore.from_store(tmp_path, "mitmproxy", 2048))
    assert names_made(store, *asked) == (made[0], made)
    assert store.get_cert(made[0], [general(name) for name in made]) is store.get_cert(
        made[0], [general(name) for name in made]
    ), "made once"


def test_an_authority_without_bounds_makes_what_mitmproxy_asks_for(tmp_path: Path) -> None:
    store = FittingStore.of(CertStore.from_store(tmp_path, "mitmproxy", 2048))
    assert store.names == ()
    assert names_made(store, "chatgpt.com", "104.18.32.47") == ("chatgpt.com", ["chatgpt.com", "104.18.32.47"])


@pytest.mark.parametrize(
    ("made", "asked"),
    [
        ("2026-03-01", "2026-11-20"),  # a proxy that was not started anew for more than half a year
        ("2020-01-01", "2026-11-20"),  # one that was started before the machine's clock was set right
        ("2027-11-20", "2026-11-20"),
    ],
)
def test_a_certificate_that_is_not_good_now_is_made_anew(tmp_path: Path, made: str, asked: str) -> None:
    store = FittingStore.of(CertStore.from_store(tmp_path, "mitmproxy", 2048))
    names = [general("chatgpt.com")]
    with freeze_time(made):
        former = store.get_cert("chatgpt.com", names)
    with freeze_time(asked):
        cert = store.get_cert("chatgpt.com", names).cert
        assert cert.notbefore <= datetime.now(UTC) < cert.notafter
        assert store.get_cert("chatgpt.com", names).cert is cert, "made once"
    assert former not in store.expire_queue


def test_a_certificate_that_was_given_by_hand_is_left_to_whoever_gave_it(tmp_path: Path) -> None:
    with freeze_time("2020-01-01"):
        theirs = CertStore.from_store(tmp_path, "mitmproxy", 2048).get_cert("chatgpt.com", [general("chatgpt.com")])
    store = FittingStore.of(CertStore.from_store(tmp_path, "mitmproxy", 2048))
    store.add_cert(theirs, "chatgpt.com")
    with freeze_time("2026-11-20"):
        assert store.get_cert("chatgpt.com", [general("chatgpt.com")]) is theirs


def test_every_host_that_is_pooled_is_one_that_the_authority_is_for() -> None:
    pooled = [host for host in FAKE_HOSTS if provider_of(host)]
    assert len(pooled) > 8
    assert not [host for host in pooled if not within(host, certified_names([TENANT]))]


STRANGERS = {
    "api.proplus.githubcopilot.com": True,
    "proxy.githubcopilot.com": True,
    "new.api.githubcopilot.com": True,
    "copilot-chat.githubusercontent.com": True,
    "copilot-agent.octo.ghe.com": True,
    "codex.api.openai.com": True,
    "api.githubcopilot.com": False,  # pooled
    "any.thing.chatgpt.com": False,  # pooled
    "copilot-api.octo.ghe.com": False,  # pooled
    "ab.chatgpt.com": False,  # known, and sealed
    "telemetry.business.githubcopilot.com": False,
    "codex-portals.api.openai.com": False,
    "api.openai.com": False,  # not of what we serve
    "auth.openai.com": False,
    "github.com": False,
    "raw.githubusercontent.com": False,
    "githubcopilot.com.example.com": False,
    "evilgithubcopilot.com": False,
}


@pytest.mark.parametrize("host", STRANGERS)
def test_a_host_of_a_provider_that_is_not_in_the_tables_is_a_stranger(host: str) -> None:
    assert is_stranger(host) is STRANGERS[host]


async def test_the_end_of_the_authority_in_use_is_known_for_the_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder, now = default_folder(), datetime.now(UTC)
    Authority(folder).keep(CERTIFIED, now)
    pair = Authority(folder).current()
    assert pair is not None
    certificates, near = Certificates(), pair.ends - timedelta(days=10)
    certificates._keep(folder, near)
    assert certificates.expiry == Expiry(pair.ends, pair.ends - timedelta(days=2))
    notice = expiring(certificates.expiry, near)
    assert notice is not None and "seatpool ca trust" in notice.text
    assert expiring(certificates.expiry, pair.ends - timedelta(days=20)) is None


async def test_the_authority_is_looked_at_again_when_the_clock_was_set_back(tmp_path: Path) -> None:
    certificates, looks = Certificates(), []
    for moment in ("2027-11-20", "2027-11-20 01:00", "2026-11-20", "2026-11-20 05:00", "2026-11-20 07:00"):
        with freeze_time(moment, real_asyncio=True):
            before = certificates._looking
            certificates._renew(tmp_path)
            assert certificates._looking is not None
            await certificates._looking
            looks.append(certificates._looking is not before)
    assert looks == [True, False, True, False, True]


@pytest.mark.parametrize("looked", [0, 1, 2])
def test_the_authority_that_is_replaced_while_the_proxy_runs_is_followed(tmp_path: Path, looked: int) -> None:
    """Also where nobody has looked since mitmproxy has read the first one, and only then is it read again."""
    tls, certificates = TlsConfig(), Certificates()
    with taddons.context(tls) as context:
        context.configure(tls, confdir=str(tmp_path))
        first = tls.certstore.default_ca
        for _ in range(looked):
            certificates._fit(tls, context.options)
            assert isinstance(tls.certstore, FittingStore)
            assert tls.certstore.default_ca is first, "it is as it was read"
        another = CertStore.from_store(tmp_path / "another", "mitmproxy", 2048).default_ca
        shutil.copytree(tmp_path / "another", tmp_path, dirs_exist_ok=True)
        certificates._fit(tls, context.options)
        assert tls.certstore.default_ca == another != first
