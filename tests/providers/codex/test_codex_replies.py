import json
from datetime import datetime

import pytest

from seatpool.core.model import Scope, ScopeKind
from seatpool.core.outcome import OutcomeKind
from seatpool.core.selection import LACKING
from seatpool.providers.codex import CODEX
from tests.providers.codex.codex_material import FACTS, NOW, NOW_S, SOCKET_FACTS, at


def test_an_exhausted_pool_is_a_usage_limit_with_its_soonest_end() -> None:
    """0.4 s are rounded up: the client must not come back before the limit's end."""
    reply = CODEX.exhausted(FACTS, at(3600.4), "usage_limit_reached", NOW)
    assert (reply.status, reply.headers.get("content-type")) == (429, "application/json")
    assert json.loads(reply.body) == {
        "error": {
            "type": "usage_limit_reached",
            "message": "The usage limit has been reached",
            "plan_type": "unknown",
            "resets_at": NOW_S + 3601,
            "resets_in_seconds": 3601,
        }
    }


def test_an_exhausted_pool_without_an_end_names_none() -> None:
    error = json.loads(CODEX.exhausted(FACTS, None, "usage_limit_reached", NOW).body)["error"]
    assert error["type"] == "usage_limit_reached"
    assert not {"resets_at", "resets_in_seconds"} & error.keys()


@pytest.mark.parametrize(("soonest", "wait"), [(at(20), "20"), (at(1.5), "2"), (at(0), "1"), (at(-60), "1")])
def test_for_a_moments_limit_the_client_waits_instead_of_giving_up(soonest: datetime, wait: str) -> None:
    """codex.md 6: a 429 of another type with Retry-After is asked again after just that long."""
    reply = CODEX.exhausted(FACTS, soonest, "usage_limit_reached", NOW)
    assert (reply.status, reply.headers.get("retry-after")) == (429, wait)
    assert json.loads(reply.body)["error"]["type"] != "usage_limit_reached"


@pytest.mark.parametrize("soonest", [None, at(5), at(3600)])
def test_a_handshake_is_sent_to_https_where_the_body_will_be_read(soonest: datetime | None) -> None:
    assert CODEX.exhausted(SOCKET_FACTS, soonest, "usage_limit_reached", NOW).status == 426


def test_our_own_errors_wear_the_services_envelope() -> None:
    reply = CODEX.unavailable(FACTS, 503, "no account could be had")
    assert json.loads(reply.body) == {
        "error": {"message": "no account could be had", "type": "seatpool", "code": "seatpool_unavailable"}
    }
    assert CODEX.classify(FACTS, reply, NOW).kind is OutcomeKind.SERVER_ERROR


def test_a_model_that_no_account_has_is_refused_in_upstreams_own_words() -> None:
    reply = CODEX.exhausted(FACTS, at(3600), "model_not_supported", NOW)
    assert reply.status == CODEX.exhausted(FACTS, None, LACKING, NOW).status == 400
    assert CODEX.classify(FACTS, reply, NOW).scope == Scope(ScopeKind.MODEL, FACTS.model or "")
    assert CODEX.exhausted(SOCKET_FACTS, at(3600), "model_not_supported", NOW).status == 426
