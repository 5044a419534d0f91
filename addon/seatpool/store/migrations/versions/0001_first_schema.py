"""The first schema."""

import sqlalchemy as sa
from alembic import op

from seatpool.store.schema import Id, Whole

revision = "0001"
down_revision = None


def _of_account(table: str) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    name = f"fk_{table}_account_id"
    return (
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=name, ondelete="CASCADE"),
    )


def upgrade() -> None:
    """Make every table, and the one row of the feed."""
    _make_bookkeeping()
    _make_accounts()
    _make_observations()


def _make_bookkeeping() -> None:
    feed = op.create_table(
        "feed",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("revision", Whole, nullable=False),
        sa.Column("forgotten", Whole, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feed"),
    )
    op.bulk_insert(feed, [{"id": 1, "revision": 0, "forgotten": 0}])
    op.create_table(
        "master_key",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("proof", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_master_key"),
    )
    op.create_table(
        "leases",
        sa.Column("key", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("until", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_leases"),
    )


def _make_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("provider", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("identity", sa.String, nullable=False),
        sa.Column("issuer", sa.String, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("disabled", sa.String),
        sa.Column("plan", sa.String),
        sa.Column("last_used_at", sa.DateTime),
        sa.Column("state_since", sa.DateTime, nullable=False),
        sa.Column("revision", Whole, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("name", name="uq_accounts_name"),
        sa.UniqueConstraint("provider", "identity", name="uq_accounts_provider_identity"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "credentials",
        *_of_account("credentials"),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.DateTime),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("renewed_at", sa.DateTime, nullable=False),
        sa.Column("revision", Whole, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "kind", name="pk_credentials"),
    )
    op.create_table(
        "cooldowns",
        *_of_account("cooldowns"),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("value", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("until", sa.DateTime, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("revision", Whole, nullable=False),
        sa.Column("lifted", Whole, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "scope", "value", name="pk_cooldowns"),
    )


def _make_observations() -> None:
    op.create_table(
        "windows",
        *_of_account("windows"),
        sa.Column("bucket", sa.String, nullable=False),
        sa.Column("left", sa.Float, nullable=False),
        sa.Column("observed_at", sa.DateTime, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("unlimited", sa.Boolean, nullable=False),
        sa.Column("length_s", sa.Integer),
        sa.Column("resets_at", sa.DateTime),
        sa.Column("revision", Whole, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "bucket", name="pk_windows"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", Whole, nullable=False),
        sa.Column("flow_id", Id, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        *_of_account("attempts"),
        sa.Column("route", sa.String, nullable=False),
        sa.Column("model", sa.String),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("first_byte_ms", sa.Float),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
    )
    op.create_index("ix_attempts_started_at", "attempts", ["started_at"])
    op.create_index("ix_attempts_account_id_started_at", "attempts", ["account_id", "started_at"])
