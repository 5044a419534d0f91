"""The page as it stands without scripts: everything that `seatpool status` shows, as it was when it was asked for."""

from datetime import datetime
from html import escape
from string import Template

from seatpool.core import telling
from seatpool.core.empty import EMPTY_POOL
from seatpool.core.report import AccountRow, Report, WindowRow
from seatpool.page.files import FOLDER
from seatpool.page.looks import AWAY
from seatpool.service.telling import reporting
from seatpool.store import Store, StoreError

LOW, SOME = 0.1, 0.3
"""Shares of a window below which its bar is red, and yellow."""


def page(store: Store | None, now: datetime) -> bytes:
    """The document. Blocking."""
    told, problem = None, AWAY
    try:
        told = reporting.read(store, now) if store is not None else None
    except StoreError as error:
        problem = str(error)
    words = {
        "at": now.isoformat(timespec="seconds"),
        "problem": "" if told is not None else escape(problem),
        "rows": "\n".join(row(each, now) for each in told.accounts) if told is not None else "",
        "summary": escape(summary(told)) if told is not None else "",
    }
    return Template((FOLDER / "index.html").read_text()).substitute(words).encode()


def summary(told: Report) -> str:
    """The pool in one line."""
    if not told.accounts:
        return EMPTY_POOL
    ready = sum(row.state in ("ready", "editor") for row in told.accounts)
    in_flight = sum(row.in_flight for row in told.accounts)
    return (
        f"{ready} of {len(told.accounts)} accounts ready, {in_flight} in flight, {told.requests_today} requests today"
    )


def row(each: AccountRow, now: datetime) -> str:
    """Of the table of accounts; the last cell is the scripts'."""
    name, provider, plan, state, _, in_flight, today, used = map(escape, telling.cells(each, now))
    windows = "".join(f"<li>{_bar(w, now)} {escape(telling.window(w, now))}</li>" for w in each.windows)
    quota = f"<ul>{windows}</ul>" if windows else "not seen yet"
    kind = escape(each.state, quote=True)
    cells = (
        f'<th scope="row">{name}</th>',
        f"<td>{provider}</td><td>{plan}</td>",
        f'<td class="state {kind}">{state.replace(chr(10), "<br>")}</td>',
        f'<td class="quota">{quota}</td>',
        f"<td>{in_flight}</td><td>{today}</td><td>{used}</td><td></td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _bar(w: WindowRow, now: datetime) -> str:
    """Beside the words, so it has none of its own."""
    left = 1.0 if w.unlimited or telling.is_over(w, now) else min(1.0, max(0.0, w.left))
    kind = "stale" if w.stale else "low" if left < LOW else "some" if left < SOME else "good"
    return (
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="whole" width="100" height="8"/><rect class="{kind}" width="{left * 100:.1f}" height="8"/></svg>'
    )
