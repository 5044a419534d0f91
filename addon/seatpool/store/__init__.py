"""What outlives a process. The only importer of SQLAlchemy.

`Store` is the whole face of it: synchronous, thread-safe, several processes on one database. It takes and returns core
values, never rows, and raises nothing but `StoreError`. Behind it each module has one idea::

    store       the class that joins them; past, team  what it has of records, and of people
    errors      what can go wrong, in one plain line each
    schema      the tables
    migrate     brings a database to the present schema (Alembic, loaded only when there is something to do)
    feed        what has changed since a reader last looked
    health      how a database is, from outside
    export      accounts with their logins as one encrypted file
    databases/  backend: where SQLite and PostgreSQL differ: sqlite, postgres (and bounded, listening, for its
                connections and what it notifies of)
      engine        a URL or path -> an engine; upserts; statements for many rows; SQLAlchemy's errors in plain words
      places        paths as a person writes them; files  which file is behind one; mounts  which disks are another
                    machine's; watching  that a file has changed
      revisions     the number of the last change; rows are stamped with it
      transactions  turns of the threads of one process
    acting/     audit: in whose hands a process is, and what each has done; admins: who may do what
    sealing/    masterkey: where the key lives that seals the credentials
      keyrings      the operating system's keyring, which may ask its person first
      secrets       sealing and opening credentials with it; keys  what the store has of it
      rotation      a new key, and everything sealed with it anew
      carrying      the key on another machine; removal  a database and its key that are to be no more
    rows/       one kind of row each; of these
      ahead         rows that seem to be of the future
      endings       requests that are over, to be followed; overview  what a report is made of
      people        whose an account is; locks  what is the same for every proxy
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
