"""`seatpool notify test`: whether a notice would reach its person."""

import asyncio

import click

from seatpool.cli.common import INTERRUPTED, PlainGroup
from seatpool.clock import utcnow
from seatpool.core import notices
from seatpool.service.network.transport import Transport
from seatpool.service.telling.desktop import Desktop, NotDelivered
from seatpool.service.telling.notices import Way
from seatpool.service.telling.webhook import Webhook, refusal


@click.group(cls=PlainGroup)
def notify() -> None:
    """Notices of what happens while nobody looks (pool_notify and pool_webhook)."""


@notify.command()
@click.option("--webhook", "url", metavar="URL", help="Send it there, instead of to your desktop.")
def test(url: str | None) -> None:
    """Send a notice, and say whether it went out.

    \b
    seatpool notify test
    seatpool notify test --webhook https://hooks.example/...
    """
    problem = refusal(url) if url is not None else None
    if problem is not None:
        raise click.UsageError(f"--webhook: {problem}")
    way: Way = Desktop() if url is None else Webhook(url, Transport())
    try:
        asyncio.run(way.deliver(notices.test(utcnow())))
    except NotDelivered as failure:
        raise click.ClickException(f"nobody was told: {failure}") from None
    except KeyboardInterrupt:
        click.get_current_context().exit(INTERRUPTED)
    click.echo(f"sent by {way.name}; with a proxy: seatpool run -- --set {_setting(url)}")


def _setting(url: str | None) -> str:
    return "pool_notify=desktop" if url is None else "pool_webhook=URL"
