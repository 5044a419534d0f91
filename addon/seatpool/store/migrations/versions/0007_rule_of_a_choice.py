"""Which rule decided who could be chosen."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Of choices so far it is not known."""
    op.add_column("choices", sa.Column("rule", sa.String))
