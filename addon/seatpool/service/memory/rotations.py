"""Credentials whose refresh token is good once, and a store that has gone back in time.

A copy took its place that had not got everything, or a backup was put back. The refresh token that it has then may be
spent long since, and memory's is the good one.
"""

from collections import defaultdict, deque
from functools import partial
from hashlib import sha256

from msgspec.structs import replace

from seatpool.core.model import Credential, CredentialKind
from seatpool.providers.registry import PROVIDERS

ROTATING = frozenset({CredentialKind.CODEX_OAUTH})
"""Kinds whose refresh token is good once: nothing is asked without the right to ask. The others can be had again."""

REMEMBERED = 8
"""Credentials of an account that are known to have been replaced."""

Key = tuple[int, CredentialKind]


class Rotations:
    """What a process remembers of such credentials of all accounts."""

    def __init__(self) -> None:
        self._replaced: defaultdict[Key, deque[bytes]] = defaultdict(partial(deque, maxlen=REMEMBERED))
        """Digests of what memory held before."""
        self._lost: dict[Key, Credential] = {}
        """What the store had and has no more, with the generation of what it has instead."""
        self._doubtful: dict[Key, str] = {}
        """What the store has, having gone back, and this process has never held: somebody's new login, or an old one.
        Memory's is tried first."""

    def replaced(self, account_id: int, old: Credential, new: Credential) -> None:
        """Memory holds this one instead of that."""
        if old.kind in ROTATING and old.token != new.token:
            self._replaced[account_id, old.kind].append(_digest(old))

    def better(self, account_id: int, mine: Credential, theirs: Credential) -> Credential:
        """What counts where the store has another than memory, and not a newer one."""
        key = (account_id, mine.kind)
        kept = replace(mine, generation=theirs.generation)
        if _digest(theirs) in self._replaced[key]:
            self._lost[key] = kept
            return kept
        if self._doubtful.get(key) == theirs.token:
            return kept
        if went_back(mine, theirs):
            self._doubtful[key] = theirs.token
            return kept
        return theirs

    def lost(self, account_id: int) -> list[Credential]:
        """What the store had of an account and has no more, each told once."""
        return [self._lost.pop(key) for key in tuple(self._lost) if key[0] == account_id]

    def give_way(self, account_id: int, kind: CredentialKind) -> bool:
        """Upstream does not have memory's. Whether it was tried before what is stored."""
        return self._doubtful.pop((account_id, kind), None) is not None

    def forget(self, account_id: int) -> None:
        """The account is gone."""
        for kind in ROTATING:
            for of_it in (self._replaced, self._lost, self._doubtful):
                of_it.pop((account_id, kind), None)


def went_back(mine: Credential, theirs: Credential) -> bool:
    """Whether the store has had what memory holds, or more, of the same person."""
    return theirs.generation < mine.generation and _same_owner(mine, theirs)


def _same_owner(one: Credential, other: Credential) -> bool:
    return any(provider.same_owner(one, other) for provider in PROVIDERS.values())


def _digest(credential: Credential) -> bytes:
    return sha256(credential.token.encode()).digest()
