"""However a remote is spelt, its repository has one name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.repositories import named, normalised

SPELLINGS = (
    "git@github.com:Acme/Widgets.git",
    "github.com:acme/widgets",
    "ssh://git@github.com/acme/widgets.git",
    "ssh://git@ssh.github.com:443/acme/widgets.git",
    "git+ssh://git@github.com/acme/widgets",
    "https://github.com/acme/widgets",
    "https://GitHub.com/acme/widgets/",
    "https://www.github.com/acme//widgets.git",
    "https://alice:FAKESECRET@github.com:443/acme/widgets.git",
    "git://github.com/acme/widgets.git",
    "  http://x-access-token@github.com./acme/%77idgets.git\n",
)


@pytest.mark.parametrize("remote", SPELLINGS)
def test_every_spelling_is_the_same_repository(remote: str) -> None:
    assert normalised(remote) == "github.com/acme/widgets"


@pytest.mark.parametrize(
    ("remote", "name"),
    [
        ("git@work:acme/widgets.git", "work/acme/widgets"),  # an alias of ~/.ssh/config
        ("https://gitlab.com/acme/team/widgets.git", "gitlab.com/acme/team/widgets"),
        ("ssh://git@altssh.gitlab.com:443/acme/widgets", "gitlab.com/acme/widgets"),
        ("ssh://git@[2001:db8::1]:2222/acme/widgets", "[2001:db8::1]/acme/widgets"),
        ("git@[2001:db8::1]:acme/widgets", "[2001:db8::1]/acme/widgets"),
        ("https://git.corp.example:8443/acme/widgets", "git.corp.example/acme/widgets"),
    ],
)
def test_hosts_of_every_kind(remote: str, name: str) -> None:
    assert normalised(remote) == name


@pytest.mark.parametrize(
    "remote",
    [
        "",
        "/srv/git/widgets.git",
        "../widgets",
        "file:///srv/git/widgets.git",
        "C:\\work\\widgets",
        "C:/src/widgets",
        "https://github.com",
        "https://github.com/",
        "https:///acme/widgets",
        "https://github.com/acme/../other/widgets",
        "git@github.com:acme/wid gets",
        "git@github.com:acme/\x00",
        "https://github.com/" + "a" * 2000,
    ],
)
def test_what_points_at_no_host_is_no_repository(remote: str) -> None:
    assert normalised(remote) is None


def test_a_host_and_a_path_told_apart() -> None:
    assert named("GitHub.com", "Acme/Widgets") == "github.com/acme/widgets"
    assert named("", "acme/widgets") is None
    assert named("git\x00hub.com", "acme/widgets") is None
    assert named("github.com?x", "acme/widgets") is None
    assert named("github.com", "") is None


def test_a_name_that_is_longer_than_any_is_none() -> None:
    most = "a" * (256 - len("github.com/acme/"))
    assert named("github.com", f"acme/{most}") == f"github.com/acme/{most}"
    assert named("github.com", f"acme/{most}a") is None
    assert normalised(f"git@github.com:acme/{most}a.git") is None


words = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,10}", fullmatch=True)
secrets = st.from_regex(r"FAKESECRET[A-Za-z0-9%._~-]{0,10}", fullmatch=True)


@given(words, words, words, secrets, st.integers(1, 65_535))
def test_scheme_port_case_and_credentials_make_no_difference(
    host: str, owner: str, name: str, secret: str, port: int
) -> None:
    host = f"{host}.example"
    told = {
        normalised(f"git@{host.upper()}:{owner}/{name}.git"),
        normalised(f"ssh://git@{host}:{port}/{owner.upper()}/{name}"),
        normalised(f"https://{owner}:{secret}@{host}:{port}/{owner}/{name}.git/"),
    }
    assert told == {f"{host}/{owner}/{name}"}


@given(st.text(max_size=80))
def test_whatever_a_remote_says_nothing_is_raised_and_a_name_stays_itself(remote: str) -> None:
    name = normalised(remote)
    assert name is None or (name == name.lower() and "/" in name and "@" not in name.partition("/")[0])
    if name is not None:
        host, _, path = name.partition("/")
        assert named(host, path) in (name, name.removesuffix(".git"))
