"""The key that seals the credentials, as the rest of the house sees it, and what is read with it."""

from collections.abc import Callable

from sqlalchemy import Connection

from seatpool.core.deeds import Did
from seatpool.store.acting import admins, audit
from seatpool.store.databases.transactions import Transactions
from seatpool.store.errors import StoreError, WrongKey
from seatpool.store.sealing import masterkey, rotation
from seatpool.store.sealing.masterkey import KeyPlace
from seatpool.store.sealing.secrets import Keychain, Vault


class Keys:
    """`Store.keys`; as all of the store: from any thread, and raises nothing but `StoreError`."""

    def __init__(self, db: Transactions, chain: Keychain, where: str) -> None:
        self._db = db
        self._chain = chain
        self._where = where

    def rotate(self) -> int:
        """Make a new one and seal everything with it; how many credentials. Other processes notice by themselves.

        A kill at any point leaves either the old key in force or the new one, and that one at hand.
        """
        with self._db.write(durable=True) as db:
            key_id, count = rotation.rotate(db, self._chain, self._where)
        self._tidy(key_id)
        self._db.empty_log()
        return count

    def place(self) -> KeyPlace:
        """Where the key is kept."""
        with self._db.read() as db:
            return masterkey.place(self._where, self._chain.vault(db).key_id)

    def copy(self, keep: Callable[[bytes], object] | None = None) -> bytes:
        """The key itself, for a person to carry to another machine. May raise `NotAllowed`.

        `keep` is given it before it is noted for good; what that raises is raised here, and then nothing is noted.
        """
        with self._db.write(durable=True) as db:
            admins.require(db)
            vault = self._chain.vault(db)
            audit.note(db, Did.EXPORT_KEY, before=vault.key_id)
            if keep is not None:
                keep(vault.key)
            return vault.key

    def vault(self, db: Connection) -> Vault:
        """For the store's own modules: what seals and opens in this transaction. Raises `WrongKey`."""
        return self._chain.vault(db)

    def opened[T](self, read: Callable[[Connection, Vault], T]) -> T:
        """For the store: what is read with the key; once more where that was changed, and went, during the read."""
        try:
            with self._db.read() as db:
                return read(db, self.vault(db))
        except WrongKey:
            with self._db.read() as db:
                return read(db, self.vault(db))

    def tidy(self) -> None:
        """For the opening: take away what a kill in a rotation has left."""
        if self._chain.is_untidy():
            self._tidy(None)

    def _tidy(self, key_id: str | None) -> None:
        """Take away the keys that are not in force; `key_id` is the one that is, None where the disk may not know."""
        try:
            if key_id is None:
                with self._db.write(durable=True) as db:
                    key_id = rotation.confirm(db, self._chain)
            with self._db.write() as db:
                rotation.tidy(db, self._chain, self._where, key_id)
        except StoreError:
            pass  # a key too many does no harm, and the next opening tries again
