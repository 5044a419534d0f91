"""The store as the rest of the house sees it: one method, one transaction."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Self

from sqlalchemy import URL, Engine

from seatpool.clock import utcnow
from seatpool.core.deeds import Actor
from seatpool.core.ended import Ended
from seatpool.core.explain import Choice
from seatpool.core.model import (
    Account,
    Affinity,
    Attempt,
    Carried,
    Cooldown,
    Cooling,
    Credential,
    CredentialKind,
    Keeping,
    ProviderName,
    QuotaWindow,
    UnderWay,
)
from seatpool.core.seen import Seen
from seatpool.store import feed, migrate
from seatpool.store.acting import audit
from seatpool.store.databases import engine as engines
from seatpool.store.databases import revisions
from seatpool.store.databases.backend import Ear
from seatpool.store.databases.transactions import Transactions
from seatpool.store.errors import StoreError, Superseded
from seatpool.store.feed import Changes
from seatpool.store.past import Past
from seatpool.store.rows import accounts, ahead, beats, cooldowns, leases, observations, overview
from seatpool.store.rows import affinities as affinity_rows
from seatpool.store.rows import carriers as carrier_rows
from seatpool.store.rows import choices as choice_rows
from seatpool.store.rows import credentials as credential_rows
from seatpool.store.rows import endings as ending_rows
from seatpool.store.rows import history as history_rows
from seatpool.store.rows.leases import Grant, Lease
from seatpool.store.sealing import secrets
from seatpool.store.sealing.keys import Keys
from seatpool.store.sealing.secrets import Keychain
from seatpool.store.team import Team

_NO_USE: Mapping[int, datetime] = MappingProxyType({})
_PRUNED = (choice_rows, ending_rows, history_rows, cooldowns, leases, affinity_rows, carrier_rows)


class Store:
    """Every method is one transaction, may be called from any thread, and raises nothing but `StoreError`.

    Moments must be aware of their time zone; they come back in UTC.
    """

    def __init__(self, url: URL, engine: Engine, chain: Keychain, actor: Actor) -> None:
        """For `open`."""
        self.url = url.render_as_string(hide_password=True)
        self._where = engines.place(url)
        self._db = Transactions(engine, self._where)
        self._known_losses = 0
        self.keys = Keys(self._db, chain, self._where)
        """The key that seals the credentials."""
        self.past = Past(self._db)
        """What was recorded, to be read."""
        self.team = Team(self._db, self.keys, actor)
        """The people on this database, and what they have done."""

    @classmethod
    def open(cls, url_or_path: str = "", *, person: str = "") -> Self:
        """Open, and make or migrate where needed. `""` is `default_url()`; a plain path is a SQLite file.

        `person`: who acts; `""` is what the environment or the operating system says. Raises `BadPerson`.
        """
        actor = audit.here(person)
        url = engines.resolve(url_or_path)
        where = engines.place(url)
        engines.of(url).make_place(url, ours=not url_or_path)
        engine = audit.acting(engines.open_engine(url), actor)
        try:
            with engines.plainly(engine.dialect.name, where):
                migrate.bring_to_head(engine, where)
                store = cls(url, engine, secrets.unlock(engine, where), actor)
                store.keys.tidy()
                return store
        except BaseException:
            engine.dispose()
            raise

    def close(self) -> None:
        """Waits for a write that is under way. Later calls raise `StoreUnavailable`."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def hurry(self) -> None:
        """From now on requests wait for writes, which give up soon; `record` goes on trying, and must be called for it.

        While it fails, all others fail at once.
        """
        self._db.hurried = True

    def unwritable(self) -> str | None:
        """Why nothing can be written now; None where it can. Waits for a second at most."""
        try:
            with self._db.write(soon=True):
                return None
        except StoreError as error:
            return str(error)

    @property
    def trouble(self) -> str | None:
        """Why the last write failed, until one succeeds."""
        return self._db.trouble

    # -- the feed

    def revision(self) -> int:
        """Grows with every change that `changes` tells. Cheap enough to ask several times a second."""
        with self._db.lookup() as db:
            return revisions.current(db)

    def changes(self, since: int | None) -> Changes:
        """What was written after the revision `since`, by any process; None: everything."""
        with self._db.read() as db:
            found = feed.read(db, since)
        if found.full:
            self._db.forget_told()
        return found

    def news(self, since: int) -> Changes:
        """As `changes`, but empty where all of it was written by this store's own users through `cool`, `record` and
        `save_credential`: they know it already. As cheap as `revision` then.

        Everything where a server was lost meanwhile: it may have forgotten numbers that were told, and give them again.
        """
        if self._known_losses != (losses := self._db.losses):
            everything = self.changes(None)
            self._known_losses = losses
            return everything
        current = self.revision()
        if since == current or self._db.has_told(since, current):
            return feed.nothing(current)
        return self.changes(since)

    def listen(self, wake: Callable[[], None]) -> Ear:
        """Have `wake` called, in a thread of its own, when there may be `news`, as long as the ear is `hearing`.

        To be closed before the store is.
        """
        return self._db.listen(wake)

    # -- accounts

    def accounts(self) -> tuple[Account, ...]:
        """By priority, then as they were added."""
        with self._db.read() as db:
            return accounts.every(db)

    def account(self, name: str) -> Account:
        """Raises `UnknownAccount`, which tells the names there are."""
        with self._db.read() as db:
            return accounts.named(db, name)

    def disabled(self, account_id: int) -> str | None:
        """Why the account is out of use; None where it is not, and for one that is gone."""
        with self._db.read() as db:
            return accounts.disabled(db, account_id)

    def save_login(
        self,
        *,
        provider: ProviderName,
        identity: str,
        name: str,
        issuer: str,
        credentials: Sequence[Credential],
        now: datetime,
        plan: str | None = None,
        explicit_name: bool = False,
        handle: str | None = None,
        learnt: bool = False,
    ) -> tuple[Account, bool]:
        """Add the account of this provider and identity, or sign it in again; True: it was added.

        A login that knows no more than a handle gives it as `identity` as well: it is taken for the account with that
        handle, and an account of which no more was known becomes that of the login with that handle which knows more.
        Otherwise a handle tells nothing; the newest login has it.

        `name` is a suggestion (`-2`, `-3`, ... is appended where it is taken, and an account that exists keeps its
        own), unless `explicit_name`: then it is given or refused (`NameTaken`, `BadName`). Signing in again enables a
        disabled account; it stays paused where it was, keeps its priority, and its plan where `plan` is None.

        `learnt`: from an editor's traffic. An account that we hold a login of is then returned as it is; one that was
        learnt before is written where something differs. A login that is not learnt makes a learnt account ours.
        """
        login = accounts.Login(provider, identity, handle, name, explicit_name, issuer, plan, learnt)
        with self._db.write(durable=True) as db:
            account, added = accounts.sign_in(db, login, now)
            if credentials and account.learnt == learnt:
                vault = self.keys.vault(db)
                for credential in credentials:
                    credential_rows.save(db, vault, account.id, credential, now)
            return account, added

    def rename(self, name: str, new_name: str) -> Account:
        """Raises `UnknownAccount`, `NameTaken` or `BadName`."""
        with self._db.write() as db:
            return accounts.rename(db, name, new_name)

    def set_priority(self, name: str, priority: int) -> Account:
        """Lower is asked first. Raises `UnknownAccount`."""
        with self._db.write() as db:
            return accounts.set_priority(db, name, priority)

    def set_weight(self, name: str, weight: float) -> Account:
        """Its share where the strategy is `weighted`. Raises `UnknownAccount` or `BadWeight`."""
        with self._db.write() as db:
            return accounts.set_weight(db, name, weight)

    def set_keeping(self, name: str, keeping: Keeping) -> Account:
        """How free its owner is with its quota. Raises `UnknownAccount`."""
        with self._db.write() as db:
            return accounts.set_keeping(db, name, keeping)

    def set_paused(self, name: str, paused: bool, now: datetime) -> Account:
        """Resuming also enables a disabled account: that lasts until a person acts. Raises `UnknownAccount`."""
        with self._db.write() as db:
            return accounts.set_paused(db, name, paused, now)

    def remove(self, name: str) -> Account:
        """The account and all that belongs to it, overwritten in the file. Raises `UnknownAccount`."""
        with self._db.write(durable=True) as db:
            removed = accounts.remove(db, name)
        self._db.empty_log()
        return removed

    def forget(self, account_id: int) -> bool:
        """As `remove`, for an account that was learnt and that we hold no login of; else nothing. Whether it went."""
        with self._db.write(durable=True) as db:
            forgotten = accounts.forget(db, account_id)
        if forgotten:
            self._db.empty_log()
        return forgotten

    def disable(self, account_id: int, reason: str, now: datetime, *, patient: bool = False) -> Account:
        """Take it out until a person acts; `reason` is a stable code. Raises `UnknownAccount`."""
        with self._db.write(patient=patient) as db:
            return accounts.disable(db, account_id, reason, now)

    def set_plan(self, account_id: int, plan: str | None) -> Account:
        """Raises `UnknownAccount`."""
        with self._db.write() as db:
            return accounts.set_plan(db, account_id, plan)

    # -- credentials

    def every_credential(
        self, account_ids: Collection[int] | None = None
    ) -> dict[int, dict[CredentialKind, Credential]]:
        """All there are, by account, or those of these accounts: one read instead of one for each."""
        return self.keys.opened(lambda db, vault: credential_rows.of_everybody(db, vault, account_ids))

    def credentials(self, account_id: int) -> dict[CredentialKind, Credential]:
        """Every one that is stored for the account; none for an account that is gone."""
        return self.keys.opened(lambda db, vault: credential_rows.of_account(db, vault, account_id))

    def save_credential(
        self,
        account_id: int,
        credential: Credential,
        *,
        now: datetime,
        release: Lease | None = None,
        expected: int | None = None,
        patient: bool = False,
    ) -> Credential:
        """Replace the one of its kind and give the lease back, both or neither; returned with its new generation.

        When this returns, the credential outlives a kill and a power cut. `expected`: the generation of the one to be
        replaced, 0 where there was none; `Superseded` is raised when another is stored by now, which then stays, and
        the lease is given back. Raises `UnknownAccount`. `patient`: no request waits for it.
        """
        with self._db.write(durable=True, told=True, patient=patient) as db:
            accounts.numbered(db, account_id)
            if release is not None:
                leases.release(db, release)
            if expected is None or expected == credential_rows.generation(db, account_id, credential.kind):
                return credential_rows.save(db, self.keys.vault(db), account_id, credential, now)
        raise Superseded(account_id, credential.kind)

    # -- cooldowns

    def cool(self, cooldown: Cooldown, *, instead_of: Cooldown | None = None) -> Cooldown:
        """Never shortens one that runs: returns the one in force, this or a later one. Raises `UnknownAccount`.

        `instead_of`: one that is ended, if it is still the very one that is stored.
        """
        with self._db.write(told=True) as db:
            if instead_of is not None:
                cooldowns.end(db, instead_of)
            return cooldowns.cool(db, cooldown)

    def clear_cooldowns(self, account_id: int | None = None) -> int:
        """Lift those of one account, or all; how many, those included that are over but not yet pruned."""
        with self._db.write() as db:
            return cooldowns.lift(db, account_id)

    def cooldowns(self, now: datetime) -> tuple[Cooldown, ...]:
        """Those that run, the soonest to end first."""
        with self._db.read() as db:
            return cooldowns.live(db, now)

    # -- observations

    def record(
        self,
        *,
        attempts: Sequence[Attempt] = (),
        windows: Sequence[tuple[int, QuotaWindow]] = (),
        used: Mapping[int, datetime] = _NO_USE,
        choices: Sequence[Choice] = (),
        history: Sequence[tuple[int, QuotaWindow]] = (),
        coolings: Sequence[Cooling] = (),
        affinities: Sequence[Affinity] = (),
        carriers: Sequence[Carried] = (),
        under_way: UnderWay | None = None,
        ended: Sequence[Ended] = (),
    ) -> None:
        """Write a batch; `used` tells when accounts were last used. The newest observation of a window stays.

        `history`: observations to be kept beside that, for `past.window_history`. `coolings` are made
        in their order. What belongs to an account that was removed meanwhile is dropped. `changes` tells of windows, of
        `coolings`, of `carriers`, of `under_way` and of `affinities`, of which the newest of each conversation stays.
        """
        with self._db.write(told=True, patient=True) as db:
            named = {attempt.account_id for attempt in attempts} | {i for i, _ in (*windows, *history)}
            named |= {choice.account_id for choice in choices if choice.account_id is not None}
            named |= {held.account_id for held in affinities} | {given.account_id for given in carriers}
            named |= {over.account_id for over in ended if over.account_id is not None}
            named |= {change.begins.account_id for change in coolings if change.begins is not None}
            known = accounts.existing(db, named)
            choice_rows.record(db, [c for c in choices if c.account_id is None or c.account_id in known])
            history_rows.record(db, [seen for seen in history if seen[0] in known])
            observations.record_attempts(db, [attempt for attempt in attempts if attempt.account_id in known])
            observations.record_windows(db, [seen for seen in windows if seen[0] in known])
            ending_rows.record(db, [over for over in ended if over.account_id is None or over.account_id in known])
            accounts.touch(db, used)
            for change in coolings:
                if change.ends is not None:
                    cooldowns.end(db, change.ends)
                if change.begins is not None and change.begins.account_id in known:
                    cooldowns.cool(db, change.begins)
            affinity_rows.save(db, [held for held in affinities if held.account_id in known])
            carrier_rows.add(db, [given for given in carriers if given.account_id in known])
            if under_way is not None:
                beats.save(db, under_way)

    def affinities(self, since: datetime) -> tuple[Affinity, ...]:
        """Conversations served then or later, the oldest first; of more than ten thousand the newest."""
        with self._db.read() as db:
            return affinity_rows.since(db, since)

    def windows(self, account_id: int) -> tuple[QuotaWindow, ...]:
        """What was seen last of the account's quota, by whatever process."""
        with self._db.read() as db:
            return observations.windows_of(db, account_id)

    def seen(self, now: datetime, midnight: datetime) -> Seen:
        """What a report of this moment is made of; `midnight` is when the day began."""
        with self._db.read() as db:
            return overview.read(db, now, midnight)

    def prune(self, *, before: datetime, attempts: datetime | None = None) -> int:
        """Drop what was chosen and observed, and cooldowns and claims that ended, before then; how many.

        Attempts as well, or those before another moment; the sums of their days stay. Leases that are over go at once.
        What is of the future is called back.
        """
        with self._db.write(patient=True) as db:
            ahead.call_back(db, utcnow())
            others: int = sum(rows.prune(db, before) for rows in _PRUNED)
            return others + observations.prune(db, attempts or before)

    def call_back(self, now: datetime) -> int:
        """Let what was written before the clock was set back, and would hide what is written now, be of now; how much.

        That is when quota was seen, a conversation was served, and an account was used.
        """
        with self._db.write(patient=True) as db:
            return ahead.call_back(db, now)

    # -- leases

    def acquire(self, key: str, owner: str, length: timedelta) -> Grant:
        """Have the right for so long: where it is free, or over, or the owner's own already (then it begins anew).

        Whatever the clock is set to meanwhile. In a file it ends when the machine is started anew, as its owner does.
        """
        with self._db.write() as db:
            return leases.acquire(db, Lease(key, owner), length)

    def claim(self, key: str, owner: str, until: datetime) -> bool:
        """As `acquire`, until a moment: what is not to be done again before, whatever becomes of who has done it."""
        with self._db.write() as db:
            return leases.claim(db, Lease(key, owner), until)

    def release(self, key: str, owner: str) -> None:
        """Give the right back; nothing where another has it by now."""
        with self._db.write() as db:
            leases.release(db, Lease(key, owner))

    def free(self, keys: Sequence[str]) -> None:
        """End these rights, whoever has them."""
        with self._db.write() as db:
            leases.free(db, keys)
