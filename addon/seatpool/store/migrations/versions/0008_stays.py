"""Which choice tells the candidates of a request that stayed with its conversation."""

import sqlalchemy as sa
from alembic import op

from seatpool.store.schema import Id

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Requests so far recorded a choice each."""
    op.add_column("attempts", sa.Column("chosen_in", Id))
