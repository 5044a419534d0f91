"""Whose an account is, who may use it, what is locked and by whom, and who did what."""

import sqlalchemy as sa
from alembic import op

from seatpool.store.schema import Id, Whole

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Every account so far is everybody's."""
    op.add_column("accounts", sa.Column("owner", sa.String))
    op.add_column("accounts", sa.Column("people", sa.String, nullable=False, server_default="[]"))
    op.create_table(
        "admins",
        sa.Column("person", sa.String, nullable=False),
        sa.Column("since", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("person", name="pk_admins"),
    )
    op.create_table(
        "locks",
        sa.Column("name", Id, nullable=False),
        sa.Column("value", sa.String),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("set_at", sa.DateTime, nullable=False),
        sa.Column("revision", Whole, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_locks"),
    )
    op.create_table(
        "audit",
        sa.Column("id", Whole, nullable=False),
        sa.Column("done_at", sa.DateTime, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("person", "system_user", "host", "deed")),
        sa.Column("account_id", sa.Integer),
        *(sa.Column(name, sa.String) for name in ("account", "before", "after")),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_done_at", "audit", ["done_at"])
