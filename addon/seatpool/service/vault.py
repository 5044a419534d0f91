"""The credentials that this process holds in memory, so that a normal request reads no database.

What the store has counts, unless it has gone back in time: a copy took its place that had not got everything, or a
backup was put back. The refresh token that it has then may be spent long since, and memory's is the good one.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from hashlib import sha256

from msgspec.structs import replace

from seatpool.core.model import Credential, CredentialKind
from seatpool.providers.registry import PROVIDERS
from seatpool.service.threads import apart, aside
from seatpool.store import Store

ROTATING = frozenset({CredentialKind.CODEX_OAUTH})
"""Kinds whose refresh token is good once: nothing is asked without the right to ask. The others can be had again."""

REMEMBERED = 8
"""Credentials of an account that are known to have been replaced."""

Key = tuple[int, CredentialKind]


class Vault:
    """A cache of decrypted credentials, emptied where another process has stored a newer one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: dict[int, dict[CredentialKind, Credential]] = {}
        self._unstored: dict[int, dict[CredentialKind, Credential]] = {}
        """What the store has not got yet, because it was away: newer than what it has."""
        self._reading: dict[int, asyncio.Task[None]] = {}
        self._replaced: defaultdict[Key, deque[bytes]] = defaultdict(partial(deque, maxlen=REMEMBERED))
        """Digests of what memory held before."""
        self._lost: dict[Key, Credential] = {}
        """What the store had and has no more, with the generation of what it has instead."""
        self._doubtful: dict[Key, str] = {}
        """What the store has, having gone back, and this process has never held: somebody's new login, or an old one.
        Memory's is tried first."""

    async def warm(self, account_ids: Collection[int]) -> None:
        """Read those of all these accounts at once, so that an account's first request need not."""
        for account_id, stored in (await apart(self._store.every_credential, set(account_ids))).items():
            if account_id in account_ids:  # still
                self._held.setdefault(account_id, stored)

    def get(self, account_id: int, kind: CredentialKind) -> Credential | None:
        """What memory holds; None also where the store was not asked yet."""
        held = self._held.get(account_id)
        return held.get(kind) if held is not None else None

    def known(self, account_id: int) -> tuple[Credential, ...]:
        """Every credential of an account that memory holds."""
        return tuple(self._held.get(account_id, {}).values())

    async def held(self, account_id: int, *, again: bool = False) -> Mapping[CredentialKind, Credential]:
        """Every credential of an account. `again` reads the store even if memory has an answer."""
        if again or account_id not in self._held:
            reading = self._reading.get(account_id)
            if reading is None:  # one look at the store serves everybody who asks while it is under way
                reading = self._reading[account_id] = asyncio.create_task(self._read(account_id))
                reading.add_done_callback(lambda _: self._reading.pop(account_id, None))
            await asyncio.shield(reading)
        return self._held.get(account_id, {})

    async def _read(self, account_id: int) -> None:
        before = dict(self._held.get(account_id, {}))
        stored = await aside(self._store.credentials, account_id)
        held = self._held.get(account_id, {})
        kept = held.get(CredentialKind.COPILOT_SESSION)
        if kept is not None:
            stored.setdefault(kept.kind, kept)
        for kind in ROTATING & held.keys() & stored.keys():
            stored[kind] = self._better(account_id, held[kind], stored[kind], before.get(kind))
            self._replace(account_id, held[kind], stored[kind])
        self._held[account_id] = stored | self._unstored.get(account_id, {})

    def _better(self, account_id: int, mine: Credential, theirs: Credential, before: Credential | None) -> Credential:
        """What counts of what memory holds and what the store had when memory held `before`."""
        key = (account_id, mine.kind)
        if theirs.token == mine.token or theirs.generation > mine.generation:
            return theirs
        if mine is not before:
            return mine  # it came meanwhile
        kept = replace(mine, generation=theirs.generation)
        back = theirs.generation < mine.generation and _same_owner(mine, theirs)
        if self.unstored(*key) is not None:
            if back:
                self._unstored[account_id][mine.kind] = kept
            return mine
        if _digest(theirs) in self._replaced[key]:
            self._lost[key] = kept
            return kept
        if self._doubtful.get(key) == theirs.token:
            return kept
        if back:
            self._doubtful[key] = theirs.token
            return kept
        return theirs

    def _replace(self, account_id: int, old: Credential, new: Credential) -> None:
        if old.kind in ROTATING and old.token != new.token:
            self._replaced[account_id, old.kind].append(_digest(old))

    def lost(self, account_id: int) -> tuple[Credential, ...]:
        """What the store had of an account and has no more, each told once: with the generation of what it has now."""
        found = [self._lost.pop(key) for key in tuple(self._lost) if key[0] == account_id]
        return tuple(each for each in found if self.get(account_id, each.kind) is each)

    def give_way(self, account_id: int, kind: CredentialKind) -> bool:
        """Upstream does not have memory's. Whether it was tried before what is stored, which is next then."""
        return self._doubtful.pop((account_id, kind), None) is not None

    def put(self, account_id: int, credential: Credential) -> None:
        """Hold a credential that was just obtained."""
        held = self._held.setdefault(account_id, {})
        self._replace(account_id, held.get(credential.kind, credential), credential)
        held[credential.kind] = credential

    def keep(self, account_id: int, credential: Credential) -> None:
        """Hold one that the store could not take, until `stored`."""
        self.put(account_id, credential)
        self._unstored.setdefault(account_id, {})[credential.kind] = credential

    def stored(self, account_id: int, kind: CredentialKind) -> None:
        """What the store has counts again."""
        self._unstored.get(account_id, {}).pop(kind, None)

    def unstored(self, account_id: int, kind: CredentialKind) -> Credential | None:
        """What the store has not got yet."""
        return self._unstored.get(account_id, {}).get(kind)

    def drop(self, account_id: int, kind: CredentialKind) -> None:
        """Forget one, because upstream would not have it."""
        self._held.get(account_id, {}).pop(kind, None)

    async def catch_up(self, generations: Mapping[tuple[int, CredentialKind], int]) -> None:
        """Read accounts again of which another process has stored something newer, before a request has to.

        Those as well of which the store has an older one than it had.
        """
        stale = set()
        for (account_id, kind), generation in generations.items():
            known = self.get(account_id, kind)
            back = known is not None and kind in ROTATING and known.generation > generation
            if account_id in self._held and (known is None or known.generation < generation or back):
                stale.add(account_id)
        for account_id in stale:
            await self.held(account_id, again=True)

    def forget_all_but(self, account_ids: Iterable[int]) -> None:
        """Drop the credentials of every account that is not named."""
        for account_id in self._held.keys() - set(account_ids):
            del self._held[account_id]
            self._unstored.pop(account_id, None)
            for kind in ROTATING:
                for of_it in (self._replaced, self._lost, self._doubtful):
                    of_it.pop((account_id, kind), None)


def _same_owner(one: Credential, other: Credential) -> bool:
    return any(provider.same_owner(one, other) for provider in PROVIDERS.values())


def _digest(credential: Credential) -> bytes:
    return sha256(credential.token.encode()).digest()
