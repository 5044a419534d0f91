"""What was used: more of each request, and sums by the day that stay when the requests are forgotten."""

import sqlalchemy as sa
from alembic import op

from seatpool.store.schema import Whole

revision = "0012"
down_revision = "0011"

_SO_FAR = """
    INSERT INTO usage_days (day, account_id, model, repository, client, account, provider, requests, aborted, failed,
                            told, input_tokens, cached_tokens, output_tokens)
    SELECT substr(started_at, 1, 10), account_id, coalesce(model, ''), '', '', name, provider,
           sum(outcome IN ('ok', 'left', 'cut')), sum(outcome IN ('left', 'cut')),
           sum(outcome NOT IN ('ok', 'left', 'cut')),
           sum(coalesce(input_tokens, cached_tokens, output_tokens) IS NOT NULL),
           sum(input_tokens), sum(cached_tokens), sum(output_tokens)
    FROM attempts JOIN accounts ON accounts.id = account_id
    WHERE status IS NOT 101
    GROUP BY substr(started_at, 1, 10), account_id, coalesce(model, '')
"""


def upgrade() -> None:
    """Of attempts so far the days are summed up; what asked for them, and about what, is not known."""
    for name in ("reasoning_tokens", "written_tokens", "nano_credits"):
        op.add_column("attempts", sa.Column(name, Whole))
    for name in ("client", "repository"):
        op.add_column("attempts", sa.Column(name, sa.String))
    op.create_table(
        "usage_days",
        sa.Column("day", sa.String, nullable=False),
        sa.Column("account_id", sa.Integer, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("model", "repository", "client")),
        *(sa.Column(name, sa.String, nullable=False) for name in ("account", "provider")),
        *(sa.Column(name, Whole, nullable=False) for name in ("requests", "aborted", "failed", "told")),
        *(sa.Column(name, Whole) for name in ("input_tokens", "cached_tokens", "output_tokens")),
        *(sa.Column(name, Whole) for name in ("reasoning_tokens", "written_tokens", "nano_credits")),
        sa.PrimaryKeyConstraint("day", "account_id", "model", "repository", "client", name="pk_usage_days"),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":  # no other database is that old
        op.execute(_SO_FAR)
