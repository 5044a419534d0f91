"""How often in a row there was a limit that nobody gave a time for."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Nothing is known of how the cooldowns so far came about."""
    op.add_column("cooldowns", sa.Column("strikes", sa.Integer, nullable=False, server_default="0"))
