"""What contexts of mitmproxy's own making are told of their buffers."""

from functools import lru_cache
from inspect import unwrap
from typing import Any

import pytest
from mitmproxy.net import tls
from OpenSSL import SSL

from seatpool.proxy.shortcuts import buffers

UPSTREAM: dict[str, Any] = {
    "method": tls.Method.TLS_CLIENT_METHOD,
    "min_version": tls.Version.TLS1_2,
    "max_version": tls.Version.UNBOUNDED,
    "cipher_list": None,
    "ecdh_curve": None,
    "verify": tls.Verify.VERIFY_PEER,
    "ca_path": None,
    "ca_pemfile": None,
    "client_cert": None,
    "legacy_server_connect": False,
}


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """As mitmproxy has made it, whatever was installed in this process before."""
    for name in buffers.MAKERS:
        monkeypatch.setattr(tls, name, lru_cache(256)(unwrap(getattr(tls, name))))


def releases(context: SSL.Context) -> bool:
    return bool(context.set_mode(0) & SSL.MODE_RELEASE_BUFFERS)


@pytest.mark.usefixtures("plain")
def test_contexts_give_back_what_is_empty_and_are_made_once() -> None:
    assert not releases(tls.create_proxy_server_context(**UPSTREAM)), (
        "so they do by themselves: this module is of no use"
    )
    assert buffers.install()
    made = tls.create_proxy_server_context(**UPSTREAM)
    assert releases(made)
    assert buffers.install() and tls.create_proxy_server_context(**UPSTREAM) is made
    assert tls.create_proxy_server_context.cache_parameters() == {"maxsize": 256, "typed": False}


@pytest.mark.usefixtures("plain")
def test_it_stands_aside_where_contexts_are_made_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "create_client_proxy_context", lambda **_: None)
    assert not buffers.install()
    assert not hasattr(tls.create_proxy_server_context, buffers.SPARING)
    monkeypatch.delattr(tls, "create_client_proxy_context")
    assert not buffers.install()
