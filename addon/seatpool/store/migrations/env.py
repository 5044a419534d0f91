"""Run by Alembic; the connection comes from `migrate`, inside its transaction."""

import logging

from alembic import context

from seatpool.store.schema import metadata

logging.getLogger("alembic").setLevel(logging.WARNING)
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
