import json
import re
from email.utils import parsedate_to_datetime

import pytest

from seatpool.core.selection import LACKING
from seatpool.providers.copilot import COPILOT, replies
from seatpool.providers.http import HttpReply
from tests.providers.copilot.copilot_material import CHAT_FACTS, ENGINE_FACTS, NOW, at


def error(answer: HttpReply) -> dict[str, str]:
    body = json.loads(answer.body)
    assert set(body) == {"error"}
    found: dict[str, str] = body["error"]
    return found


@pytest.mark.parametrize(
    ("soonest_s", "retry_after"),
    [(6310.2, "6311"), (30, "30"), (0.2, "1"), (0, "1"), (-50, "1"), (None, None)],
)
def test_an_exhausted_pool_names_the_soonest_reset(soonest_s: float | None, retry_after: str | None) -> None:
    answer = COPILOT.exhausted(CHAT_FACTS, None if soonest_s is None else at(soonest_s), "rate_limited", NOW)
    assert (answer.status, error(answer)["code"]) == (429, "rate_limited")
    assert answer.headers.get("retry-after") == retry_after
    assert answer.headers.get("x-should-retry") == "false"


@pytest.mark.parametrize(
    ("reason", "status", "code"),
    [
        ("quota_exceeded", 402, "quota_exceeded"),
        ("free_quota_exceeded", 402, "free_quota_exceeded"),
        ("overage_limit_reached", 402, "overage_limit_reached"),
        ("additional_spend_limit_reached", 402, "additional_spend_limit_reached"),
        ("billing_not_configured", 402, "billing_not_configured"),
        ("user_global_rate_limited", 429, "user_global_rate_limited"),
        ("user_model_rate_limited", 429, "user_model_rate_limited"),
        ("user_weekly_rate_limited", 429, "user_weekly_rate_limited"),
        ("model_overloaded", 429, "rate_limited"),
        (None, 429, "rate_limited"),
    ],
)
def test_the_limit_that_ends_soonest_is_told_under_its_own_code(reason: str | None, status: int, code: str) -> None:
    answer = COPILOT.exhausted(CHAT_FACTS, at(3600), reason, NOW)
    assert (answer.status, error(answer)["code"]) == (status, code)
    stated = answer.headers.get("retry-after", "")
    assert stated == "3600" if status == 429 else parsedate_to_datetime(stated) == at(3600)


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "service_unavailable"), (502, "bad_gateway"), (402, "quota_exceeded"), (418, "pool_error")],
)
def test_an_answer_of_ours_has_the_providers_shape(status: int, code: str) -> None:
    answer = COPILOT.unavailable(CHAT_FACTS, status, 'No account "works"')
    assert answer.status == status
    assert error(answer) == {"message": 'No account "works"', "code": code}


@pytest.mark.parametrize(
    "answer",
    [COPILOT.exhausted(CHAT_FACTS, at(5), None, NOW), COPILOT.unavailable(CHAT_FACTS, 503, "x")],
    ids=["exhausted", "unavailable"],
)
def test_every_answer_of_ours_passes_for_one_that_the_editor_can_read(answer: HttpReply) -> None:
    assert answer.headers.get("content-type") == "application/json"
    assert re.fullmatch(r"[0-9A-F]+(:[0-9A-F]+){4}", answer.headers.get("x-github-request-id", ""))


def test_request_ids_differ_by_request_and_moment_and_need_no_dice() -> None:
    asked = [(CHAT_FACTS, NOW), (CHAT_FACTS, at(1)), (ENGINE_FACTS, NOW)]
    ids = {COPILOT.exhausted(facts, at(60), None, now).headers.get("x-github-request-id") for facts, now in asked * 2}
    assert len(ids) == 3


def test_a_402_waits_for_a_date_since_a_number_would_be_read_as_a_year() -> None:
    stated = replies.wait(402, at(3600), NOW)
    assert parsedate_to_datetime(stated) == at(3600) and stated.endswith("GMT")
    assert replies.wait(429, at(3600), NOW) == "3600"


@pytest.mark.parametrize("reason", ["model_not_supported", "model-policy", LACKING])
def test_a_model_that_no_seat_has_is_refused_and_is_no_limit_to_wait_for(reason: str) -> None:
    reply = COPILOT.exhausted(CHAT_FACTS, at(3600), reason, NOW)
    assert (reply.status, error(reply)["code"]) == (400, "model_not_supported")
    assert "retry-after" not in reply.headers


def test_a_client_that_no_seat_may_use_is_told_so_and_not_of_a_limit() -> None:
    reply = COPILOT.exhausted(CHAT_FACTS, at(3600), "feature-policy", NOW)
    assert (reply.status, error(reply)["code"]) == (403, "forbidden")
    assert "not authorized to use this Copilot feature" in error(reply)["message"]
    assert "retry-after" not in reply.headers
