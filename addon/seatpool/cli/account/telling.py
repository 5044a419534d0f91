"""What an import tells: each login and its fate, line by line to a person, at the end to a program."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec
from rich.markup import escape

from seatpool.cli.account.loginfiles import Candidate, shown
from seatpool.cli.common import console, folding
from seatpool.providers.logins import ImportedLogin


class Told(msgspec.Struct):
    """What came of it, for a person line by line, for a program at the end."""

    as_json: bool
    rows: list[dict[str, Any]] = msgspec.field(default_factory=list)
    saved: list[str] = msgspec.field(default_factory=list)

    def row(
        self, candidate: Candidate, result: str, line: str = "", *, account: str | None = None, reason: str = ""
    ) -> None:
        """One login and its fate; `line` goes to the person, `reason` to the program."""
        login = candidate.login
        self.rows.append(
            {
                "result": result,
                "account": account,
                "reason": reason or None,
                "provider": login.provider.value,
                "program": login.program,
                "file": str(candidate.path),
                "who": who(login),
                "plan": login.plan,
                "shared": login.shared,
                "note": login.note or None,
            }
        )
        if line and not self.as_json:
            click.echo(line)

    def finish(self) -> None:
        """The rows, where a program asked."""
        if self.as_json:
            click.echo(json.dumps(self.rows, indent=2))


def who(login: ImportedLogin) -> str:
    """The person, as far as the login says."""
    if login.identity is None:
        return f"somebody at {login.issuer}"
    return login.handle or login.name


def described(candidate: Candidate) -> str:
    """In a question."""
    login = candidate.login
    plan = f", {login.plan}" if login.plan else ""
    note = f"; it {login.note}" if login.note else ""
    return f"{who(login)} ({login.provider}{plan}) from {login.program}{note}"


def show(candidates: Sequence[Candidate], known: Mapping[int, str]) -> None:
    """What was found; `known` as `identifying.in_the_pool` tells it."""
    table = folding("program", "who", "plan", "in the pool", "file")
    for each in candidates:
        login = each.login
        row = (login.program, who(login), login.plan or "-", known.get(id(each), "no"), shown(each.path))
        table.add_row(*map(escape, row))
    console().print(table)


def note(lines: Iterable[str]) -> None:
    """One line each, beside the result."""
    for line in lines:
        click.echo(f"Note: {line}", err=True)
