"""Requests that are over, in the order in which they ended."""

import sqlalchemy as sa
from alembic import op

from seatpool.store.schema import Id, Whole

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Of requests so far nothing is known."""
    op.create_table(
        "endings",
        sa.Column("id", Whole, nullable=False),
        sa.Column("flow_id", Id, nullable=False),
        sa.Column("first", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("account_id", sa.Integer),
        sa.Column("began_at", sa.DateTime, nullable=False),
        sa.Column("sent_at", sa.DateTime, nullable=False),
        sa.Column("first_byte_ms", sa.Float),
        sa.Column("total_ms", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_endings"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_endings_account_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_endings_began_at", "endings", ["began_at"])
