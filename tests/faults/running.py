"""All cells in one mitmdump, and what the client, the fakes and the database say of each."""

import asyncio
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seatpool.core.model import ScopeKind
from seatpool.service.memory.records import SOCKET
from seatpool.store import Store
from tests.faults import observer
from tests.faults.asking import EDITORS, Asking, Heard, Reading
from tests.faults.cells import Cell
from tests.faults.table import Seen
from tests.harness import Lab, Mitmdump, Network
from tests.harness.remains import leaks
from tests.harness.signing_in import sign_in
from tests.upstream import Control, codex_login, copilot_login
from tests.upstream.doors import NAMES, Door

OPTIONS = {
    "pool_learn": "false",
    "pool_strategy": "priority",
    "pool_usage_poll": "false",
    "pool_connect_timeout_s": "6",
    "pool_header_timeout_s": "8",
}
AT_ONCE = 6
"""Cells that work: more would only wait for each other, and run into limits that are none of theirs."""
WAITING = 16
"""Cells that wait for something that does not come."""
APART_S = 0.25
"""Between two of those. Each begins with a renewal for its account and a certificate for its host; where a busy machine
is to do all of them at once, some are late, and their accounts rest."""
FREE_WITHIN_S = 5.0
_PATIENT = {"hang", "stall"}


@dataclass(slots=True)
class Outcome:
    """Of the whole matrix."""

    seen: dict[Cell, Seen] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    """Cells whose slots were still taken when their client had everything, or had left."""
    unrecorded: list[str] = field(default_factory=list)
    """Cells of which the fakes saw other sendings than the pool has on record."""
    log: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    """Files with a token in them."""
    left: dict[str, Any] = field(default_factory=dict)
    """What the pool still held at the end."""


