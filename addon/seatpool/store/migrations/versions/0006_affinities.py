"""Which conversation is on which account, so that it stays there over a restart and in another process."""

import sqlalchemy as sa
from alembic import op

from seatpool.store.schema import Whole

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Nothing was kept so far."""
    op.create_table(
        "affinities",
        sa.Column("conversation", sa.String, nullable=False),
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.Column("served_at", sa.DateTime, nullable=False),
        sa.Column("cached_tokens", Whole),
        sa.Column("revision", Whole, nullable=False),
        sa.PrimaryKeyConstraint("conversation", name="pk_affinities"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_affinities_account_id", ondelete="CASCADE"),
    )
    op.create_index("ix_affinities_revision", "affinities", ["revision"])
