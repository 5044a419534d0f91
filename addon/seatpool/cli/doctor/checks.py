"""The checks that need more of the house than `setup` has: the database, its key, the accounts in it, and the rules."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

from seatpool.cli.status.health import seen
from seatpool.cli.status.needs import of_disabled, of_idle
from seatpool.cli.status.status import status_rows
from seatpool.core.model import ProviderName
from seatpool.core.report import AccountRow
from seatpool.core.spans import ago
from seatpool.service.flows.rulebook import RulesError, default_path, rules_in
from seatpool.setup import troubles
from seatpool.setup.doctor import Check, Finding, Mend, Situation, problem, warning, well
from seatpool.setup.doctor.finding import theirs
from seatpool.setup.shell import Shell
from seatpool.store import Store, StoreError, located
from seatpool.store.health import Health, examine

SIGN_IN = "seatpool login codex, or: seatpool login copilot"
WITHIN_S = 10.0
"""To look a database through."""
Look = Callable[[str, Situation], Iterable[Finding]]


def pool_checks(database: str) -> tuple[Check, ...]:
    """The table; `database` as the person named it, empty for the default."""
    table: tuple[tuple[str, Look, int], ...] = (
        ("database", _database, 30),
        ("key", _key, 15),
        ("proxies", _proxies, 15),
        ("accounts", _accounts, 15),
        ("rules", _rules, 15),
    )
    return tuple(Check(name, partial(look, database), limit_s) for name, look, limit_s in table)


# -- the database


def _database(database: str, situation: Situation) -> Iterator[Finding]:
    try:
        health = examine(database, WITHIN_S)
    except StoreError as error:
        yield problem(str(error), theirs("seatpool --db PATH doctor"))
        return
    sh = situation.shell
    yield _state_of(health, sh)
    for file in health.unwritable:
        argv = tuple(sh.writable(str(file)))
        yield problem(f"{file} cannot be written: nothing new would be kept", Mend(sh.join(argv), argv))
    for file in health.open_to_others:
        argv = ("chmod", "600", str(file))
        yield warning(f"others on this machine can read {file}", Mend(sh.join(argv), argv))
    if health.elsewhere is not None:
        text = f"{health.path} is on a disk of another machine ({health.elsewhere}), where SQLite's files get damaged"
        yield warning(text, theirs("seatpool run --db PATH, on a disk of this machine; for a container in a volume"))
    yield from (problem(line, theirs(sh.space(str(health.path.parent)))) for line in seen(database, None))
    told = situation.running
    if told is None:
        return
    if told["database"] is None:
        text = "the proxy that runs cannot open its database, and lets everything pass; it tries again by itself"
        yield problem(text, theirs("seatpool doctor --only proxies"))
    elif located(told["database"]) != health.name:
        other = told["database"].removeprefix("sqlite:///")
        named = theirs(f"seatpool doctor --db {sh.quote(other)}")
        yield warning(f"the proxy that runs uses another database, {other}", named)


def _state_of(health: Health, sh: Shell) -> Finding:
    file, broken, name = str(health.path), f"{health.path}.broken", health.name
    away = theirs(sh.then.join((sh.join(("mv", file, broken)), "seatpool status")))
    if health.size is None:
        return well(f"there is no database in {name} yet; whoever needs it first makes it")
    if health.fault is not None:
        return problem(f"the database {health.path} is damaged: {health.fault}; put a copy back, or begin anew", away)
    if health.foreign:
        return problem(f"{name} is another program's database", theirs("seatpool --db PATH doctor"))
    if health.is_newer:
        text = f"{name} was written by a newer seatpool (schema {health.schema}, this one knows {health.head})"
        return problem(text, theirs("update seatpool to that version"))
    if health.busy:
        return warning(f"another program holds {health.path} for longer than a write takes", theirs(sh.users(file)))
    size = f"{health.size / 1024 / 1024:.1f} MB"
    if health.is_older:
        return well(f"{name}, {size}; the next start brings schema {health.schema} to {health.head}")
    unchecked = ", too large to be looked through now" if health.unchecked else ""
    return well(f"{name}, {size}, schema {health.schema or 'none yet'}{unchecked}")


def usable(database: str) -> Health | None:
    """What may be opened without changing it; None where `database` says what is wrong, or there is nothing yet."""
    try:
        health = examine(database, 0.0)
    except StoreError:
        return None
    fine = health.schema == health.head and health.fault is None and not health.unwritable and not health.busy
    return health if fine else None


# -- its key


def _key(database: str, _situation: Situation) -> Iterator[Finding]:
    if usable(database) is None:
        return
    try:
        with Store.open(database) as store:
            place = store.keys.place()
    except StoreError as error:
        yield problem(str(error), theirs("seatpool key show"))
        return
    kept = f"the file {place.file}" if place.file else "the system's keyring"
    yield well(f"the key that seals the tokens is in {kept}, and opens them")


# -- what the proxies say themselves


def _proxies(database: str, situation: Situation) -> Iterator[Finding]:
    try:
        left = troubles.read(located(database))
    except StoreError:
        return  # `database` says it
    for trouble in left:
        text = f"the proxy (process {trouble.pid}) says since {ago(trouble.since, situation.now)}: {trouble.what}"
        yield problem(text, theirs("seatpool doctor --only database; its log has more"))
    if not left:
        yield well("no proxy on this database says that something is wrong")


# -- accounts


def _accounts(database: str, situation: Situation) -> Iterator[Finding]:
    if usable(database) is None:
        return
    try:
        with Store.open(database) as store:
            rows = status_rows(store, situation.now)
    except StoreError:
        return  # `key` says it
    open_rows = [row for row in rows if row.state != "foreign"]
    if all(row.state == "editor" for row in open_rows):
        yield warning("no account is in the pool: everything goes with your editor's own login", theirs(SIGN_IN))
    for provider in ProviderName:
        yield from _of_provider(provider, [row for row in open_rows if row.provider is provider], situation.now)


def _of_provider(provider: ProviderName, rows: list[AccountRow], now: datetime) -> Iterator[Finding]:
    pooled = [row for row in rows if row.state != "editor"]
    rest = any(row.state in ("ready", "cooling") for row in pooled)
    for row in pooled:
        if row.state == "disabled":
            text, command = of_disabled(row.name, row.provider, row.disabled_reason or "")
            yield (warning if rest else problem)(text, theirs(command))
    idle = [warning(need.text, theirs(need.command)) for need in of_idle(provider, rows, now)]
    able = sum(row.state == "ready" for row in pooled)
    if able and not idle:
        yield well(f"{provider}: {able} of {len(pooled)} accounts can serve now")
    yield from idle


# -- rules


def _rules(_named: str, situation: Situation) -> Iterator[Finding]:
    told = situation.running
    named = (told or {}).get("rules") or ""
    path = Path(named).expanduser() if named else default_path()
    if not named and not path.exists():
        yield well("there are no rules")
        return
    try:
        rules = rules_in(path)
    except RulesError as error:
        yield problem(str(error), theirs(f"seatpool rules check {situation.shell.quote(str(path))}"))
        return
    yield well(f"{len(rules.rules)} rules in {path}")
