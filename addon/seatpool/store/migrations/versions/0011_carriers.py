"""Who gave out what only its giver can read."""

import sqlalchemy as sa
from alembic import op

from seatpool.store.schema import Whole

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Nothing was kept so far."""
    op.create_table(
        "carriers",
        sa.Column("id", Whole, nullable=False),
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.Column("digests", sa.LargeBinary, nullable=False),
        sa.Column("learnt_at", sa.DateTime, nullable=False),
        sa.Column("revision", Whole, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_carriers"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_carriers_account_id", ondelete="CASCADE"),
    )
    op.create_index("ix_carriers_revision", "carriers", ["revision"])
