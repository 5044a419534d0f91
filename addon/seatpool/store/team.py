"""The people on one database, as the rest of the house sees them: whose what is, who may what, and who did what."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from seatpool.core.deeds import Actor, Deed, Did
from seatpool.core.locks import Lock
from seatpool.core.model import Account
from seatpool.store.acting import admins, audit
from seatpool.store.databases.transactions import Transactions
from seatpool.store.export import Exported
from seatpool.store.rows import accounts, credentials, locks, people
from seatpool.store.sealing.keys import Keys


class Team:
    """`Store.team`; as all of the store: from any thread, and raises nothing but `StoreError`.

    Whatever changes something may raise `NotAllowed`, and is noted in the audit log together with the change.
    """

    def __init__(self, db: Transactions, keys: Keys, actor: Actor) -> None:
        self._db = db
        self._keys = keys
        self.actor = actor
        """In whose hands this store is."""

    @property
    def person(self) -> str:
        """Under what name."""
        return self.actor.person

    # -- accounts

    def set_owner(self, name: str, person: str | None, others: Sequence[str] | None = None) -> Account:
        """None: everybody's. It is shared with `others`, or as it was. Raises `UnknownAccount` or `BadPerson`."""
        with self._db.write(durable=True) as db:
            return people.set_owner(db, name, person, others)

    def share(self, name: str, persons: Sequence[str]) -> Account:
        """Let these use it as well. Raises `UnknownAccount` or `BadPerson`."""
        with self._db.write(durable=True) as db:
            return people.share(db, name, persons, on=True)

    def unshare(self, name: str, persons: Sequence[str]) -> Account:
        """Let them use it no longer. Raises `UnknownAccount` or `BadPerson`."""
        with self._db.write(durable=True) as db:
            return people.share(db, name, persons, on=False)

    def exported(
        self, names: Collection[str], keep: Callable[[Sequence[Exported]], object] | None = None
    ) -> tuple[Exported, ...]:
        """These accounts with their logins, to be written to a file. Raises `UnknownAccount`.

        `keep` is given them before that is noted for good; what it raises is raised here, and then nothing is noted.
        Others wait for it where they write.
        """
        with self._db.write(durable=True) as db:
            vault, found = self._keys.vault(db), []
            for name in names:
                held = accounts.yours(db, name)
                audit.note(db, Did.EXPORT, held)
                found.append(Exported(held, tuple(credentials.of_account(db, vault, held.id).values())))
            if keep is not None:
                keep(found)
            return tuple(found)

    # -- admins

    def admins(self) -> tuple[str, ...]:
        """In the order in which they were named; while there is none, everybody is one."""
        with self._db.read() as db:
            return admins.every(db)

    def appoint(self, person: str) -> bool:
        """Whether they were no admin before. Raises `BadPerson`."""
        with self._db.write(durable=True) as db:
            return admins.appoint(db, person)

    def dismiss(self, person: str) -> bool:
        """Whether they were one. Raises `BadPerson`."""
        with self._db.write(durable=True) as db:
            return admins.dismiss(db, person)

    # -- locks

    def locks(self) -> tuple[Lock, ...]:
        """Those that hold, by name."""
        with self._db.read() as db:
            return locks.every(db)

    def lock(self, name: str, value: str) -> Lock | None:
        """Fix an option for every proxy; what held before. Raises `BadLock`."""
        with self._db.write(durable=True) as db:
            return locks.put(db, name, value)

    def unlock(self, name: str) -> Lock | None:
        """Leave it to everybody again; what held before. Raises `BadLock`."""
        with self._db.write(durable=True) as db:
            return locks.put(db, name, None)

    # -- the audit log

    def deeds(self, since: datetime | None = None, account: str | None = None) -> Sequence[Deed]:
        """Those done then or later, to the account that has or had this name, under whatever name; the latest last."""
        with self._db.read() as db:
            return audit.deeds(db, since, account)
