"""How many requests each process has under way at each account."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Whoever runs tells it anew."""
    op.create_table(
        "under_way",
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("counts", sa.String, nullable=False),
        sa.Column("beat_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_under_way"),
    )
