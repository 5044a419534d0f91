"""Faults that each break one invariant: without them nobody could tell whether the simulation looks at anything."""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, MappingProxyType, ModuleType
from typing import Any

import msgspec


class Outdated(Exception):
    """The product has changed: the mutation has to be written anew."""


class Mutation(msgspec.Struct, frozen=True):
    """In this module of the product, what stands there once is replaced."""

    module: str
    old: str
    new: str
    seen_in: int = 0
    """A seed whose world has shown it; only a hint, to be quick."""
    breaks: str = ""
    """The invariant, where the mutation is not called after it."""

    def applied(self, source: str, path: str) -> str:
        """The faulty source. Raises `Outdated`."""
        if source.count(self.old) != 1:
            raise Outdated(f"{path} has this not once, but {source.count(self.old)} times: {self.old}")
        return source.replace(self.old, self.new)


MUTATIONS: Mapping[str, Mutation] = MappingProxyType(
    {
        "foreign-host": Mutation(
            "seatpool.proxy.exchange",
            "if assignment is not None and not self.provider.may_receive(assignment.account, upstream):",
            "if assignment is not None and not upstream:",
            seen_in=9,
        ),
        "one-refresh": Mutation(
            "seatpool.service.logins.refresher",
            "            if taken and elapsed() - asked < LEASE - HEARTBEAT:\n                break",
            "            break",
        ),
        "leases-by-the-calendar": Mutation(
            "seatpool.store.rows.leases",
            "return elapsed().total_seconds()",
            "return utcnow().timestamp()",
            seen_in=31,
            breaks="one-refresh",
        ),
        "leases-of-the-dead": Mutation(
            "seatpool.store.rows.leases",
            '(leases.c.begun_s > bindparam("up_s")) | (leases.c.over_s <= bindparam("up_s"))',
            'leases.c.over_s <= bindparam("up_s")',
            seen_in=218,
            breaks="answered",
        ),
        "spent-token": Mutation(
            "seatpool.service.logins.refresher",
            "held = await self._vault.held(account.id, again=True)\n            found",
            "held = await self._vault.held(account.id)\n            found",
            seen_in=83,
        ),
        "slots": Mutation("seatpool.core.slots", "freed = self.rest(ledger, now)", "freed = False"),
        "tool-once": Mutation(
            "seatpool.service.flows.sockets",
            "message, turn.message = turn.message, None",
            "message = turn.message",
            seen_in=240,
        ),
        "bytes": Mutation("seatpool.proxy.layers.holding", "        self._held.clear()\n", "", seen_in=9),
        "cooldown": Mutation(
            "seatpool.store.rows.cooldowns",
            "if _LATER.run(db, **key, until=until).first() is not None:",
            "if False:",
            seen_in=25,
        ),
        "limits-by-the-calendar": Mutation(
            "seatpool.service.memory.follower",
            "if jump is not None:",
            "if False:",
            seen_in=5425,
            breaks="cooldown",
        ),
        "tried-once": Mutation(
            "seatpool.service.memory.probes",
            "        if ours and self._state.open_probe(cooldown, utcnow()):",
            "        if self._state.open_probe(cooldown, utcnow()):",
            seen_in=209,
        ),
        "answered": Mutation(
            "seatpool.proxy.layers.limits", "monotonic() + limit_s", "monotonic() + 1e9 * limit_s", seen_in=62
        ),
        "renewals-of-the-ended": Mutation(
            "seatpool.service.logins.refresher",
            "            if self._ending:",
            "            if False:",
            seen_in=66,
            breaks="answered",
        ),
        "tokens-of-elsewhere": Mutation(
            "seatpool.proxy.exchange",
            "            self.part()\n            assignment = None",
            "            assignment = None",
            seen_in=43,
            breaks="on-record",
        ),
        "useful": Mutation(
            "seatpool.core.selection",
            "if not _eligible(state, demand, account.id, now, tried):",
            "if tried or not _eligible(state, demand, account.id, now, tried):",
            seen_in=184,
        ),
        "places-by-the-calendar": Mutation(
            "seatpool.core.slots",
            "return abs(now - told.beat_at) < EXPIRES",
            "return now - told.beat_at < EXPIRES",
            seen_in=6575,
            breaks="useful",
        ),
        "stays": Mutation(
            "seatpool.core.selection",
            "warm = owner is not None and held is not None and _is_warm(state, held, now)",
            "warm = False",
            seen_in=143,
        ),
        "caches-by-the-calendar": Mutation(
            "seatpool.core.affinity",
            "replace(held, at=righted(held.at),",
            "replace(held, at=0.0,",
            seen_in=6809,
            breaks="stays",
        ),
        "caches-of-the-ended": Mutation(
            "seatpool.service.memory.affinities",
            "                self._state.remember(*known, cached_tokens=each.cached_tokens)\n",
            "                pass\n",
            seen_in=2641,
            breaks="stays",
        ),
        "in-order": Mutation(
            "seatpool.core.strategy",
            "Strategy.PRIORITY: lambda c: (c.account.priority, ",
            "Strategy.PRIORITY: lambda c: (-c.account.priority, ",
            seen_in=24,
        ),
        "turns": Mutation(
            "seatpool.core.strategy",
            "Strategy.ROUND_ROBIN: lambda c: (c.used_at,)",
            "Strategy.ROUND_ROBIN: lambda c: (-c.used_at,)",
            seen_in=602,
            breaks="in-order",
        ),
        "on-record": Mutation(
            "seatpool.service.memory.knowledge", "await aside(self.writer.close)", "pass", seen_in=15
        ),
        "sums-of-days": Mutation(
            "seatpool.store.rows.ledger", "sums[key] + counts if key in sums else counts", "counts", breaks="on-record"
        ),
        "services-of-the-ended": Mutation(
            "seatpool.proxy.serving",
            "service.release(trail)  # as in `assign`",
            "self.service.release(trail)",
            seen_in=367,
            breaks="sound",
        ),
        "sound": Mutation(
            "seatpool.service.memory.follower",
            "except StoreError as error:  # the pool goes",
            "except KeyError as error:  # the pool goes",
        ),
        "another-order": Mutation(
            "seatpool.core.state",
            "_withdraw(account_id)\n        for account_id in self.accounts:\n            self._place(",
            "_replace(",
            seen_in=4,
            breaks="sound",
        ),
    }
)
"""Most are called after the invariant that they break; there is one for each."""


def broken_by(name: str) -> str:
    """The invariant."""
    return MUTATIONS[name].breaks or name


class Mutating(importlib.abc.MetaPathFinder):
    """Loads one module of the product with its fault."""

    def __init__(self, mutation: Mutation) -> None:
        self._mutation = mutation

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Only this one."""
        if fullname != self._mutation.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None and spec.origin is not None
        spec.loader = _Loader(fullname, spec.origin, self._mutation)
        return spec

    def install(self) -> None:
        """Before the product is loaded."""
        assert self._mutation.module not in sys.modules
        sys.meta_path.insert(0, self)


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, mutation: Mutation) -> None:
        super().__init__(fullname, path)
        self._mutation = mutation

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        source = self._mutation.applied(self.get_data(path).decode(), path)
        code: Any = self.source_to_code(source.encode(), path)
        return code  # type: ignore[no-any-return]
