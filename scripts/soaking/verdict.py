"""What must hold whatever happened. Each check returns what it found broken, in words."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scripts.soaking.clients import TAG, Asked
from scripts.soaking.life import LIMIT_S, PAUSED
from scripts.soaking.plan import KILL, OF_A_PROXY, PACKETS, STOP, UPSTREAM
from scripts.soaking.stage import Stage, Window
from scripts.soaking.world import CODEX, COPILOT

from tests.harness.remains import leaks
from tests.upstream.tokens import MARKER

Entry = Mapping[str, Any]
GRACE_S = {KILL: 1.0, STOP: 2.0, PACKETS: 5.0, UPSTREAM: 2.0}
"""For how long after its end a fault explains an error: that a connection is broken is noticed when it is used."""
SETTLED_S = 4.0
"""What a proxy knew for so long, with a database that was there, is written: it gathers for a second."""
GROWTH_KIB = 24 * 1024
"""By which one life of a proxy may grow from its `WARM_S` on, and each further minute."""
GROWTH_KIB_A_MINUTE = 2 * 1024
WARM_S = 20.0
CRASH = re.compile("Traceback|crashed")
ENDED = "Exception in callback StreamReaderProtocol.connection_made"
"""Before a stack that Python up to 3.12.1 logs where a server ends with a client connected (python/cpython#113690)."""
BEFORE, AFTER = 2, 60
"""Lines of a log that are told around a crash."""


@dataclass(slots=True)
class Verdict:
    """What was found."""

    broken: list[str] = field(default_factory=list)
    causes: Counter[str] = field(default_factory=Counter)
    """Failed requests by what explains them."""
    moved: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    """Acknowledged writes that were found again, by kind."""


def explain(asked: Iterable[Asked], windows: Sequence[Window], verdict: Verdict) -> None:
    """Each failed request met a fault of its own proxy, the upstream or the network; the database explains none."""
    for each in asked:
        if each.failed is None:
            continue
        causes = {
            window.kind
            for window in windows
            if window.kind in GRACE_S
            and (window.kind not in OF_A_PROXY or window.proxy == each.proxy)
            and window.touches(each.began, each.ended, GRACE_S[window.kind])
        }
        if causes and not each.altered:
            verdict.causes[" and ".join(sorted(causes))] += 1
            continue
        verdict.causes["unexplained"] += 1
        verdict.broken.append(f"{each.tag}: {each.failed}, and no fault explains it ({each.ended - each.began:.1f} s)")


def same_bytes(asked: Iterable[Asked], journal: Sequence[Entry], verdict: Verdict) -> None:
    """What the client got is what the fakes sent."""
    sent = {entry["n"]: entry["sent_sha256"] for entry in journal}
    for each in asked:
        if each.failed is None and each.number is not None and sent.get(each.number) != each.digest:
            verdict.broken.append(f"{each.tag}: other bytes than upstream sent in request {each.number}")


def by_tag(journal: Sequence[Entry]) -> Mapping[str, list[Entry]]:
    """What came to the fakes of each request."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in journal:
        tag = next((value for name, value in entry["headers"] if name.lower() == TAG), None)
        if tag is not None:
            found[tag].append(entry)
    return found


def written(
    windows: Sequence[Window],
    stored: Mapping[str, Any],
    asked: Sequence[Asked],
    journal: Sequence[Entry],
    paused: bool | None,
    verdict: Verdict,
) -> None:
    """Whatever was acknowledged is in the database. `stored` was read when all proxies had ended in good order."""
    sendings, accounts = by_tag(journal), stored["accounts"]
    verdict.moved = sum(
        each.failed is None and len({entry["account"] for entry in sendings.get(each.tag, ())}) > 1 for each in asked
    )
    for each in asked:
        if each.failed is None and not _may_be_lost(windows, each.proxy, each.ended):
            _cooled(each, sendings.get(each.tag, ()), accounts, verdict)
    _rotations(journal, accounts, verdict)
    _wishes(accounts, paused, verdict)
    pooled = [each for each in asked if all(entry["account"] in accounts for entry in sendings.get(each.via, ()))]
    _ends(windows, pooled, stored["ended"], verdict)
    _disabled(windows, accounts, journal, verdict)


def _cooled(each: Asked, sendings: Iterable[Entry], accounts: Mapping[str, Any], verdict: Verdict) -> None:
    for entry in sendings:
        if entry["answer"] != "usage_limit" or entry["account"] not in accounts:
            continue
        if accounts[entry["account"]]["cooled_until"] < entry["time"] + LIMIT_S - 2:
            verdict.broken.append(f"{each.tag}: the limit of {entry['account']} that it met is not in the database")
        else:
            verdict.kept["cooldowns"] += 1


def _may_be_lost(windows: Sequence[Window], proxy: int, at: float) -> bool:
    """Whether the proxy was killed before it could write what it knew then.

    What keeps it from writing: its own stop, whatever befalls the database, and another proxy that is stopped or killed
    amid a write of its own.
    """
    killed = min((w.begin for w in windows if w.kind == KILL and w.proxy == proxy and w.begin >= at), default=None)
    if killed is None:
        return False
    settled = at
    for window in sorted(windows, key=lambda window: window.begin):
        if window.begin <= settled + SETTLED_S and (window.kind not in GRACE_S or window.kind in (KILL, STOP)):
            settled = max(settled, window.end or killed)
    return settled + SETTLED_S > killed


def _rotations(journal: Sequence[Entry], accounts: Mapping[str, Any], verdict: Verdict) -> None:
    used: Counter[str] = Counter()
    for entry in journal:
        if entry["kind"] == "codex" and entry["account"] in accounts and entry["status"] in (101, 200):
            used[entry["account"]] = max(used[entry["account"]], entry["generation"] or 0)
    for name, generation in used.items():
        if accounts[name]["generation"] < generation:
            verdict.broken.append(f"{name}: generation {generation} of its login was used, and is not stored")
        else:
            verdict.kept["rotations"] += generation


def _wishes(accounts: Mapping[str, Any], paused: bool | None, verdict: Verdict) -> None:
    if paused is None:
        return
    if accounts[PAUSED]["paused"] != paused:
        verdict.broken.append(f"{PAUSED}: a person was told that it is {'paused' if paused else 'resumed'}; it is not")
    else:
        verdict.kept["wishes"] += 1


def _ends(windows: Sequence[Window], asked: Iterable[Asked], attempts: Mapping[str, int], verdict: Verdict) -> None:
    settled = Counter(
        each.client for each in asked if each.failed is None and not _may_be_lost(windows, each.proxy, each.ended)
    )
    for client, count in settled.items():
        known = attempts.get(client, 0)
        if known < count:
            verdict.broken.append(f"{client}: {count} requests were over before any kill, {known} are known")
        verdict.kept["requests"] += min(count, known)


def _disabled(
    windows: Sequence[Window], accounts: Mapping[str, Any], journal: Sequence[Entry], verdict: Verdict
) -> None:
    """A login is lost only where a proxy was struck between the answer that rotates it and the write."""
    strikes = [window for window in windows if window.kind in GRACE_S]
    for name in (*CODEX, *COPILOT):
        if accounts[name]["disabled"] is None:
            continue
        renewals = [entry for entry in journal if entry["account"] == name and entry["route"] == "oauth-token"]
        if any(w.touches(e["time"], e["done"], 1.0) for w in strikes for e in renewals if e["status"] != 401):
            verdict.kept["logins lost amid their renewal"] += 1
        else:
            verdict.broken.append(f"{name}: out of use ({accounts[name]['disabled']}), and no fault explains it")


def at_rest(number: int, seen: Mapping[str, Any], verdict: Verdict) -> None:
    """No slot is taken once all clients have ended."""
    if seen["busy"] or seen["waiting"] or seen["open"]:
        verdict.broken.append(f"proxy {number}: nobody asks any more, and it still has {dict(seen)}")


def silent(stage: Stage, verdict: Verdict) -> None:
    """No token is in a log or on a disk, and nothing crashed."""
    for number, proxy in enumerate(stage.proxies):
        if any(MARKER in line for line in proxy.log):
            verdict.broken.append(f"proxy {number}: a token in its log")
        verdict.broken += [f"proxy {number}: {crash}" for crash in crashes(proxy.log)]
    verdict.broken += [f"a token in {name}" for name in leaks(stage.folder, {"logins", "upstream"})]
    verdict.broken += [f"a token in the database's {name}" for name in leaks(stage.database.files)]


def crashes(log: Sequence[str]) -> list[str]:
    """Each with what a log says around it, less what is no fault of anybody's here."""
    found = []
    for at, line in enumerate(log):
        before = log[max(0, at - BEFORE) : at]
        if CRASH.search(line) and not any(ENDED in each for each in before):
            found.append("\n  ".join([*before, *log[at : at + AFTER]]))
    return found


def flat(memory: Mapping[tuple[int, int], Sequence[tuple[float, int]]], verdict: Verdict) -> None:
    """`memory`: by proxy and process, what it took and when. It grows no further once it is warm."""
    for (number, _), samples in memory.items():
        warm = [kib for at, kib in samples if at >= samples[0][0] + WARM_S]
        if not warm:
            continue
        minutes = (samples[-1][0] - samples[0][0] - WARM_S) / 60
        grown = warm[-1] - warm[0]
        if grown > GROWTH_KIB + GROWTH_KIB_A_MINUTE * minutes:
            verdict.broken.append(f"proxy {number}: grew by {grown // 1024} MiB in {minutes:.1f} minutes")
