"""A login becomes an account of the pool, whichever way it came: by a sign-in or out of another program's file."""

from seatpool.clock import utcnow
from seatpool.core.model import Account
from seatpool.providers.logins import ImportedLogin
from seatpool.store import Store


def save(store: Store, login: ImportedLogin, name: str | None) -> tuple[Account, bool]:
    """Store a login that says whose it is, by the name that a person has given. Whether the account is new.

    Raises `StoreError`.
    """
    assert login.identity is not None
    return store.save_login(
        provider=login.provider,
        identity=login.identity,
        handle=login.handle,
        name=name or login.name,
        explicit_name=name is not None,
        issuer=login.issuer,
        plan=login.plan,
        credentials=login.credentials,
        now=utcnow(),
    )
