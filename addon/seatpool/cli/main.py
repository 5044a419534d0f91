"""The entry point of `seatpool`."""

import click

from seatpool import homes
from seatpool.cli.account.accounts import account
from seatpool.cli.admins import admin
from seatpool.cli.auditing import audit
from seatpool.cli.ca.ca import ca
from seatpool.cli.common import PlainGroup, with_database
from seatpool.cli.doctor.doctor import doctor
from seatpool.cli.forecasting import forecast
from seatpool.cli.key import key
from seatpool.cli.locking import lock
from seatpool.cli.login.login import login
from seatpool.cli.notify import notify
from seatpool.cli.pac import pac
from seatpool.cli.page import page
from seatpool.cli.recording import record
from seatpool.cli.rules import rules
from seatpool.cli.run import run
from seatpool.cli.service import service
from seatpool.cli.setup import setup
from seatpool.cli.status.status import cooldown, status
from seatpool.cli.tail import tail
from seatpool.cli.transparent import transparent
from seatpool.cli.uninstall import footprint
from seatpool.cli.uninstall.uninstall import uninstall
from seatpool.cli.usage.usage import usage
from seatpool.cli.version import with_version
from seatpool.cli.why.why import why


@click.group(cls=PlainGroup, context_settings={"help_option_names": ["-h", "--help"]})
@with_version
@with_database
def main() -> None:
    """One editor, several Copilot or Codex accounts of yours.

    \b
    seatpool login codex --name work
    seatpool setup codex vscode
    seatpool run
    seatpool status
    """
    if homes.is_walled():
        raise click.ClickException(homes.WALLED)
    footprint.watch()


COMMANDS = (
    account,
    admin,
    audit,
    ca,
    cooldown,
    doctor,
    forecast,
    key,
    lock,
    login,
    notify,
    pac,
    page,
    record,
    rules,
    run,
    service,
    setup,
    status,
    tail,
    transparent,
    uninstall,
    usage,
    why,
)

for command in COMMANDS:
    main.add_command(command)

if __name__ == "__main__":
    main()
