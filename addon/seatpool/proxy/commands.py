"""Commands for mitmproxy's own tools: the console's and mitmweb's prompt, scripts, `mitmdump`'s options.

What they say is what `seatpool` says, from the same rows; what they need for that is loaded when one is asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mitmproxy import exceptions, flow, types
from mitmproxy.addonmanager import Loader
from mitmproxy.command import CommandManager

from seatpool.clock import utcnow
from seatpool.proxy.door import Opened
from seatpool.store import Store, StoreError

FLUSH_S = 1.0
"""What is under way to the database is waited for so long, where a flow is not there yet."""


class AccountName(str):
    """The type of an argument that is one of the pool's accounts."""

    __slots__ = ()


class _AccountNames(types._BaseType):  # noqa: SLF001 # there is no public way to a type with completion
    """How mitmproxy reads and completes it."""

    typ = AccountName
    display = "account"

    def completion(self, manager: CommandManager, t: type, s: str) -> Sequence[str]:
        """The names there are."""
        return manager.call("pool.accounts")  # type: ignore[no-any-return]

    def parse(self, manager: CommandManager, t: type, s: str) -> AccountName:
        """Raises `ValueError` where there is no such account."""
        names = self.completion(manager, t, s)
        if s not in names:
            raise ValueError(f"no account {s!r}; there are: {', '.join(names) or 'none'}")
        return AccountName(s)

    def is_valid(self, manager: CommandManager, typ: object, val: object) -> bool:
        """It was read by `parse`."""
        return isinstance(val, str)


class Commands:
    """One per proxy."""

    def __init__(self, opened: Callable[[], Opened | None]) -> None:
        """`opened` gives what is behind the door, None while that is closed."""
        self._opened = opened

    def add(self, loader: Loader) -> None:
        """Make them known to mitmproxy."""
        types.CommandTypes.typemap.setdefault(AccountName, _AccountNames())
        for name, command in (
            ("pool.accounts", self.accounts),
            ("pool.status", self.status),
            ("pool.pause", self.pause),
            ("pool.resume", self.resume),
            ("pool.cooldown.clear", self.clear),
            ("pool.why", self.why),
        ):
            loader.add_command(name, command)

    def accounts(self) -> Sequence[str]:
        """The names of the pool's accounts, in the order in which they are asked by priority."""
        with self._store() as store:
            return [account.name for account in store.accounts()]

    def status(self) -> types.Data:
        """How the pool stands: a row for each account."""
        from seatpool.core import telling
        from seatpool.core.spans import ago
        from seatpool.service.telling import reporting

        with self._store() as store:
            told = reporting.read(store, utcnow())
        # Fewer columns than `seatpool status`, and no bars: mitmproxy gives all the same room, and breaks words.
        rows = [
            [
                row.name,
                telling.state(row, told.at).replace("\n", "; "),
                "; ".join(telling.window(w, told.at) for w in row.windows) or "not seen yet",
                telling.today(row),
                ago(row.last_used_at, told.at),
            ]
            for row in told.accounts
        ]
        heads = ["account", "state", "quota left", "today", "last used"]
        return [heads, *rows]  # type: ignore[return-value] # mitmproxy's word for it

    def pause(self, account: AccountName) -> str:
        """Take an account out of the choice until `pool.resume`."""
        with self._store() as store:
            store.set_paused(account, True, utcnow())
        return f"paused {account}"

    def resume(self, account: AccountName) -> str:
        """Put an account back into the choice, also after it was disabled."""
        with self._store() as store:
            store.set_paused(account, False, utcnow())
        return f"resumed {account}"

    def clear(self, account: AccountName) -> str:
        """Let an account be asked again at once. A limit that really stands is met again with the next request."""
        with self._store() as store:
            count = store.clear_cooldowns(store.account(account).id)
        return f"cleared {count} cooldown{'s' if count != 1 else ''}"

    def why(self, flow: flow.Flow) -> types.Data:
        """Why a flow went where it went: who could serve it, who could not, and what came of it."""
        from seatpool.core.story import Story, plainly

        with self._store() as store:
            opened = self._opened()
            choices, attempts = store.past.request(flow.id)
            if not choices and opened is not None:
                opened.service.knowledge.flush(FLUSH_S)
                choices, attempts = store.past.request(flow.id)
            names = {account.id: account.name for account in store.accounts()}
        if not choices:
            raise exceptions.CommandError(f"nothing is recorded of {flow.id}: the pool had no hand in it")
        return [[line] for line in plainly(Story(flow.id, choices, attempts), names, utcnow())]  # type: ignore[return-value]

    @contextmanager
    def _store(self) -> Iterator[Store]:
        """Whatever is wrong with it is a line at the prompt."""
        opened = self._opened()
        if opened is None:
            raise exceptions.CommandError("the pool's database is away; the log says why")
        try:
            yield opened.store
        except StoreError as error:
            raise exceptions.CommandError(str(error)) from error