class Matrix:
    """One run."""

    def __init__(self, folder: Path, cells: Iterable[Cell]) -> None:
        self.folder = folder
        self.cells = tuple(cells)
        self.outcome = Outcome()
        self._heard: dict[Cell, Heard] = {}
        self._observer = Path(tempfile.mkdtemp(prefix="faults-")) / "observer"

    def run(self) -> Outcome:
        """Ask in every cell."""
        (self.folder / "rules.toml").write_text("\n".join(cell.rule() for cell in self.cells))
        with Lab(self.folder, elsewhere=NAMES) as lab:
            fakes = lab.upstream({"accounts": self._accounts()}, doors=True)
            proxy = self._proxy(lab, fakes)
            proxy.folder.mkdir()
            began = datetime.now(UTC)
            self._enter(proxy.database)
            with proxy:
                network = Network(proxy.ca, proxy.address, lab.connect)
                asyncio.run(self._ask_all(network))
                self.outcome.left = asyncio.run(self._observe())
            self._conclude(fakes, proxy.database, began)
            self.outcome.log = proxy.log
        self.outcome.leaks = leaks(self.folder)
        return self.outcome

    def _accounts(self) -> dict[str, Any]:
        accounts: dict[str, Any] = {name: {"provider": provider} for provider, name in EDITORS.items()}
        for cell in self.cells:
            accounts |= cell.world()
        return accounts

    def _proxy(self, lab: Lab, fakes: Control) -> Mitmdump:
        return Mitmdump(
            self.folder / "proxy",
            lab=lab,
            upstream_ca=fakes.ca,
            options={**OPTIONS, "pool_rules": str(self.folder / "rules.toml")},
            arguments=("-s", str(Path(observer.__file__))),
            env={observer.PATH: str(self._observer), "SEATPOOL_KEYRING": "off"},
        )

    def _enter(self, database: Path) -> None:
        os.environ["SEATPOOL_KEYRING"] = "off"
        with Store.open(str(database)) as store:
            for cell in self.cells:
                for priority, name in enumerate(cell.accounts):
                    self._add(store, cell.provider, name, priority)

    def _add(self, store: Store, provider: str, name: str, priority: int) -> None:
        folder = self.folder / "logins" / name
        path = codex_login(folder, name) if provider == "codex" else copilot_login(folder, name, prefix="gho")
        sign_in(store, path, name)
        store.set_priority(name, priority)

    # -- asking

    async def _ask_all(self, network: Network) -> None:
        alone = [cell for cell in self.cells if cell.fault.alone]
        patient = [cell for cell in self.cells if not cell.fault.alone and _is_patient(cell)]
        quick = [cell for cell in self.cells if not cell.fault.alone and not _is_patient(cell)]
        places = {WAITING: asyncio.Semaphore(WAITING), AT_ONCE: asyncio.Semaphore(AT_ONCE)}

        async def one(cell: Cell, place: asyncio.Semaphore, later_s: float = 0.0) -> None:
            await asyncio.sleep(later_s)
            async with place:
                await self._ask(network, cell)

        async with asyncio.TaskGroup() as group:
            for number, cell in enumerate(patient):
                group.create_task(one(cell, places[WAITING], number * APART_S))
            for cell in quick:
                group.create_task(one(cell, places[AT_ONCE]))
        for cell in alone:
            await self._observe("forget")
            await self._ask(network, cell)

    async def _ask(self, network: Network, cell: Cell) -> None:
        async def is_free() -> None:
            try:
                async with asyncio.timeout(FREE_WITHIN_S):
                    while not {*cell.accounts}.isdisjoint((await self._observe())["busy"]):
                        await asyncio.sleep(0.02)
            except TimeoutError:
                self.outcome.held.append(cell.id)

        async def between() -> None:
            if cell.fault.rests:
                await self._observe(f"rest {cell.accounts[0]}")

        self._heard[cell] = await Asking(network, cell, between).ask(is_free)

    async def _observe(self, order: str = "look") -> dict[str, Any]:
        reader, writer = await asyncio.open_unix_connection(self._observer)
        writer.write(order.encode() + b"\n")
        seen: dict[str, Any] = json.loads(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return seen

    # -- afterwards

    def _conclude(self, fakes: Control, database: Path, began: datetime) -> None:
        entries = fakes.journal()
        by_number = {entry["n"]: entry for entry in entries}
        asked: dict[str, list[str]] = defaultdict(list)
        for entry in entries:
            asked[entry["route"]].append(entry["account"])
        with Store.open(str(database)) as store:
            paid, sent = _payments(store, began), _sendings(store)
        for cell in self.cells:
            short = dict(zip(cell.accounts, "ab", strict=True))
            sendings = " ".join(short[name] for name in sent[cell.accounts])
            arrived = " ".join(short[name] for name in asked[cell.route] if name in short)
            if arrived != sendings and not isinstance(cell.doing, Door):
                self.outcome.unrecorded.append(f"{cell.id}: sent to {sendings}, arrived from {arrived}")
            price = "; ".join(f"{short[name]} {price}" for name in cell.accounts for price in paid.get(name, ()))
            got = Reading(cell, by_number).got(self._heard[cell])
            self.outcome.seen[cell] = Seen(got, sendings.removeprefix("a ") if cell.fault.warm else sendings, price)


def _is_patient(cell: Cell) -> bool:
    doing = cell.doing
    if isinstance(doing, Door):
        return doing in (Door.SILENT, Door.MUTE)
    return doing["kind"] in _PATIENT or doing.get("end") == "hang" or doing.get("gap_ms", 0) > 100


def _payments(store: Store, since: datetime) -> Mapping[str, list[str]]:
    """What is on record of each account by its name, cooldowns that are over included."""
    names = {account.id: account.name for account in store.accounts()}
    paid: dict[str, list[str]] = defaultdict(list)
    for account in store.accounts():
        if account.disabled is not None:
            paid[account.name].append("disabled")
    for cooldown in store.cooldowns(since):
        scope = cooldown.scope
        if scope.kind is not ScopeKind.ACCOUNT and not scope.value:
            continue  # of a model that nobody has named: it keeps nothing out
        part = "" if scope.kind is ScopeKind.ACCOUNT else f" for {scope.value}"
        paid[names[cooldown.account_id]].append(f"rests{part}")
    return paid


def _sendings(store: Store) -> Mapping[tuple[str, str], list[str]]:
    """Who was sent to, by the pair of accounts, in order. A turn on an open socket is no sending of its own."""
    names = {account.id: account.name for account in store.accounts()}
    found: dict[tuple[str, str], dict[tuple[str, int], str]] = defaultdict(dict)
    for attempt in sorted(store.past.attempts(limit=10**6), key=lambda each: (each.started_at, each.number)):
        if attempt.reason == SOCKET:
            continue
        name = names[attempt.account_id]
        found[f"{name[:-1]}a", f"{name[:-1]}b"][attempt.flow_id, attempt.number] = name
    return defaultdict(list, {pair: [*sent.values()] for pair, sent in found.items()})
