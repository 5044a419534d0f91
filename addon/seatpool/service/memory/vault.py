"""The credentials that this process holds in memory, so that a normal request reads no database.

What the store has counts, unless it has gone back in time (`rotations`).
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping

from msgspec.structs import replace

from seatpool.core.model import Credential, CredentialKind
from seatpool.service.memory.rotations import ROTATING, Rotations, went_back
from seatpool.service.threads import apart, aside
from seatpool.store import Store


class Vault:
    """A cache of decrypted credentials, emptied where another process has stored a newer one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: dict[int, dict[CredentialKind, Credential]] = {}
        self._unstored: dict[int, dict[CredentialKind, Credential]] = {}
        """What the store has not got yet, because it was away: newer than what it has."""
        self._reading: dict[int, asyncio.Task[None]] = {}
        self._rotations = Rotations()

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
            self._rotations.replaced(account_id, held[kind], stored[kind])
        self._held[account_id] = stored | self._unstored.get(account_id, {})

    def _better(self, account_id: int, mine: Credential, theirs: Credential, before: Credential | None) -> Credential:
        """What counts of what memory holds and what the store had when memory held `before`."""
        if theirs.token == mine.token or theirs.generation > mine.generation:
            return theirs
        if mine is not before:
            return mine  # it came meanwhile
        if self.unstored(account_id, mine.kind) is None:
            return self._rotations.better(account_id, mine, theirs)
        if went_back(mine, theirs):
            self._unstored[account_id][mine.kind] = replace(mine, generation=theirs.generation)
        return mine

    def lost(self, account_id: int) -> tuple[Credential, ...]:
        """What the store had of an account and has no more, each told once: with the generation of what it has now."""
        return tuple(each for each in self._rotations.lost(account_id) if self.get(account_id, each.kind) is each)

    def give_way(self, account_id: int, kind: CredentialKind) -> bool:
        """Upstream does not have memory's. Whether it was tried before what is stored, which is next then."""
        return self._rotations.give_way(account_id, kind)

    def put(self, account_id: int, credential: Credential) -> None:
        """Hold a credential that was just obtained."""
        held = self._held.setdefault(account_id, {})
        self._rotations.replaced(account_id, held.get(credential.kind, credential), credential)
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
            self._rotations.forget(account_id)
