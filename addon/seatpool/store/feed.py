"""What has changed since a reader last looked: how a process hears of another's doings without reading everything."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from sqlalchemy import Connection

from seatpool.core.locks import Lock
from seatpool.core.model import Account, Affinity, Carried, Cooldown, CredentialKind, QuotaWindow, Scope, UnderWay
from seatpool.store import accounts, affinities, beats, carriers, cooldowns, credentials, locks, observations, revisions

_NONE: Mapping[tuple[int, CredentialKind], int] = MappingProxyType({})


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
    return Changes(revision, False, (), (), (), (), generations=_NONE, under_way=None)


def read(db: Connection, since: int | None) -> Changes:
    """The changes after `since`; everything for None, and for a number that the database does not vouch for."""
    revision, forgotten = revisions.current_and_forgotten(db)
    full = since is None or not forgotten <= since <= revision
    after = -1 if since is None or full else since
    cooling, cleared = cooldowns.changed(db, after)
    return Changes(
        revision=revision,
        full=full,
        accounts=accounts.changed(db, after),
        cooldowns=cooling,
        cleared=cleared,
        windows=observations.changed_windows(db, after),
        generations=credentials.changed_generations(db, after),
        affinities=affinities.changed(db, after),
        carriers=carriers.changed(db, after),
        locks=locks.changed(db, after),
        under_way=beats.every(db),
    )
