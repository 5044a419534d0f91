"""The tables. What they look like in a file is made by `migrations/`; a test holds the two together.

`revision` on a row is the feed's number at its last change (see `feed`). Moments are UTC with microseconds.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    false,
)
from sqlalchemy.dialects import sqlite

from seatpool.core.model import Keeping

_OFFSET = len("+00:00")


def as_text(moment: datetime | None) -> str | None:
    """How a moment is kept: naive UTC, always with microseconds, so that texts compare as moments do.

    A naive datetime is a mistake of the caller: `ValueError`.
    """
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a stored moment must be aware of its time zone")
    return moment.astimezone(UTC).isoformat(" ", "microseconds")[:-_OFFSET]


def as_moment(text: str | None) -> datetime | None:
    """What `as_text` kept: aware again, always UTC."""
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def _as_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


class Moment(sqlite.DATETIME):
    """Aware datetimes in and out. SQLAlchemy's own type writes the same text, and takes longer than SQLite's work.

    PostgreSQL reads that text, too, into a TIMESTAMP without a time zone: UTC, whatever zone a session is in.
    """

    def adapt(self, cls: type[Any], **kw: Any) -> Any:
        """For SQLAlchemy, whose drivers would put types of their own in this one's place."""
        return type(self)()

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], str | None]:
        """For SQLAlchemy."""
        return as_text

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        """For SQLAlchemy."""
        return as_moment if dialect.name == "sqlite" else _as_utc


