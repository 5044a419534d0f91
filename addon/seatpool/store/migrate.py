"""Brings a database to the schema of this version, or refuses it untouched.

Loading Alembic costs more than everything else at start-up, so it is loaded only when there is something to do.
"""

import logging
import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from seatpool.store.databases import backend
from seatpool.store.databases import engine as engines
from seatpool.store.errors import NewerDatabase, StoreUnavailable

REVISIONS = tuple(f"{number:04}" for number in range(1, 16))
"""Every schema that ever was, oldest first, as the files in `migrations/versions` name them."""
HEAD = REVISIONS[-1]

_SCRIPTS = Path(__file__).with_name("migrations")
_alembic_is_global = threading.Lock()


def bring_to_head(engine: Engine, where: str) -> None:
    """Migrate where needed. The database's own write lock is the lock: others wait, then find nothing to do."""
    with engines.begun(engine) as db:
        found = found_revision(db, where)
    backend.of(engine.dialect.name).prepare(engine, engines.BUSY_TIMEOUT_S)
    if found == HEAD:
        return
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every plugin that it sets up
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    with _alembic_is_global, engines.begun(engines.writing(engine)) as db:
        if found_revision(db, where) == HEAD:  # or refused by now: a newer version may have had its turn before us
            return
        config.attributes["connection"] = db
        command.upgrade(config, "head")


def found_revision(db: Connection, where: str) -> str | None:
    """The schema that the database has, None for an empty one. Raises for one that is not ours to change."""
    tables = inspect(db).get_table_names()
    if "alembic_version" not in tables:
        if tables:
            raise StoreUnavailable(f"the database {where} belongs to another program; choose another one")
        return None
    found: str | None = db.scalar(text("SELECT version_num FROM alembic_version"))
    if found is not None and found not in REVISIONS:
        raise NewerDatabase(
            f"the database {where} was written by a newer seatpool (schema {found}, this one knows {HEAD});"
            " update seatpool, or choose another one"
        )
    return found
