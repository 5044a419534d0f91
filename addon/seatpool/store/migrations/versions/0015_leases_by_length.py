"""Rights that end by a clock that nobody sets."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Those that are held end as they were to end."""
    op.add_column("leases", sa.Column("begun_s", sa.Float))
    op.add_column("leases", sa.Column("over_s", sa.Float))
