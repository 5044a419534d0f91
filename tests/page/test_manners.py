"""Who is answered, and who may change something."""

import pytest

from seatpool.page.manners import acting, refusal
from seatpool.page.visit import Visit

OWN = frozenset({"localhost:8099", "127.0.0.1:8099", "[::1]:8099"})
PROXIED = frozenset({"seatpool.test"})
OPENS = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def status(visit: Visit, hosts: frozenset[str] = OWN) -> int | None:
    refused = refusal(visit, hosts)
    return refused.status if refused is not None else None


@pytest.mark.parametrize(
    ("scheme", "hosts", "ours", "expected"),
    [
        ("http", ("127.0.0.1:8099",), OWN, None),
        ("http", ("LOCALHOST:8099",), OWN, None),
        ("http", ("[::1]:8099",), OWN, None),
        ("http", ("127.0.0.1:8098",), OWN, 421),
        ("http", ("127.0.0.1",), OWN, 421),
        ("http", ("evil.example:8099",), OWN, 421),
        ("http", ("127.0.0.1:8099.evil.example",), OWN, 421),
        ("http", ("seatpool.test",), OWN, 421),
        ("http", ("127.0.0.1:8099", "evil.example"), OWN, 421),
        ("http", (), OWN, 421),
        ("http", ("seatpool.test",), PROXIED, None),
        ("http", ("seatpool.test:80",), PROXIED, None),
        ("http", ("seatpool.test:443",), PROXIED, 421),
        ("https", ("seatpool.test:443",), PROXIED, None),
        ("http", ("127.0.0.1:8099",), PROXIED, 421),
        ("http", ("localhost",), frozenset({"localhost"}), None),
    ],
)
def test_a_foreign_name_that_leads_here_is_not_answered(
    scheme: str, hosts: tuple[str, ...], ours: frozenset[str], expected: int | None
) -> None:
    assert status(Visit("GET", "/", scheme, hosts), ours) == expected


@pytest.mark.parametrize(
    ("method", "target", "headers", "expected"),
    [
        ("POST", "/api/x", {"origin": "http://127.0.0.1:8099"}, None),
        ("POST", "/api/x", {"origin": "HTTP://127.0.0.1:8099"}, None),
        ("POST", "/api/x", {"origin": "http://localhost:8099"}, 403),
        ("POST", "/api/x", {"origin": "https://127.0.0.1:8099"}, 403),
        ("POST", "/api/x", {"origin": "http://127.0.0.1"}, 403),
        ("POST", "/api/x", {"origin": "null"}, 403),
        ("POST", "/api/x", {"origin": ""}, 403),
        ("GET", "/api/events", {"origin": "http://evil.example"}, 403),
        ("GET", "/api/report", {"sec-fetch-site": "same-origin"}, None),
        ("GET", "/api/report", {"sec-fetch-site": "none"}, None),
        ("GET", "/api/report", {"sec-fetch-site": "same-site"}, 403),
        ("GET", "/api/report", {"sec-fetch-site": "cross-site"}, 403),
        ("GET", "/api/report", {"sec-fetch-site": "cross-site", **OPENS}, 403),
        ("GET", "/page.js", {"sec-fetch-site": "cross-site", "sec-fetch-dest": "script"}, 403),
        ("GET", "/", {"sec-fetch-site": "cross-site", **OPENS}, None),
        ("GET", "/", {"sec-fetch-site": "same-site", **OPENS}, None),
        ("GET", "/", {"sec-fetch-site": "cross-site", **OPENS, "sec-fetch-dest": "iframe"}, 403),
        ("POST", "/", {"sec-fetch-site": "cross-site", **OPENS}, 403),
        ("POST", "/api/x", {"sec-fetch-site": "none"}, 403),
        ("GET", "/", {"sec-fetch-site": "something-new"}, 403),
    ],
)
def test_other_origins_are_refused_but_for_opening_the_page(
    method: str, target: str, headers: dict[str, str], expected: int | None
) -> None:
    assert status(Visit(method, target, "http", ("127.0.0.1:8099",), headers)) == expected


@pytest.mark.parametrize(("token", "expected"), [("", 401), ("wrong", 403), ("r\xeeght", 403), ("right", None)])
def test_only_the_token_permits_to_act(token: str, expected: int | None) -> None:
    visit = Visit("POST", "/", "http", ("seatpool.test",), token=token)
    refused = acting(visit, "right")
    assert (refused.status if refused is not None else None) == expected
    assert not token or token not in repr(visit)
