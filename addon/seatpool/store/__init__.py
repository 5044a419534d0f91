"""What outlives a process. The only importer of SQLAlchemy.

`Store` is the whole face of it: synchronous, thread-safe, several processes on one database. It takes and returns core
values, never rows, and raises nothing but `StoreError`. Behind it each module has one idea::

    errors      what can go wrong, in one plain line each
    schema      the tables
    backend     where SQLite and PostgreSQL differ: sqlite, postgres (and listening, for what it notifies of)
    engine      a URL or path -> an engine; upserts; statements for many rows; SQLAlchemy's errors in plain words
    migrate     brings a database to the present schema (Alembic, loaded only when there is something to do)
    masterkey   where the key lives that seals the credentials
    keyrings    the operating system's keyring, which may ask its person first
    secrets     sealing and opening credentials with it
    rotation    a new key, and everything sealed with it anew
    revisions   the number of the last change; rows are stamped with it
    feed        what has changed since a reader last looked
    accounts    credentials    cooldowns    observations    leases    affinities    beats     one kind of row each
    ahead       rows that seem to be of the future
    endings     requests that are over, to be followed; overview  what a report is made of
    transactions  turns of the threads of one process
    audit       in whose hands a process is, and what each has done; admins  who may do what
    health      how a database is, from outside; mounts  which disks are another machine's
    people      whose an account is; locks  what is the same for every proxy; team  those two and the audit, joined
    store       the class that joins them; past, keys  what it has of records that are read, and of the key
    export      accounts with their logins as one encrypted file
"""

from seatpool.store.databases.backend import Ear
from seatpool.store.databases.engine import located
from seatpool.store.databases.places import default_url
from seatpool.store.errors import (
    BadLock,
    BadName,
    BadPerson,
    BadWeight,
    NameTaken,
    NewerDatabase,
    NotAllowed,
    StoreError,
    StoreUnavailable,
    Superseded,
    UnknownAccount,
    Unstorable,
    WrongKey,
)
from seatpool.store.feed import Changes
from seatpool.store.rows.endings import Wanted
from seatpool.store.rows.leases import Grant, Lease
from seatpool.store.sealing.masterkey import KeyPlace
from seatpool.store.store import Store

__all__ = [
    "BadLock",
    "BadName",
    "BadPerson",
    "BadWeight",
    "Changes",
    "Ear",
    "Grant",
    "KeyPlace",
    "Lease",
    "NameTaken",
    "NewerDatabase",
    "NotAllowed",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "Superseded",
    "UnknownAccount",
    "Unstorable",
    "Wanted",
    "WrongKey",
    "default_url",
    "located",
]
