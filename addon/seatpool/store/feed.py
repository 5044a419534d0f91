"""What has changed since a reader last looked: how a process hears of another's doings without reading everything."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec
from sqlalchemy import Connection, Table, bindparam, exists, select

from seatpool.core.locks import Lock
from seatpool.core.model import Account, Affinity, Carried, Cooldown, CredentialKind, QuotaWindow, Scope, UnderWay
from seatpool.store import schema
from seatpool.store.databases.engine import Ready
from seatpool.store.rows import accounts, affinities, beats, carriers, cooldowns, credentials, locks, observations
from seatpool.store.schema import feed

_STAMPED = (
    schema.accounts,
    schema.cooldowns,
    schema.windows,
    schema.credentials,
    schema.affinities,
    schema.carriers,
    schema.locks,
)
_NEWS = Ready(
    select(
        feed.c.revision,
        feed.c.forgotten,
        *(exists().where(table.c.revision > bindparam("after")).label(table.name) for table in _STAMPED),
    )
)
"""The numbers of the last change and of the last removal, and which tables have rows that were stamped since."""
_NO_COOLDOWNS: tuple[tuple[Cooldown, ...], tuple[tuple[int, Scope], ...]] = ((), ())
_NO_GENERATIONS: Mapping[tuple[int, CredentialKind], int] = MappingProxyType({})


class Changes(msgspec.Struct, frozen=True):
    """Everything that was written after one revision, up to and including another."""

    revision: int
    """Where to go on: the next `since`."""
    full: bool
    """Forget everything known and take these as all there is: a first read, or an account was removed."""
    accounts: tuple[Account, ...]
    cooldowns: tuple[Cooldown, ...]
    """As they are now; may include some that are over."""
    cleared: tuple[tuple[int, Scope], ...]
    """Cooldowns that were lifted before their time; to be applied before `cooldowns`, which may set one anew."""
    windows: tuple[tuple[int, QuotaWindow], ...]
    generations: Mapping[tuple[int, CredentialKind], int]
    """Of stored credentials, by account id and kind: for noticing that another process renewed one."""
    affinities: tuple[Affinity, ...] = ()
    """Conversations that were served, the oldest first; the newest ten thousand of more."""
    carriers: tuple[Carried, ...] = ()
    """What accounts gave out, the oldest first; of the newest twenty thousand answers."""
    locks: tuple[Lock, ...] = ()
    """Those that were cleared among them."""
    under_way: tuple[UnderWay, ...] | None = ()
    """What every process has under way, all there is each time; None: as it was."""


def nothing(revision: int) -> Changes:
    """Nothing was written up to this revision that the reader has to hear of."""
    return Changes(revision, False, (), (), (), (), generations=_NO_GENERATIONS, under_way=None)


def read(db: Connection, since: int | None) -> Changes:
    """The changes after `since`; everything for None, and for a number that the database does not vouch for."""
    found = _NEWS.run(db, after=-1 if since is None else since).one()
    full = since is None or not found.forgotten <= since <= found.revision
    after = -1 if since is None or full else since

    def changed[T](table: Table, read: Callable[[Connection, int], T], nothing: T) -> T:
        return read(db, after) if full or getattr(found, table.name) else nothing

    cooling, cleared = changed(schema.cooldowns, cooldowns.changed, _NO_COOLDOWNS)
    return Changes(
        revision=found.revision,
        full=full,
        accounts=changed(schema.accounts, accounts.changed, ()),
        cooldowns=cooling,
        cleared=cleared,
        windows=changed(schema.windows, observations.changed_windows, ()),
        generations=changed(schema.credentials, credentials.changed_generations, _NO_GENERATIONS),
        affinities=changed(schema.affinities, affinities.changed, ()),
        carriers=changed(schema.carriers, carriers.changed, ()),
        locks=changed(schema.locks, locks.changed, ()),
        under_way=beats.every(db),
    )
