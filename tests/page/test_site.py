"""Which path is answered with what, and what follows."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from seatpool.core.report import Report
from seatpool.page.site import Site
from seatpool.page.visit import Answer, Visit
from seatpool.setup import page_token
from seatpool.store import Store
from tests.page.conftest import Told
from tests.store.made import cooldown, window

HOSTS = frozenset({"seatpool.test"})


async def ask(site: Site, target: str, method: str = "GET", token: str = "", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await site.answer(Visit(method, target, "http", ("seatpool.test",), named, token), HOSTS)


def token_of(tmp_path: Path) -> str:
    return page_token.token(tmp_path / "data" / "page-token")


async def test_the_report_is_what_status_prints(site: Site) -> None:
    told = msgspec.json.decode((await ask(site, "/api/report")).body, type=Report)
    assert [row.name for row in told.accounts] == ["a/b <i>", "work"]


async def test_the_page_holds_everything_without_scripts_and_nothing_of_it_is_markup(site: Site, store: Store) -> None:
    account = store.account("a/b <i>")
    store.cool(msgspec.structs.replace(cooldown(account, 0), until=datetime(2100, 1, 1, tzinfo=UTC)))
    store.record(windows=[(account.id, window(0, 0.25))])
    html = (await ask(site, "/")).body.decode()
    assert '<th scope="row">a/b &lt;i&gt;</th>' in html
    assert "<i>" not in html
    assert 'class="state cooling"' in html and ": usage</td>" in html and "primary (5 h) reset since" in html
    assert "1 of 2 accounts ready" in html
    assert "<script>" not in html and "style=" not in html and "onclick" not in html


async def test_a_file_is_sent_once_and_then_only_when_it_has_changed(site: Site) -> None:
    first = await ask(site, "/page.js")
    assert first.status == 200 and first.content_type.startswith("text/javascript")
    again = await ask(site, "/page.js", if_none_match=f'"other", W/{first.more["etag"]}')
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/index.html", "/../board.py", "/files/page.js", "/page.js/", "//", "/api", "/api/accounts/work"]
)
async def test_nothing_else_is_there(site: Site, path: str) -> None:
    assert (await ask(site, path)).status == 404


async def test_every_answer_forbids_what_it_can(site: Site) -> None:
    for target in ("/", "/page.css", "/api/report", "/nothing"):
        headers = (await ask(site, target)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("what", "rested", "paused"), [("pause", False, True), ("resume", False, False), ("clear-cooldowns", True, False)]
)
async def test_who_has_the_token_acts_and_the_proxy_hears_of_it(
    site: Site, store: Store, told: Told, tmp_path: Path, what: str, rested: bool, paused: bool
) -> None:
    target = f"/api/accounts/a%2Fb%20%3Ci%3E/{what}"
    assert (await ask(site, target, "POST")).status == 401
    assert (await ask(site, target, "POST", "guessed")).status == 403
    assert (await ask(site, target, "GET", token_of(tmp_path))).status == 405
    assert told == []
    assert (await ask(site, target, "POST", token_of(tmp_path))).status == 204
    assert told == [("a/b <i>", rested)]
    assert store.account("a/b <i>").paused is paused


async def test_a_token_can_be_tried_and_a_new_one_ends_the_former(site: Site, tmp_path: Path) -> None:
    former = token_of(tmp_path)
    assert (await ask(site, "/api/token", "POST", former)).status == 204
    page_token.renew(tmp_path / "data" / "page-token")
    assert (await ask(site, "/api/token", "POST", former)).status == 403


async def test_an_unknown_account_and_a_database_that_is_away_are_told_in_a_line(
    site: Site, store: Store, told: Told, tmp_path: Path
) -> None:
    unknown = await ask(site, "/api/accounts/nobody/pause", "POST", token_of(tmp_path))
    assert unknown.status == 404 and unknown.body.startswith(b"no account is named 'nobody'")
    store.close()
    for away in (site, Site(lambda: None, told.hear)):
        assert (await ask(away, "/api/report")).status == 503
        assert b'<p id="problem" role="alert"></p>' not in (await ask(away, "/")).body
    assert (await ask(site, "/", "DELETE")).status == 405


async def test_forecasts_tell_the_past_and_what_is_ahead(site: Site, store: Store) -> None:
    account = store.account("work")
    now = datetime.now(UTC)
    seen = [msgspec.structs.replace(window(0, left), observed_at=now, resets_at=None) for left in (0.9,)]
    store.record(windows=[(account.id, seen[0])])
    (outlook,) = json.loads((await ask(site, "/api/forecasts")).body)
    assert (outlook["account"], outlook["bucket"], outlook["runs_out_at"]) == ("work", "primary", None)
    assert outlook["past"][-1]["left"] == 0.9 and len(outlook["ahead"]) == 13
