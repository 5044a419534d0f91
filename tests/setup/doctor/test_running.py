"""One check that crashes or hangs is a finding, and keeps no other one from its own."""

import errno
import threading
from collections.abc import Iterator, Sequence
from typing import cast

from seatpool.setup.doctor.check import Check
from seatpool.setup.doctor.finding import Finding, well
from seatpool.setup.doctor.running import STEP_S, run
from seatpool.setup.doctor.situation import Once, Situation

NOWHERE = cast("Situation", None)


def fine(_situation: Situation) -> Iterator[Finding]:
    yield well("fine")


def crashing(_situation: Situation) -> Iterator[Finding]:
    yield well("so far")
    raise KeyError("FAKESECRET")


def test_findings_come_in_the_order_of_the_table_whatever_happens() -> None:
    release = threading.Event()

    def hanging(_situation: Situation) -> Iterator[Finding]:
        release.wait()
        yield well("too late")

    waited: list[Sequence[str]] = []
    checks = [Check("crash", crashing), Check("hang", hanging, limit_s=1), Check("fine", fine)]
    results = list(run(checks, NOWHERE, lambda names, for_s: waited.append(names)))
    release.set()
    assert [result.check for result in results] == ["crash", "hang", "fine"]
    crash, hang, good = (result.findings for result in results)
    assert [finding.text for finding in good] == ["fine"]
    assert [str(finding.level) for finding in (*crash, *hang)] == ["problem", "problem"]
    assert (
        crash[0].text
        == f"this check failed itself: KeyError in test_running.py:{line_of_the_crash()}; please report it"
    )
    assert "not done after 1 s" in hang[0].text
    assert waited == [["hang"]] * round(1 / STEP_S)


def test_a_home_that_is_shut_is_no_fault_of_ours_to_be_reported() -> None:
    """`HOME` of an image that a pod runs as somebody else, or that `su` has left from who was there before."""

    def shut(_situation: Situation) -> Iterator[Finding]:
        raise PermissionError(errno.EACCES, "Permission denied", "/home/alice/.codex")
        yield well("so far")

    ((finding,),) = (result.findings for result in run([Check("shut", shut)], NOWHERE, lambda _names, _for_s: None))
    assert finding.text == "/home/alice/.codex: Permission denied; is HOME another user's?"


def line_of_the_crash() -> int:
    return crashing.__code__.co_firstlineno + 2


def test_what_several_checks_ask_is_asked_once() -> None:
    asked: list[int] = []
    once = Once(lambda: asked.append(1) or len(asked))
    threads = [threading.Thread(target=once) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (once(), asked) == (1, [1])
