"""Handles beside identities, and accounts that are known from their traffic alone."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add both columns. What a Copilot account was known by so far is its handle: no file tells a stable id."""
    op.add_column("accounts", sa.Column("handle", sa.String))
    op.add_column("accounts", sa.Column("learnt", sa.Boolean, nullable=False, server_default=sa.false()))
    accounts = sa.table("accounts", sa.column("provider"), sa.column("identity"), sa.column("handle"))
    op.execute(accounts.update().where(accounts.c.provider == "copilot").values(handle=accounts.c.identity))
