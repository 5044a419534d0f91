"""Why requests went where they went, and how quota was used up."""

import sqlalchemy as sa
from alembic import op

from seatpool.store.schema import Id, Whole

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add both records, and the reason of an attempt; what was recorded so far has none."""
    op.add_column("attempts", sa.Column("reason", sa.String))
    op.create_table(
        "choices",
        sa.Column("id", Whole, nullable=False),
        sa.Column("flow_id", Id, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("decided_at", sa.DateTime, nullable=False),
        sa.Column("provider", sa.String, nullable=False),
        sa.Column("route", sa.String, nullable=False),
        sa.Column("model", sa.String),
        sa.Column("strategy", sa.String),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("account_id", sa.Integer),
        sa.Column("contenders", sa.LargeBinary, nullable=False),
        sa.Column("left_out", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_choices"),
        _of_account("choices"),
    )
    op.create_index("ix_choices_flow_id", "choices", ["flow_id"])
    op.create_table(
        "window_history",
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.Column("bucket", sa.String, nullable=False),
        sa.Column("observed_at", sa.DateTime, nullable=False),
        sa.Column("left", sa.Float, nullable=False),
        sa.Column("length_s", sa.Integer),
        sa.Column("resets_at", sa.DateTime),
        sa.PrimaryKeyConstraint("account_id", "bucket", "observed_at", name="pk_window_history"),
        _of_account("window_history"),
        sqlite_with_rowid=False,
    )


def _of_account(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=f"fk_{table}_account_id", ondelete="CASCADE")
