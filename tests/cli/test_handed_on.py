"""What a start understands of mitmdump's own arguments."""

from pathlib import Path

import msgspec
import pytest
from mitmproxy.proxy.mode_specs import ProxyMode

from seatpool.cli.handed_on import HandedOn, _mode, read


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), HandedOn()),
        (("-q", "--mode", "transparent"), HandedOn(is_proxy=False)),
        (("--listen-port", "9000"), HandedOn(9000)),
        (("-p", "9000", "--listen-port=9001"), HandedOn(9001)),
        (("--set", "confdir=/here", "-p9000"), HandedOn(9000, Path("/here"))),
        (("--set=confdir=/with=sign",), HandedOn(None, Path("/with=sign"))),
        (("--set", "listen_port=9000"), HandedOn()),  # with us there is a --listen-port, which mitmdump prefers
        (("--listen-port", "many"), HandedOn()),
        (("--listen-port",), HandedOn()),
        (("--set",), HandedOn()),
        (("--listen-host", "::1", "--listen-host=127.0.0.2"), HandedOn(host="127.0.0.2")),
        (("--mode", "regular@9000"), HandedOn(9000)),
        (("-m", "Regular@::1:9000", "-p", "9001"), HandedOn(9000, host="::1")),
        (("--mode", "regular@:9000"), HandedOn(9000, host="")),
        (("--mode", "upstream:http://other:3128", "-p", "9000"), HandedOn(9000, goes_on=True)),
        (("--mode", "regular@9000", "--mode", "upstream:http://other:3128@1"), HandedOn(9000, goes_on=True)),
        (("--mode", "upstream:http://other:3128@9000"), HandedOn(9000, goes_on=True)),
        (("--mode", "socks5@1080", "--mode", "regular", "-p", "9000"), HandedOn(9000)),
        (("--mode", "local:codex@1", "--mode", "regular@9000"), HandedOn(9000)),
        (("--set", "mode=regular@9000"), HandedOn(9000)),
        (("--set", "mode=regular@9000", "--mode", "regular@9001"), HandedOn(9001)),
        (("--mode", "local:codex@1"), HandedOn(is_proxy=False)),
        (("--mode", "socks5@1080"), HandedOn(1080, is_proxy=False)),
        (("--mode", "regular@many"), HandedOn()),
    ],
)
def test_what_a_start_has_to_know_is_found_and_what_is_wrong_is_left_to_mitmdump(
    arguments: tuple[str, ...], found: HandedOn
) -> None:
    assert read(arguments) == found


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("mode:\n- regular@9000\n", HandedOn(9000)),
        ("mode: [socks5@1080, 'upstream:http://other:3128@9000']", HandedOn(9000, goes_on=True)),
        ("mode: transparent", HandedOn(is_proxy=False)),
        ("listen_port: 9000", HandedOn()),  # with us there is a --listen-port, which mitmdump prefers
        ("mode: [", HandedOn()),
        ("- mode", HandedOn()),
        ("", HandedOn()),
    ],
)
def test_a_mode_may_stand_in_mitmproxys_file(tmp_path: Path, written: str, found: HandedOn) -> None:
    (tmp_path / "config.yaml").write_text(written)
    arguments = ("--set", f"confdir={tmp_path}")
    assert read(arguments) == msgspec.structs.replace(found, confdir=tmp_path)
    assert read((*arguments, "--mode", "regular@9001")).port == 9001, "what is typed goes before"


@pytest.mark.parametrize(
    ("told", "url"),
    [
        (HandedOn(), "http://127.0.0.1:8081"),
        (HandedOn(9000), "http://127.0.0.1:9000"),
        (HandedOn(host="::1"), "http://[::1]:8081"),
        (HandedOn(host="192.168.1.5"), "http://192.168.1.5:8081"),
        *((HandedOn(host=every), "http://127.0.0.1:8081") for every in ("", "0.0.0.0")),  # compared with
        (HandedOn(9000, host="::"), "http://[::1]:9000"),
    ],
)
def test_it_is_named_where_this_machine_reaches_it(told: HandedOn, url: str) -> None:
    assert told.url(8081) == url


@pytest.mark.parametrize(
    "mode",
    [
        *("regular", "regular@9000", "Regular@::1:9000", "regular@:9000", "regular@0.0.0.0:9000", "socks5@1080"),
        *("upstream:http://other:3128", "upstream:http://other:3128@9000"),
        *("reverse:https://example.com@127.0.0.1:443", "transparent@8443", "local:codex@1"),
    ],
)
def test_a_mode_is_taken_apart_as_mitmproxy_does_it(mode: str) -> None:
    theirs, ours = ProxyMode.parse(mode), _mode(mode)
    found = (theirs.type_name, theirs.custom_listen_host, theirs.custom_listen_port)
    assert (ours.kind, ours.host, ours.port) == found
