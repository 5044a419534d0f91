"""How much of the work an account gets, and how free its owner is with its quota."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Every account has an equal share so far, and nobody's quota is spared."""
    op.add_column("accounts", sa.Column("weight", sa.Float, nullable=False, server_default="1"))
    op.add_column("accounts", sa.Column("keeping", sa.String, nullable=False, server_default="normal"))
