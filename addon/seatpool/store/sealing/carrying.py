"""The key of a database that several machines share, brought from one that has it to one that has it not."""

from pathlib import Path

from sqlalchemy import select

from seatpool.store import migrate
from seatpool.store.databases import engine as engines
from seatpool.store.errors import StoreUnavailable, WrongKey
from seatpool.store.schema import master_key
from seatpool.store.sealing import masterkey
from seatpool.store.sealing.masterkey import KeyPlace
from seatpool.store.sealing.secrets import Vault


def take_in(url_or_path: str, key: bytes) -> KeyPlace:
    """Keep it where it belongs on this machine, if it is the right one; where that is. Raises `StoreError`."""
    url = engines.resolve(url_or_path)
    where, kind = engines.place(url), url.get_backend_name()
    if kind == "sqlite" and not Path(where).exists():  # which would make it
        raise StoreUnavailable(f"there is no database in {where} yet")
    engine = engines.open_engine(url)
    try:
        with engines.plainly(kind, where), engines.begun(engine) as db:
            found = migrate.found_revision(db, where)
            kept = db.execute(select(master_key.c.key_id, master_key.c.proof)).one_or_none() if found else None
    finally:
        engine.dispose()
    if kept is None:
        raise StoreUnavailable(f"nothing is sealed in {where} yet; whoever uses it first makes its key")
    try:
        fits = Vault(key.strip(), kept.key_id).proves(kept.proof)
    except ValueError:
        raise WrongKey("that is no key; it is one line, as `seatpool key export` writes it") from None
    if not fits:
        raise WrongKey(f"that is not the key of {where}, or it was changed since; export it anew")
    masterkey.keep(where, kept.key_id, key.strip())
    return masterkey.place(where, kept.key_id)
