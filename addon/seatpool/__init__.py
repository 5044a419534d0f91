"""Seatpool: one editor, several accounts of its owner, each request on the account with the most useful quota.

The house, and who may import whom (a test holds this table as data and walks the imports)::

    core/       pure decisions: standard library only, no clock, no I/O, no logging    imports nothing of ours
    providers/  pure wire dialects: headers and bytes in, values out                   -> core
    store/      the only importer of SQLAlchemy; returns core values, never rows       -> core
      databases/  what is special about SQLite and PostgreSQL
      acting/     who acts, whether they may, and that it was they
      sealing/    the key that seals the credentials
      rows/       the tables' rows, each kind by itself
    service/    the only orchestrator: assigns, recovers, refreshes                    -> store, providers, core
      network/    our own connections
      memory/     what a process knows, and how that stays true beside others
      logins/     credentials, renewed and kept safe
      asking/     what issuers are asked about accounts
      telling/    notices, metrics, traces, reports
      flows/      one request's way through the pool
    page/       what a browser is shown of the pool, loaded when one asks              -> service, store, setup, core
    proxy/      the only importer of mitmproxy: hooks and the replay layer             -> service, providers, core;
                                                                                       the page; the store to compose,
                                                                                       and setup's authority to renew
      layers/     HTTP as it is spoken to clients and upstreams: holds back, replays, moves
      shortcuts/  shorter ways through mitmproxy, which stand aside where it has changed and know of no pool
      process/    what is asked of the process that mitmdump runs in
    setup/      what a person's machine needs before the first request                 -> core
    cli/        `seatpool ...`: arguments in, tables out; the only place that prints   -> all but proxy
    clock.py    the one place that asks the time; free to all but core and providers
    beside.py   threads for what may never end; for store, proxy and cli
    homes.py    where a person's folders are, and how one is made theirs alone; for store, setup and cli
    inplace.py  a file takes another one's place whole; for store, setup and cli

Words: the *pool* is the accounts behind one editor; a *provider* is a wire dialect (Codex, Copilot); *upstream* is
the remote server of a *flow*; an *assignment* joins a flow and an account for one *attempt*; a *cooldown* is a timed
removal from selection, *disabled* a durable one; an *outcome* is a classified answer; a *replay* is the same request
sent again.
"""

from typing import Any

CLONE = "a clone"
__version__: str
"""That of the installed package, which its build has from git's tags; `CLONE` where it is not installed."""


def __getattr__(name: str) -> Any:
    """`__version__` is looked for when it is asked, once: that takes some milliseconds, which no start has to pay."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import metadata

    try:
        found = metadata.version("seatpool")
    except metadata.PackageNotFoundError:
        found = CLONE
    globals()[name] = found
    return found
