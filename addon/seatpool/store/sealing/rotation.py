"""A new key for a database, and everything sealed with it anew. A kill or a power cut at any point costs nothing.

    1. under the write lock, the new key is kept beside the old one, on the disk
    2. in the same transaction everything is sealed with it, and the row that names the key names the new one
    3. when that is on the disk, the old key goes

Before the commit the old key opens everything, after it the new one does, and both are at hand all the while. What a
kill leaves behind is a key that opens nothing any more, or nothing yet: `tidy` takes it out of the key file at the next
opening, the next rotation takes it out of the keyring. Other processes see by the key's id that it was changed.
"""

from collections.abc import Iterator

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Connection, bindparam, select, update

from seatpool.core.deeds import Did
from seatpool.store.acting import admins, audit
from seatpool.store.databases.engine import Many
from seatpool.store.schema import credentials, master_key
from seatpool.store.sealing import masterkey
from seatpool.store.sealing.secrets import Keychain, Vault

_SEALED = select(credentials.c.account_id, credentials.c.kind, credentials.c.secret)
_RESEAL = Many(
    update(credentials)
    .where(credentials.c.account_id == bindparam("of"), credentials.c.kind == bindparam("the_kind"))
    .values(secret=bindparam("sealed")),
    ["sealed", "of", "the_kind"],
)


def rotate(db: Connection, keys: Keychain, where: str) -> tuple[str, int]:
    """Steps 1 and 2, in a durable write transaction; the new key's id, and how many credentials were sealed anew.

    One that is damaged stays as it is. May raise `WrongKey`, `StoreUnavailable` and `NotAllowed`; the key has not
    changed then.
    """
    admins.require(db)
    old = keys.vault(db)
    new = Vault(Fernet.generate_key(), _next(old.key_id))
    masterkey.add(where, new.key_id, new.key, beside=old.key)
    rows = list(_resealed(db, old, new))
    if rows:
        _RESEAL.run(db, rows)
    db.execute(update(master_key).values(key_id=new.key_id, proof=new.prove()))
    audit.note(db, Did.ROTATE_KEY, before=old.key_id, after=new.key_id)
    return new.key_id, len(rows)


def confirm(db: Connection, keys: Keychain) -> str:
    """In a durable write transaction: the id of the key, on the disk when the transaction ends.

    A process that was killed in its commit may have left it to the operating system's care. Hence the write.
    """
    key_id = keys.vault(db).key_id
    db.execute(update(master_key).values(key_id=key_id))
    return key_id


def tidy(db: Connection, keys: Keychain, where: str, key_id: str) -> None:
    """Step 3, in a write transaction, so that nobody is between 1 and 2; nothing where the key is no longer this one.

    `key_id` is one of which the disk is known to have it. May raise `StoreUnavailable`; the next opening tidies then.
    """
    vault = keys.vault(db)
    if vault.key_id != key_id:
        return
    if masterkey.place(where, key_id).file is not None:
        masterkey.keep_only(where, key_id, vault.key)
    else:
        masterkey.forget(former_keys(key_id))


def _resealed(db: Connection, old: Vault, new: Vault) -> Iterator[tuple[bytes, int, str]]:
    both = MultiFernet([Fernet(new.key), Fernet(old.key)])
    for row in db.execute(_SEALED).all():
        try:
            yield both.rotate(row.secret), row.account_id, row.kind
        except InvalidToken:
            continue


def _next(key_id: str) -> str:
    """Counted, because a keyring cannot be asked what it holds: so what a kill left there is known all the same.

    A key of this id that was never used is written over; of those before, see `former_keys`.
    """
    first, _, number = key_id.partition("-")
    return f"{first}-{int(number or 0) + 1}"


def former_keys(key_id: str) -> Iterator[str]:
    """The ids of the keys before, the last one first: kills may have left several."""
    first, _, number = key_id.partition("-")
    for former in reversed(range(int(number or 0))):
        yield f"{first}-{former}" if former else first