Whole = Integer().with_variant(BigInteger(), "postgresql")
"""A number that may pass two thousand millions: SQLite's do anyway."""
Id = String().with_variant(String(collation="C"), "postgresql")
"""A text whose order is that of its characters, whatever language a server speaks."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _of_account(*, primary_key: bool = False) -> Column[int]:
    return Column(
        "account_id",
        ForeignKey("accounts.id", ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=False,
    )


feed = Table(
    "feed",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # the one row is 1
    Column("revision", Whole, nullable=False),
    # Revision of the last removal of an account: who last looked before it must read everything again.
    Column("forgotten", Whole, nullable=False),
)

master_key = Table(
    "master_key",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # the one row is 1
    Column("key_id", String, nullable=False),  # user name in the keyring; tells several databases' keys apart
    Column("proof", LargeBinary, nullable=False),  # a known text, sealed: only the right key opens it
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("provider", String, nullable=False),
    Column("name", String, nullable=False, unique=True),
    Column("identity", String, nullable=False),
    Column("issuer", String, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("disabled", String),
    Column("plan", String),
    Column("last_used_at", Moment),
    Column("state_since", Moment, nullable=False),  # last signed in, paused, resumed or disabled
    Column("revision", Whole, nullable=False),
    Column("handle", String),  # of one provider's accounts no two have the same: see `accounts.sign_in`
    Column("learnt", Boolean, nullable=False, server_default=false()),
    Column("weight", Float, nullable=False, server_default="1"),
    Column("keeping", String, nullable=False, server_default=Keeping.NORMAL.value),
    Column("owner", String),  # a person; none: it is everybody's
    Column("people", String, nullable=False, server_default="[]"),  # who may use it beside them, as JSON
    UniqueConstraint("provider", "identity"),
    sqlite_autoincrement=True,  # a removed account's id is never given again: other processes may still hold it
)

credentials = Table(
    "credentials",
    metadata,
    _of_account(primary_key=True),
    Column("kind", String, primary_key=True),
    Column("secret", LargeBinary, nullable=False),  # tokens, endpoints and attributes, sealed as one
    Column("expires_at", Moment),
    Column("generation", Integer, nullable=False),
    Column("renewed_at", Moment, nullable=False),
    Column("revision", Whole, nullable=False),
)

cooldowns = Table(
    "cooldowns",
    metadata,
    _of_account(primary_key=True),
    Column("scope", String, primary_key=True),
    Column("value", String, primary_key=True),
    Column("reason", String, nullable=False),
    Column("until", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("revision", Whole, nullable=False),
    # Revision of its last lifting, 0 before; the row's own while it is lifted, so that other processes hear of it.
    Column("lifted", Whole, nullable=False),
    Column("strikes", Integer, nullable=False, server_default="0"),
)

windows = Table(
    "windows",
    metadata,
    _of_account(primary_key=True),
    Column("bucket", String, primary_key=True),
    Column("left", Float, nullable=False),
    Column("observed_at", Moment, nullable=False),
    Column("source", String, nullable=False),
    Column("unlimited", Boolean, nullable=False),
    Column("length_s", Integer),
    Column("resets_at", Moment),
    Column("revision", Whole, nullable=False),
)

affinities = Table(
    "affinities",
    metadata,
    Column("conversation", String, primary_key=True),  # opaque
    _of_account(),
    Column("served_at", Moment, nullable=False),
    Column("cached_tokens", Whole),
    Column("revision", Whole, nullable=False),
    Index(None, "revision"),
)

carriers = Table(
    "carriers",
    metadata,
    Column("id", Whole, primary_key=True),
    _of_account(),
    Column("digests", LargeBinary, nullable=False),  # hashes, eight bytes each
    Column("learnt_at", Moment, nullable=False),
    Column("revision", Whole, nullable=False),
    Index(None, "revision"),
)

under_way = Table(
    "under_way",
    metadata,
    Column("owner", String, primary_key=True),  # differs for every process
    Column("counts", String, nullable=False),  # by account id, as JSON; an account may be gone
    Column("beat_at", Moment, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Whole, primary_key=True),
    Column("flow_id", Id, nullable=False),
    Column("number", Integer, nullable=False),
    _of_account(),
    Column("route", String, nullable=False),
    Column("model", String),
    Column("outcome", String, nullable=False),
    Column("status", Integer),
    Column("started_at", Moment, nullable=False),
    Column("first_byte_ms", Float),
    Column("reason", String),
    Column("chosen_in", Id),
    Column("total_ms", Float),
    Column("input_tokens", Whole),
    Column("cached_tokens", Whole),
    Column("output_tokens", Whole),
    Column("reasoning_tokens", Whole),
    Column("written_tokens", Whole),
    Column("nano_credits", Whole),
    Column("client", String),
    Column("repository", String),
    Index(None, "started_at"),
    Index(None, "account_id", "started_at"),
)

usage_days = Table(
    "usage_days",
    metadata,
    Column("day", String, primary_key=True),  # by the clock of the proxy's machine: 2026-11-21
    Column("account_id", Integer, primary_key=True),  # outlives its account
    Column("model", String, primary_key=True),  # this one and the next two: empty where it is not known
    Column("repository", String, primary_key=True),
    Column("client", String, primary_key=True),
    Column("account", String, nullable=False),  # its name at the last writing
    Column("provider", String, nullable=False),
    Column("requests", Whole, nullable=False),  # that were answered, or sent until somebody broke off
    Column("aborted", Whole, nullable=False),  # those of them that were broken off
    Column("failed", Whole, nullable=False),  # beside them
    Column("told", Whole, nullable=False),  # those of the requests of which anything was counted
    Column("input_tokens", Whole),  # from here on: none where it was never told
    Column("cached_tokens", Whole),
    Column("output_tokens", Whole),
    Column("reasoning_tokens", Whole),
    Column("written_tokens", Whole),
    Column("nano_credits", Whole),
    sqlite_with_rowid=False,
)

endings = Table(
    "endings",
    metadata,
    Column("id", Whole, primary_key=True),
    Column("flow_id", Id, nullable=False),
    Column("first", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE")),  # none where nothing was sent
    Column("began_at", Moment, nullable=False),
    Column("sent_at", Moment, nullable=False),
    Column("first_byte_ms", Float),
    Column("total_ms", Float, nullable=False),
    Index(None, "began_at"),
    sqlite_autoincrement=True,  # a number is never given twice, so who follows them misses none
)

choices = Table(
    "choices",
    metadata,
    Column("id", Whole, primary_key=True),
    Column("flow_id", Id, nullable=False),
    Column("number", Integer, nullable=False),
    Column("decided_at", Moment, nullable=False),
    Column("provider", String, nullable=False),
    Column("route", String, nullable=False),
    Column("model", String),
    Column("strategy", String),
    Column("reason", String, nullable=False),
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE")),  # none where nobody could be asked
    Column("contenders", LargeBinary, nullable=False),  # accounts by id, as `choices` packs them
    Column("left_out", Integer, nullable=False),
    Column("rule", String),  # its name
    Index(None, "flow_id"),
)

window_history = Table(
    "window_history",
    metadata,
    _of_account(primary_key=True),
    Column("bucket", String, primary_key=True),
    Column("observed_at", Moment, primary_key=True),
    Column("left", Float, nullable=False),
    Column("length_s", Integer),
    Column("resets_at", Moment),
    sqlite_with_rowid=False,
)

leases = Table(
    "leases",
    metadata,
    Column("key", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("until", Moment, nullable=False),
    Column("begun_s", Float),  # since the machine was started, as is the next one; none: `until` counts
    Column("over_s", Float),
)

admins = Table(
    "admins",
    metadata,
    Column("person", String, primary_key=True),
    Column("since", Moment, nullable=False),
)

locks = Table(
    "locks",
    metadata,
    Column("name", Id, primary_key=True),
    Column("value", String),  # none: it was cleared, so that other processes hear of it
    Column("person", String, nullable=False),  # who has locked or cleared it
    Column("set_at", Moment, nullable=False),
    Column("revision", Whole, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Whole, primary_key=True),
    Column("done_at", Moment, nullable=False),
    Column("person", String, nullable=False),
    Column("system_user", String, nullable=False),
    Column("host", String, nullable=False),
    Column("deed", String, nullable=False),
    Column("account_id", Integer),  # outlives its account, as the next one does
    Column("account", String),  # its name at that time
    Column("before", String),
    Column("after", String),
    Index(None, "done_at"),
)
