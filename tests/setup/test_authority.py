"""The authority in its folder: what it permits, how it renews itself, and what it makes of a folder in disorder.

What programs make of its certificates is tested in `tests/e2e/authority`.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from mitmproxy.certs import CertStore

from seatpool.providers.registry import CERTIFIED, certified_names
from seatpool.setup.authority import (
    OVERLAP,
    RENEW_BEFORE,
    SWITCH_BEFORE,
    Authority,
    AuthorityError,
    Change,
    switches_at,
)
from seatpool.setup.pair import VALID, Pair

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """One that was made just now."""
    made = Authority(tmp_path / "data" / "ca")
    assert made.keep(CERTIFIED, NOW) is Change.MADE
    return made


def current(authority: Authority) -> Pair:
    pair = authority.current()
    assert pair is not None
    return pair


def tags_trusted(authority: Authority) -> list[str]:
    roots = x509.load_pem_x509_certificates(authority.trusted.read_bytes())
    return [root.subject.rfc4514_string().rpartition(" ")[2].partition(",")[0] for root in roots]


def test_both_certificates_are_bound_to_the_names_and_to_no_address(authority: Authority) -> None:
    pair = current(authority)
    for certificate, depth in ((pair.root, 1), (pair.issuing, 0)):
        bounds = certificate.extensions.get_extension_for_class(x509.NameConstraints)
        assert bounds.critical
        assert {name.value for name in bounds.value.permitted_subtrees or ()} == set(CERTIFIED)
        assert {str(name.value) for name in bounds.value.excluded_subtrees or ()} == {"0.0.0.0/0", "::/0"}
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, depth)
    assert pair.ends - NOW == VALID


def test_mitmproxy_reads_the_issuing_key_from_the_folder_and_sends_the_whole_chain(authority: Authority) -> None:
    store = CertStore.from_store(authority.folder, "mitmproxy", 2048)
    pair = current(authority)
    assert store.default_ca.to_cryptography() == pair.issuing
    assert [each.to_cryptography() for each in store.default_chain_certs] == [pair.issuing, pair.root]
    assert store.default_privatekey.public_key() == pair.issuing.public_key()


def test_the_folder_and_the_key_are_its_owners_alone(authority: Authority) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in (authority.folder, authority.in_use)}
    assert modes == {"ca": 0o700, "mitmproxy-ca.pem": 0o600}
    authority.prepare(CERTIFIED, NOW)
    assert (authority.folder / "next.pem").stat().st_mode & 0o777 == 0o600
    assert authority.open_to_others() == ()
    authority.folder.chmod(0o755)
    authority.in_use.chmod(0o644)
    assert authority.open_to_others() == (authority.folder, authority.in_use)
    authority.keep(CERTIFIED, NOW)
    assert authority.open_to_others() == ()


def test_the_one_key_on_the_disk_is_not_the_roots(authority: Authority) -> None:
    authority.prepare(CERTIFIED, NOW)
    roots = [pair.root.public_key() for pair in (authority.current(), authority.next()) if pair]
    keys = [path.read_bytes() for path in authority.folder.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert len(keys) == len(roots) == 2
    assert not [key for key in keys if load_pem_private_key(key, None).public_key() in roots]


def test_a_life_is_renewed_with_an_overlap_in_which_both_roots_are_offered(authority: Authority) -> None:
    first = current(authority)
    steps = {
        VALID - RENEW_BEFORE - DAY: (Change.NONE, 1),
        VALID - RENEW_BEFORE: (Change.PREPARED, 2),
        VALID - RENEW_BEFORE + DAY: (Change.NONE, 2),
        VALID - RENEW_BEFORE + OVERLAP: (Change.SWITCHED, 1),
        VALID: (Change.NONE, 1),
    }
    for age, (change, offered) in steps.items():
        assert authority.keep((), NOW + age) is change, age
        assert len(tags_trusted(authority)) == offered, age
        assert (current(authority).tag == first.tag) == (age < VALID - RENEW_BEFORE + OVERLAP), age
    assert current(authority).names == first.names
    assert current(authority).ends > NOW + VALID + DAY


def test_what_was_prepared_by_hand_takes_over_when_it_has_been_offered_long_enough(authority: Authority) -> None:
    following = authority.prepare(CERTIFIED, NOW)
    assert switches_at(current(authority), following) == NOW + OVERLAP
    assert authority.keep(CERTIFIED, NOW + OVERLAP - DAY) is Change.NONE
    assert authority.keep(CERTIFIED, NOW + OVERLAP) is Change.SWITCHED
    assert current(authority).tag == following.tag


@pytest.mark.parametrize(
    ("age", "change"),
    [(VALID - SWITCH_BEFORE, Change.SWITCHED), (VALID, Change.MADE), (VALID * 3, Change.MADE)],
)
def test_a_proxy_that_was_off_for_long_starts_with_a_new_one(
    authority: Authority, age: timedelta, change: Change
) -> None:
    assert authority.keep((), NOW + age) is change
    assert current(authority).ends == NOW + age + VALID
    assert tags_trusted(authority) == [current(authority).tag]


def test_at_once_means_that_nothing_of_the_former_one_is_offered_any_more(authority: Authority) -> None:
    former = current(authority)
    authority.prepare(CERTIFIED, NOW)
    pair = authority.replace(certified_names(["octo.ghe.com"]), NOW)
    assert (current(authority), authority.next()) == (pair, None)
    assert tags_trusted(authority) == [pair.tag] != [former.tag]
    assert pair.missing(certified_names(["octo.ghe.com"])) == ()
    assert former.missing(certified_names(["octo.ghe.com"])) == (
        "api.octo.ghe.com",
        "copilot-api.octo.ghe.com",
        "copilot-proxy.octo.ghe.com",
    )


def test_a_former_root_stays_known_until_it_is_forgotten(authority: Authority) -> None:
    former = current(authority)
    authority.replace(CERTIFIED, NOW)
    files = dict(authority.roots())
    assert set(files) == {former.root, current(authority).root}
    for file in files.values():
        authority.forget(file)
    assert [root for root, _ in authority.roots()] == [current(authority).root]


def test_of_two_that_make_one_at_the_same_time_the_first_wins(authority: Authority) -> None:
    first = authority.in_use.read_bytes()
    authority._write(authority.in_use.name, b"the second's", replace=False)
    assert authority.in_use.read_bytes() == first
    assert not [path for path in authority.folder.iterdir() if path.name.startswith(".")]


def damage(authority: Authority, kind: str) -> None:
    raw = authority.in_use.read_bytes()
    if kind == "mitmproxy's own":
        CertStore.create_store(authority.folder, "mitmproxy", 2048)
        return
    other = Authority(authority.folder.parent / "other")
    other.keep(CERTIFIED, NOW)
    mixed = other.in_use.read_bytes()
    cut = raw.index(b"-----BEGIN CERTIFICATE")
    broken = {
        "empty": b"",
        "cut short": raw[:-40],
        "without certificates": raw[:cut],
        "another's key": mixed[: mixed.index(b"-----BEGIN CERTIFICATE")] + raw[cut:],
    }
    authority.in_use.write_bytes(broken[kind])


@pytest.mark.parametrize("kind", ["empty", "cut short", "without certificates", "another's key", "mitmproxy's own"])
def test_what_is_no_pair_of_ours_is_told_in_one_line_and_replaced_when_asked(authority: Authority, kind: str) -> None:
    damage(authority, kind)
    before = authority.in_use.read_bytes()
    with pytest.raises(AuthorityError, match=r"mitmproxy-ca\.pem is damaged or not made by seatpool; `seatpool ca ro"):
        authority.keep(CERTIFIED, NOW)
    assert authority.in_use.read_bytes() == before
    authority.replace(CERTIFIED, NOW)
    assert authority.keep(CERTIFIED, NOW) is Change.NONE


def test_without_a_folder_there_is_no_authority_and_nothing_is_made(tmp_path: Path) -> None:
    nowhere = Authority(tmp_path / "none")
    assert (nowhere.current(), nowhere.next(), tuple(nowhere.roots())) == (None, None, ())
    assert not nowhere.folder.exists()
