"""Credential rows, on an open transaction; what is secret of them goes through the vault."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from cryptography.fernet import InvalidToken
from msgspec.structs import replace
from sqlalchemy import Connection, Row, bindparam, select

from seatpool.core.model import Credential, CredentialKind
from seatpool.store.databases import revisions
from seatpool.store.databases.engine import upsert
from seatpool.store.errors import StoreUnavailable
from seatpool.store.schema import credentials
from seatpool.store.sealing.secrets import Vault

_GENERATION = select(credentials.c.generation).where(
    credentials.c.account_id == bindparam("of"), credentials.c.kind == bindparam("the_kind")
)
_CHANGED = select(credentials.c.account_id, credentials.c.kind, credentials.c.generation).where(
    credentials.c.revision > bindparam("after")
)


def of_account(db: Connection, vault: Vault, account_id: int) -> dict[CredentialKind, Credential]:
    """Every one that the account holds. Raises `StoreUnavailable` when one is damaged."""
    rows = db.execute(select(credentials).where(credentials.c.account_id == account_id))
    return {CredentialKind(row.kind): _credential(row, vault) for row in rows}


def of_everybody(
    db: Connection, vault: Vault, account_ids: Collection[int] | None = None
) -> dict[int, dict[CredentialKind, Credential]]:
    """By account, and only of these accounts where any are named: what others hold is not opened.

    A damaged one is left out here, and complained of when its account is asked for.
    """
    found: dict[int, dict[CredentialKind, Credential]] = {}
    for row in db.execute(select(credentials)):
        if account_ids is not None and row.account_id not in account_ids:
            continue
        try:
            found.setdefault(row.account_id, {})[CredentialKind(row.kind)] = _credential(row, vault)
        except StoreUnavailable:
            found.pop(row.account_id, None)
    return found


def changed_generations(db: Connection, after: int) -> Mapping[tuple[int, CredentialKind], int]:
    """Generations of those stamped after this revision, by account and kind."""
    rows = db.execute(_CHANGED, {"after": after})
    return {(row.account_id, CredentialKind(row.kind)): row.generation for row in rows}


def generation(db: Connection, account_id: int, kind: CredentialKind) -> int:
    """How often the one of this kind was stored so far; 0: never."""
    return db.scalar(_GENERATION, {"of": account_id, "the_kind": kind.value}) or 0


def save(db: Connection, vault: Vault, account_id: int, credential: Credential, now: datetime) -> Credential:
    """Put in place of the one of the same kind; returned with its new generation. The account must exist."""
    values = {
        "secret": vault.seal(credential),
        "expires_at": credential.expires_at,
        "renewed_at": now,
        "revision": revisions.take(db),
    }
    first = upsert(credentials).values(account_id=account_id, kind=credential.kind.value, generation=1, **values)
    renewed = first.on_conflict_do_update(
        index_elements=[credentials.c.account_id, credentials.c.kind],
        set_={**values, "generation": credentials.c.generation + 1},
    )
    return replace(credential, generation=db.execute(renewed.returning(credentials.c.generation)).scalar_one())


def _credential(row: Row[Any], vault: Vault) -> Credential:
    bare = Credential(CredentialKind(row.kind), "", expires_at=row.expires_at, generation=row.generation)
    try:
        return vault.open(bare, row.secret)
    except InvalidToken:
        raise StoreUnavailable(
            f"the {row.kind} credential of account {row.account_id} is damaged; import its login again"
        ) from None
