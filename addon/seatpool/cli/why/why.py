"""`seatpool why`: what became of a request, and why it went where it went."""

import json
from collections.abc import Mapping

import click
from rich.markup import escape

from seatpool.cli.common import Whole, console, open_store, with_database
from seatpool.cli.why import telling
from seatpool.clock import utcnow
from seatpool.core.model import Account
from seatpool.core.story import SHORT, Story
from seatpool.store import Store

NONE_YET = "no request was recorded yet; one is when it comes through the proxy"
SHOWN = 5
"""Requests that are named where a beginning fits several."""


@click.command()
@click.argument("request", required=False)
@click.option("--list", "count", type=Whole(1, 10_000), metavar="N", help="The newest N requests, a line each.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; times in UTC, shares from 0.0 to 1.0.")
@with_database
def why(request: str | None, count: int | None, as_json: bool) -> None:
    """Say why REQUEST went where it went: who could serve it, who could not, and what came of it.

    REQUEST is the id that log lines give as request=..., or its beginning; without it the newest one.

    \b
    seatpool why
    seatpool why ab12cd34
    seatpool why --list 20
    """
    if request is not None and count is not None:
        raise click.UsageError("give REQUEST or --list, not both")
    with open_store() as store:
        wanted = store.past.requests(limit=count) if count is not None else (_find(store, request),)
        stories = [_story(store, flow_id) for flow_id in wanted]
        accounts, person = store.accounts(), store.team.person
    shut = [account for account in accounts if not account.open_to(person)]
    _tell(stories, {account.id: account.name for account in accounts}, shut, listed=count is not None, as_json=as_json)


def _tell(stories: list[Story], names: Mapping[int, str], shut: list[Account], *, listed: bool, as_json: bool) -> None:
    """`shut`: accounts that are not this person's to use, so no candidate of any choice for them."""
    if as_json:
        told = [telling.as_json(story, names) for story in stories]
        click.echo(json.dumps(told if listed else told[0], indent=2))
    elif not listed:
        for part in telling.told(stories[0], names, utcnow()):
            console().print(part)
        asked = stories[0].choices[0].provider
        theirs = [f"{account.name} ({account.owner}'s)" for account in shut if account.provider is asked]
        if theirs:
            console().print(escape(f"not yours to use: {', '.join(theirs)}"))
    else:
        console().print(telling.listed(stories, names, utcnow()) if stories else NONE_YET)


def _find(store: Store, request: str | None) -> str:
    beginning = request.strip().lower().removeprefix("request=") if request is not None else ""
    found = store.past.requests(beginning, limit=1 if not beginning else SHOWN + 1)
    if not found:
        unknown = f"no request {request} is recorded; seatpool why --list 20 shows the newest"
        raise click.ClickException(unknown if request is not None else NONE_YET)
    if len(found) > 1:
        length = max(SHORT, len(beginning) + 4)
        several = ", ".join(flow_id[:length] for flow_id in found[:SHOWN])
        more = ", and more" if len(found) > SHOWN else ""
        raise click.ClickException(f"several requests begin with {beginning}: {several}{more}; give more of it")
    return found[0]


def _story(store: Store, flow_id: str) -> Story:
    return Story(flow_id, *store.past.request(flow_id))
