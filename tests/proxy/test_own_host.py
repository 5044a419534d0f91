"""The proxy's own host where what its page is made of is another version's by now."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from seatpool.proxy.own_host import REPLACED, SEE, OwnHost
from seatpool.proxy.page import Page

VISIT, SITE = "seatpool.page.visit", "seatpool.page.site"


@pytest.mark.parametrize(
    ("module", "found", "status", "told"),
    [
        (VISIT, None, 503, f"{REPLACED}\n"),
        (SITE, None, 503, f"{REPLACED}\n"),
        (SITE, SimpleNamespace(), 503, f"{REPLACED}\n"),  # which calls it something else
        (VISIT, SimpleNamespace(Visit=lambda: None), 500, SEE),  # which takes something else
    ],
)
async def test_a_page_whose_files_were_replaced_before_anybody_looked_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, module: str, found: Any, status: int, told: str
) -> None:
    monkeypatch.setitem(sys.modules, module, found)
    flow = tflow.tflow(req=http.Request.make("GET", "http://seatpool.test/api/report"))
    answer = OwnHost(Page(lambda: None, lambda: None)).request(flow)
    assert answer is not None
    await answer
    assert flow.response is not None
    assert (flow.response.status_code, flow.response.text) == (status, told)
    assert [bool(record.exc_info) for record in caplog.records] == [told == SEE], "one line where that says it all"
    assert "action=own-host path=/api/report" in caplog.text
