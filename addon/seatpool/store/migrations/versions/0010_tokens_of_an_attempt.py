"""How long an attempt took in all, and what upstream has counted of it."""

import sqlalchemy as sa
from alembic import op

from seatpool.store.schema import Whole

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Of attempts so far it is not known."""
    op.add_column("attempts", sa.Column("total_ms", sa.Float))
    for name in ("input_tokens", "cached_tokens", "output_tokens"):
        op.add_column("attempts", sa.Column(name, Whole))
