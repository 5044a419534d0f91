"""Choices as they were recorded: which account a request went to, and of whom it was chosen. On an open transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Row, Select, bindparam, delete, func, insert, select, union_all

from seatpool.core.explain import WAITING, Bar, BarKind, Choice, Contender
from seatpool.core.model import Account, Keeping, ProviderName, Scope, ScopeKind
from seatpool.core.outcome import OK
from seatpool.core.scoring import Score, Standing
from seatpool.core.seen import Substituted
from seatpool.core.strategy import Candidate, Strategy
from seatpool.store.databases.engine import Many
from seatpool.store.schema import as_moment, as_text, attempts, choices

KEPT = 20_000
"""The newest that are kept: a few hundred bytes each with ten accounts."""

_ADD = Many(insert(choices), [column.name for column in choices.c if column.name != "id"])
_NEWEST = select(func.coalesce(func.max(choices.c.id), 0)).scalar_subquery()
_DROP_OLDEST = delete(choices).where(choices.c.id <= _NEWEST - KEPT)


def _beginning(flow_id: Column[Any], at: Column[Any]) -> Select[Any]:
    return select(flow_id.label("flow_id"), at.label("at")).where(
        flow_id >= bindparam("first"), flow_id < bindparam("behind")
    )


class _Bar(msgspec.Struct, array_like=True):
    kind: BarKind
    code: str
    until: str | None
    scope: ScopeKind
    value: str


class _Contender(msgspec.Struct, array_like=True):
    """What is kept of an account: numbers, and names of buckets and reasons."""

    id: int
    priority: int
    keeping: Keeping
    score: float
    standing: Standing
    main: str | None
    guard: str | None
    factor: float
    stale: bool
    resets_at: float | None
    used_at: float
    in_flight: int
    served: float
    merit: float
    dormant: bool
    preferred: bool
    bars: list[_Bar]


_unpack = msgspec.json.Decoder(list[_Contender]).decode
_pack = msgspec.json.Encoder().encode


def record(db: Connection, made: Sequence[Choice]) -> None:
    """Add to the record, and drop the oldest of what is too much. The chosen accounts must exist."""
    if made:
        _ADD.run(db, map(_row, made))
        db.execute(_DROP_OLDEST)


def newest(db: Connection, beginning: str, limit: int) -> tuple[str, ...]:
    """Ids of the requests that begin so, the newest first."""
    recorded = union_all(
        _beginning(choices.c.flow_id, choices.c.decided_at),
        # Attempts may be kept longer than the choices that explain them.
        _beginning(attempts.c.flow_id, attempts.c.started_at).where(
            attempts.c.chosen_in.in_(select(choices.c.flow_id))
        ),
    ).subquery()
    newest_first = select(recorded.c.flow_id).group_by(recorded.c.flow_id).order_by(func.max(recorded.c.at).desc())
    return tuple(db.scalars(newest_first.limit(limit), {"first": beginning, "behind": beginning + chr(0x10FFFF)}))


def of_request(db: Connection, flow_id: str) -> tuple[Choice, ...]:
    """In the order in which they were made."""
    rows = db.execute(select(choices).where(choices.c.flow_id == flow_id).order_by(choices.c.id))
    return tuple(map(_choice, rows))


def of_requests(db: Connection, flow_ids: Iterable[str]) -> tuple[Choice, ...]:
    """Those of several requests, in the order in which they were made."""
    wanted = choices.c.flow_id.in_(sorted(flow_ids))
    return tuple(map(_choice, db.execute(select(choices).where(wanted).order_by(choices.c.id))))


def substituted(db: Connection, since: datetime) -> tuple[Substituted, ...]:
    """What was served since then with another model than its request had asked for at first."""
    every, asked = choices.alias(), choices.alias()
    first = select(func.min(every.c.id)).where(every.c.flow_id == attempts.c.flow_id).scalar_subquery()
    kind = (attempts.c.account_id, asked.c.model.label("asked"), attempts.c.model)
    requests = func.count(attempts.c.flow_id.distinct()).label("requests")
    rows = db.execute(
        select(*kind, requests, func.max(attempts.c.started_at).label("last_at"))
        .join_from(attempts, asked, asked.c.id == first)
        .where(attempts.c.started_at >= since, attempts.c.outcome == OK.code, attempts.c.model != asked.c.model)
        .group_by(attempts.c.account_id, asked.c.model, attempts.c.model)
    )
    return tuple(Substituted(r.account_id, r.asked, r.model, r.requests, r.last_at) for r in rows)


def held(db: Connection, since: datetime) -> tuple[int, datetime | None]:
    """How many requests have waited for somebody since then, and when the last of them began to."""
    told = select(func.count(choices.c.flow_id.distinct()), func.max(choices.c.decided_at))
    count, last = db.execute(told.where(choices.c.decided_at >= since, choices.c.reason == WAITING)).one()
    return count, last


def prune(db: Connection, before: datetime) -> int:
    """Drop those that were made before; how many."""
    return db.execute(delete(choices).where(choices.c.decided_at < before)).rowcount


def _row(c: Choice) -> tuple[object, ...]:
    """In the order of the table's columns."""
    decided_at, packed = as_text(c.decided_at), _pack([_packed(each) for each in c.contenders])
    strategy = c.strategy.value if c.strategy is not None else None
    return (
        *(c.flow_id, c.number, decided_at, c.provider.value, c.route, c.model, strategy),
        *(c.reason, c.account_id, packed, c.left_out, c.rule),
    )


def _packed(contender: Contender) -> tuple[object, ...]:
    """In the order of `_Contender`'s fields."""
    c, bars = contender.candidate, contender.bars
    account, score = c.account, c.score
    return (
        account.id,
        account.priority,
        account.keeping,
        score.value,
        score.standing,
        score.main,
        score.guard,
        score.factor,
        score.stale,
        score.resets_at,
        c.used_at,
        c.in_flight,
        c.served,
        c.merit,
        c.dormant,
        contender.preferred,
        [(b.kind, b.code, as_text(b.until), b.scope.kind, b.scope.value) for b in bars] if bars else (),
    )


def _choice(row: Row[Any]) -> Choice:
    provider = ProviderName(row.provider)
    return Choice(
        row.flow_id,
        row.number,
        row.decided_at,
        provider,
        row.route,
        row.model,
        row.rule,
        Strategy(row.strategy) if row.strategy is not None else None,
        row.reason,
        row.account_id,
        tuple(_contender(each, provider) for each in _unpack(row.contenders)),
        row.left_out,
    )


def _contender(c: _Contender, provider: ProviderName) -> Contender:
    account = Account(c.id, provider, "", "", "", c.priority, keeping=c.keeping)
    score = Score(c.score, c.standing, c.main, c.guard, c.factor, c.stale, c.resets_at)
    candidate = Candidate(account, score, c.used_at, c.in_flight, c.served, c.merit, c.dormant)
    bars = tuple(Bar(b.kind, b.code, as_moment(b.until), Scope(b.scope, b.value)) for b in c.bars)
    return Contender(candidate, bars, c.preferred)
