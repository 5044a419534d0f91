"""What options become."""

from math import inf
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader
from mitmproxy.addons.proxyauth import ProxyAuth
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.test import taddons
from msgspec.structs import replace

from seatpool.core.affinity import Sticking
from seatpool.core.fallback import Fallback
from seatpool.core.fastmode import FastMode
from seatpool.core.policy import Policy
from seatpool.core.strategy import Dormancy
from seatpool.providers.registry import host_patterns
from seatpool.proxy import sealed
from seatpool.proxy.checking import check
from seatpool.proxy.layers.limits import Limits
from seatpool.proxy.options import OPTIONS, Option, add_options, apply_defaults
from seatpool.proxy.settings import limits_of, policy_of, transport_of
from seatpool.service.network.transport import TransportSettings
from seatpool.service.telling.traces import collectors_headers
from tests.proxy.test_listening import made


def options(**given: Any) -> Any:
    return SimpleNamespace(**{**{option.name: option.default for option in OPTIONS}, **given})


def usable(**given: Any) -> Any:
    own = {"ssl_insecure": False, "mode": ["regular"], "listen_host": "127.0.0.1", "listen_port": 8080}
    return options(**own, **given)


def test_untouched_options_are_the_policys_own_defaults() -> None:
    assert policy_of(options()) == Policy()


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"pool_affinity": "always"}, {"affinity": Sticking.ALWAYS}),
        ({"pool_affinity_strength": "0.25"}, {"affinity_strength": 0.25}),
        ({"pool_replay_unanswered": True}, {"replay_unanswered": True}),
        ({"pool_dormant_windows": "disabled"}, {"dormancy": Dormancy.DISABLED}),
        ({"pool_fast_mode": "auto"}, {"fast_mode": FastMode.AUTO}),
        (
            {"pool_model_fallback": ["a: b, c", "d-*: e"]},
            {"fallback": Fallback((("a", ("b", "c")), ("d-*", ("e",))))},
        ),
    ],
)
def test_an_option_changes_its_number_and_no_other(given: dict[str, Any], changed: dict[str, Any]) -> None:
    assert policy_of(options(**given)) == replace(Policy(), **changed)


def test_limits_are_seconds_and_none_where_they_are_zero() -> None:
    assert limits_of(options()) == Limits(connect_s=4, header_s=300, hold_s=2, hold_bytes=65536)
    changed = options(pool_connect_timeout_s="0", pool_header_timeout_s="2.5", pool_hold_s="0")
    assert limits_of(changed) == Limits(0, 2.5)


def test_to_seal_more_hosts_unseals_none() -> None:
    opts = made()
    opts.update(ignore_hosts=[r"^example\.com:"])
    apply_defaults(opts)
    assert opts.allow_hosts == list(host_patterns())


@pytest.mark.parametrize(
    ("said", "is_told"),
    [
        ({}, False),
        ({"allow_hosts": ["example.com"]}, True),
        ({"allow_hosts": ["example.com", "CHATGPT"]}, False),
        ({"ignore_hosts": ["chatgpt"]}, False),  # Copilot's are left
        ({"ignore_hosts": [".*"]}, True),
        ({"tcp_hosts": ["chatgpt", "githubcopilot|githubusercontent"]}, True),
        ({"allow_hosts": ["chatgpt"], "ignore_hosts": ["chatgpt"]}, True),
    ],
)
def test_who_seals_every_pooled_host_is_told(said: dict[str, list[str]], *, is_told: bool) -> None:
    opts = made()
    opts.update(**said)
    apply_defaults(opts)
    told = sealed.said_of(opts)
    assert (told is not None) == is_told
    assert told is None or all(pattern in told for patterns in said.values() for pattern in patterns)


@pytest.mark.parametrize(
    ("modes", "login", "proxy"),
    [
        (["regular"], "me:FAKESECRET", None),
        (["regular", "upstream:http://proxy.example:8081"], None, "http://proxy.example:8081"),
        (["upstream:https://proxy.example"], "me:F:A/K@E", "https://me:F%3AA%2FK%40E@proxy.example:443"),
        (["upstream:http://[::1]:8081"], "me:", "http://me:@[::1]:8081"),
    ],
)
def test_side_calls_go_the_way_of_the_proxys_own_connections(
    modes: list[str], login: str | None, proxy: str | None
) -> None:
    trusted = {"ssl_verify_upstream_trusted_ca": "/ca.pem", "ssl_verify_upstream_trusted_confdir": None}
    settings = transport_of(options(**trusted, mode=modes, upstream_auth=login))
    assert settings == TransportSettings("/ca.pem", None, proxy)
    assert "me" not in repr(settings)


