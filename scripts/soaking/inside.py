"""Looks at the database where the proxies see it: `python -m scripts.soaking.inside ORDER URL ...`, JSON out.

A process of its own, since what is mounted in the lab is there for those alone who live in it.

sign-in URL FOLDER    put the accounts into the pool
look URL              what is written
hold URL SECONDS      keep everybody else from writing: SQLite
is-whole URL          whether it is in good order: SQLite
"""

import json
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.soaking.world import CODEX, COPILOT

from seatpool.core.model import CredentialKind
from seatpool.service.memory.records import OK
from seatpool.store import Store
from tests.harness.remains import whole
from tests.harness.signing_in import sign_in
from tests.upstream import codex_login, copilot_login
from tests.upstream.tokens import read_token


def sign_all_in(url: str, folder: str) -> None:
    """Every account, as an import does it."""
    with Store.open(url) as store:
        for name in (*CODEX, *COPILOT):
            home = Path(folder, name)
            path = codex_login(home, name) if name in CODEX else copilot_login(home, name, prefix="gho")
            sign_in(store, path, name)


def look(url: str) -> dict[str, Any]:
    """Accounts by name, and how many good attempts each client has."""
    with Store.open(url) as store:
        told = {account.name: _account(store, account) for account in store.accounts()}
        names = {account.id: account.name for account in store.accounts()}
        for cooldown in store.cooldowns(datetime.fromtimestamp(0, UTC)):
            account = told[names[cooldown.account_id]]
            account["cooled_until"] = max(account["cooled_until"], cooldown.until.timestamp())
        ended = Counter(each.client for each in store.past.attempts(limit=10**7) if each.outcome == OK)
    return {"accounts": told, "ended": ended}


def _account(store: Store, account: Any) -> dict[str, Any]:
    login = store.credentials(account.id).get(CredentialKind.CODEX_OAUTH)
    owned = None if login is None else read_token(login.refresh_token or "")
    return {
        "paused": account.paused,
        "disabled": account.disabled,
        "cooled_until": 0.0,
        "generation": None if owned is None else owned.generation,
    }


def hold(url: str, seconds: str) -> None:
    """SQLite's lock, as a backup or a person's editor holds it."""
    with closing(sqlite3.connect(url, isolation_level=None, timeout=10)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(float(seconds))
        other.execute("ROLLBACK")


ORDERS: Mapping[str, Callable[..., Any]] = {
    "sign-in": sign_all_in,
    "look": look,
    "hold": hold,
    "is-whole": lambda url: whole(Path(url)),
}

if __name__ == "__main__":
    print(json.dumps(ORDERS[sys.argv[1]](*sys.argv[2:])))
