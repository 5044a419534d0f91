"""Of the logins that were found, which are worth having: one for each person, and none worse than what the pool has."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import click
import msgspec
from msgspec.structs import replace

from seatpool.cli.account.loginfiles import STDIN, Candidate
from seatpool.core.model import Account, Credential, CredentialKind
from seatpool.providers.copilot.found import ATTR_APP, limits
from seatpool.providers.logins import ImportedLogin
from seatpool.providers.sidecalls import OWNER

_FOREVER = datetime.max.replace(tzinfo=UTC)


class Passed(msgspec.Struct, frozen=True):
    """A login that is left out for a better one of the same person."""

    candidate: Candidate
    better: Candidate


def one_each(candidates: Iterable[Candidate]) -> tuple[list[Candidate], list[Passed]]:
    """The best for each person, in the order in which the persons were found, and the others.

    A login that does not say whose it is stands for itself.
    """
    best: dict[object, Candidate] = {}
    passed: list[Candidate] = []
    for candidate in candidates:
        key = _person(candidate.login)
        rival = best.get(key)
        if rival is not None and _worth(candidate.login) <= _worth(rival.login):
            passed.append(candidate)
            continue
        if rival is not None:
            passed.append(rival)
        best[key] = candidate
    return list(best.values()), [Passed(each, best[_person(each.login)]) for each in passed]


def _person(login: ImportedLogin) -> object:
    return (login.provider, login.handle or login.identity or login.credentials[0].token)


def _worth(login: ImportedLogin) -> tuple[bool, datetime]:
    """What serves more goes first, then what lasts longer."""
    return not login.note, login.credentials[0].expires_at or _FOREVER


def held_account(login: ImportedLogin, accounts: Sequence[Account]) -> Account | None:
    """The account of the pool that the login is of, as `Store.save_login` finds it."""
    same = [account for account in accounts if account.provider is login.provider]
    by_identity = (a for a in same if login.identity is not None and a.identity == login.identity)
    by_handle = (
        a
        for a in same
        if login.handle is not None and a.handle == login.handle and login.handle in (a.identity, login.identity)
    )
    return next(by_identity, None) or next(by_handle, None)


def reason_to_keep(held: Account, has: Mapping[CredentialKind, Credential], login: ImportedLogin) -> str | None:
    """Why the login that the pool has is better than this one; None where this one is as good."""
    (offered,) = login.credentials
    own = has.get(offered.kind)
    if own is None or held.disabled is not None or own.token == offered.token:
        return None
    if OWNER in offered.attributes and own.refresh_token is not None:
        return "the pool has a login of its own for it"
    if login.note and not limits(own.attributes.get(ATTR_APP, ""), own.token):
        return "the login that the pool has serves editors as well"
    return None


def as_stored(candidate: Candidate, *, own: bool) -> ImportedLogin:
    """The login as the pool may hold it: one that its program renews goes without the means to renew it.

    It goes with the file where it was found, for that will have the program's next one.
    """
    login = candidate.login
    if own or not (login.shared or login.handle) or (candidate.path == STDIN and not login.shared):
        return login
    if candidate.path == STDIN:
        raise click.UsageError(
            f"{login.program} renews this login itself: name its file, so that the pool can follow it,"
            " or add --own if no other program uses it any more"
        )
    followed = [
        replace(
            credential,
            refresh_token=None,
            attributes={**credential.attributes, OWNER: str(candidate.path.absolute())},
        )
        for credential in login.credentials
    ]
    return replace(login, credentials=tuple(followed))