def test_a_slip_in_the_substitutes_is_refused_with_its_option_and_how_it_is_meant() -> None:
    with pytest.raises(exceptions.OptionsError, match='pool_model_fallback="a b": say MODEL: '):
        check(usable(pool_model_fallback=["a b"]))


BOUNDED = [option for option in OPTIONS if option.within is not None]


@pytest.mark.parametrize("option", BOUNDED, ids=lambda option: option.name)
def test_a_number_beyond_its_bounds_is_refused_and_one_on_them_is_not(option: Option) -> None:
    assert option.within is not None
    least, most = option.within.least, option.within.most
    for taken in (least, most if most != inf else 10**9):
        check(usable(**{option.name: option.typespec(int(taken))}))
    beyond: list[Any] = [least - 1, *([most + 1] if most != inf else [])]
    for refused in [*map(option.typespec, map(int, beyond)), *(("many", "", "nan") if option.typespec is str else ())]:
        with pytest.raises(exceptions.OptionsError, match=rf"^{option.name}={refused}: say "):
            check(usable(**{option.name: refused}))


CHOSEN = [option for option in OPTIONS if option.choices is not None]


@pytest.mark.parametrize("option", CHOSEN, ids=lambda option: option.name)
def test_one_of_the_choices_is_taken_and_nothing_beside_them(option: Option) -> None:
    assert option.choices is not None
    for taken in option.choices:
        check(usable(**{option.name: taken}))
    for refused in (option.default.capitalize(), "foo", ""):
        said = f"{option.name}={refused}: say one of: {', '.join(option.choices)}"
        with pytest.raises(exceptions.OptionsError, match=f"^{said}$"):
            check(usable(**{option.name: refused}))


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("mysql://me@db/pool", "mysql databases are not supported; give a path"),
        ("postgresql+psycopg://me:FAKESECRET@db/pool", r"has a password in it \(postgresql://me@db/pool\)"),
        ("~no-such-user/pool.db", "no user of this machine has the name behind the ~"),
    ],
)
def test_what_can_never_be_a_database_is_no_database_that_is_away(named: str, said: str) -> None:
    with pytest.raises(exceptions.OptionsError, match=f"^pool_db: .*{said}") as refused:
        check(usable(pool_db=named))
    assert "FAKESECRET" not in str(refused.value)
    for taken in ("", "/no/such/folder/pool.db", "postgresql+psycopg://me@127.0.0.1:1/pool"):
        check(usable(pool_db=taken))


class Checking:
    """An addon that looks at options as the pool does."""

    def configure(self, updated: set[str]) -> None:
        check(ctx.options)


def test_what_is_refused_while_it_runs_leaves_the_old_value_in_force() -> None:
    with taddons.context(Proxyserver(), ProxyAuth(), TlsConfig()) as context:
        add_options(Loader(context.master))
        context.options.update(pool_on_failure="block", listen_host="127.0.0.1")
        context.master.addons.add(Checking())
        for slip in ("Block", "passthru"):
            with pytest.raises(exceptions.OptionsError, match=f"pool_on_failure={slip}: say one of: passthrough, bl"):
                context.options.update(pool_on_failure=slip)
            assert context.options.pool_on_failure == "block"


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ("", ()),
        (" , ", ()),
        ("Authorization=Basic%20YTpi,x-team = blue", (("authorization", "Basic YTpi"), ("x-team", "blue"))),
        ("key=a=b==", (("key", "a=b=="),)),
        ("s3cr3t", None),
        ("key=", None),
        ("a b=s3cr3t", None),
        ("key=s3cr3t%0d%0ax: y", None),
    ],
)
def test_the_collectors_headers_are_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, headers: str, taken: tuple[tuple[str, str], ...] | None
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
    given = usable(pool_otlp_endpoint="https://collector.example")
    if taken is not None:
        check(given)
        assert collectors_headers() == taken
        return
    check(usable())
    with pytest.raises(exceptions.OptionsError, match="OTEL_EXPORTER_OTLP_HEADERS: say NAME=VALUE") as refused:
        check(given)
    assert "s3cr3t" not in str(refused.value)
