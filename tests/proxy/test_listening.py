"""Who may be let in where, mode by mode."""

from typing import Any

import pytest
from mitmproxy import connection, options
from mitmproxy.addons.proxyauth import ProxyAuth
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy.mode_specs import ProxyMode

from seatpool.proxy import listening


class Loader:
    """Takes the declarations of addons."""

    def __init__(self, opts: options.Options) -> None:
        self.add_option = opts.add_option


def made(*modes: str, proxyauth: str | None = None, listen_host: str = "127.0.0.1") -> options.Options:
    opts = options.Options()
    for addon in (Proxyserver(), ProxyAuth()):
        addon.load(opts)  # type: ignore[no-untyped-call] # options take declarations as a loader does
    opts.update(mode=list(modes) or ["regular"], proxyauth=proxyauth, listen_host=listen_host)
    return opts


PASSWORD = "me:word"


@pytest.mark.parametrize(
    ("modes", "proxyauth", "listen_host", "said"),
    [
        ((), None, "127.0.0.1", None),
        ((), None, "::1", None),
        ((), None, "localhost", None),
        ((), None, "127.1.2.3", None),
        ((), None, "::ffff:127.0.0.1", None),
        ((), None, "0.0.0.0", "ask for a password"),
        ((), None, "", "listening on every address"),
        ((), None, "::", "ask for a password"),
        ((), None, "192.168.1.5", "ask for a password"),
        ((), None, "my-machine", "ask for a password"),
        ((), None, "/run/seatpool.sock", "ask for a password"),
        ((), None, "[::1]", "without brackets"),
        ((), PASSWORD, "0.0.0.0", None),
        ((), "any", "0.0.0.0", "takes every password"),
        ((), "any", "127.0.0.1", None),
        (("regular@8081",), None, "127.0.0.1", None),
        (("regular@::1:8081",), None, "127.0.0.1", None),
        (("regular@0.0.0.0:8081",), None, "127.0.0.1", "listening on 0.0.0.0"),
        (("regular@:8081",), None, "127.0.0.1", "listening on every address"),
        (("regular@8081", "socks5@0.0.0.0:1080"), None, "127.0.0.1", "listening on 0.0.0.0"),
        (("socks5@0.0.0.0:1080",), PASSWORD, "127.0.0.1", None),
        (("upstream:http://proxy.corp:3128@0.0.0.0:8081",), None, "127.0.0.1", "ask for a password"),
        (("reverse:https://chatgpt.com@443",), None, "127.0.0.1", None),
        (("reverse:https://chatgpt.com@0.0.0.0:443",), PASSWORD, "127.0.0.1", "reverse cannot ask for a password"),
        (("transparent@8081",), None, "127.0.0.1", None),
        (("transparent@0.0.0.0:8081",), PASSWORD, "127.0.0.1", "transparent cannot ask for a password"),
        (("dns@0.0.0.0:53",), PASSWORD, "127.0.0.1", "dns cannot ask for a password"),
        (("wireguard@0.0.0.0:51820",), None, "127.0.0.1", None),
        (("local:code",), None, "0.0.0.0", None),
    ],
)
def test_what_is_refused_before_the_start(
    modes: tuple[str, ...], proxyauth: str | None, listen_host: str, said: str | None
) -> None:
    found = listening.open_door(made(*modes, proxyauth=proxyauth, listen_host=listen_host))
    assert found is None if said is None else said in (found or "")


@pytest.mark.parametrize(
    ("modes", "circular"),
    [
        (("upstream:http://127.0.0.1:8080",), True),
        (("upstream:http://localhost.:8080@0.0.0.0:8080",), True),
        (("upstream:http://[::1]:8080",), True),
        (("upstream:http://127.0.0.1:3128",), False),
        (("upstream:http://proxy.corp:8080",), False),
        (("regular@8080", "upstream:http://127.0.0.1:8080@8081"), True),
        (("reverse:https://127.0.0.1:8080",), True),
        (("reverse:https://chatgpt.com@443",), False),
    ],
)
def test_a_proxy_that_would_send_all_to_itself(modes: tuple[str, ...], circular: bool) -> None:
    opts = made(*modes)
    opts.update(listen_port=8080)
    assert (listening.circle(opts) is not None) == circular


class Transport:
    """A connection's socket, as mitmproxy keeps it."""

    def __init__(self, *sockname: object) -> None:
        self.writer = self
        self.sockname = sockname

    def get_extra_info(self, _name: str) -> tuple[object, ...]:
        return self.sockname


def came(mode: str, address: str) -> connection.Client:
    return connection.Client(
        peername=("192.0.2.9", 51234),
        sockname=(address, 8080),
        timestamp_start=0.0,
        proxy_mode=ProxyMode.parse(mode),
    )


@pytest.mark.parametrize(
    ("mode", "address", "accepted_at", "proxyauth", "let_in"),
    [
        ("regular", "127.0.0.1", None, None, True),
        ("regular", "::1", None, None, True),
        ("regular", "192.168.1.5", None, None, False),
        ("regular", "192.168.1.5", None, PASSWORD, True),
        ("reverse:https://chatgpt.com", "192.168.1.5", None, PASSWORD, False),
        # What a redirected client wanted is somewhere in the world; where its socket came in is what counts.
        ("transparent", "104.18.1.1", "127.0.0.1", None, True),
        ("transparent", "104.18.1.1", "192.168.1.5", None, False),
        ("transparent", "104.18.1.1", None, None, False),
        ("wireguard", "104.18.1.1", None, None, True),
        ("local", "104.18.1.1", None, None, True),
    ],
)
def test_who_is_turned_away_at_the_door(
    mode: str, address: str, accepted_at: str | None, proxyauth: str | None, let_in: bool
) -> None:
    client = came(mode, address)
    known: dict[Any, Any] = {}
    if accepted_at is not None:
        handler = type("Handler", (), {"transports": {client: Transport(accepted_at, 8080)}})
        known[client.id] = handler
    listening.turn_away(client, made(mode, proxyauth=proxyauth), known)
    assert (client.error is None) == let_in
