"""What the settings of each client on this machine say."""

from collections.abc import Iterator

from seatpool.setup.doctor.finding import Finding, Level, Mend, ours, problem, theirs, warning, well
from seatpool.setup.doctor.situation import Situation
from seatpool.setup.editors import State, Target, targets


def clients(situation: Situation) -> Iterator[Finding]:
    """One finding for each that is here; several for one whose files cannot be read."""
    nobody = True
    for target in targets():
        found = target.findings(situation.person, situation.wish)
        if not found:
            continue
        nobody = False
        complaints = [each.complaint for each in found if each.complaint]
        mend = theirs(_setup(situation, target))
        yield from (warning(f"{target.name}: {complaint}", mend) for complaint in complaints)
        if not complaints:
            yield _judged(situation, target)
    if nobody:
        text = "no client is here that seatpool knows how to set up; certs-howto.md says what each one reads"
        yield warning(text, theirs("seatpool setup --help"))


def _judged(situation: Situation, target: Target) -> Finding:
    state = target.state(situation.person, situation.wish)
    found = target.findings(situation.person, situation.wish)
    if any(each.bundled for each in found) and not situation.wish.bundle.exists():
        gone = f"{target.name}: is to trust {situation.wish.bundle}, which is gone: Codex reaches nobody at all"
        return problem(gone, _doing(situation, target))
    if state is State.CONFIGURED:
        return well(f"{target.name}: comes through the proxy")
    proxy = next((each.proxy for each in found if each.state is State.ELSEWHERE and each.proxy), "another proxy")
    files = ", ".join(str(each.file) for each in found if each.state is not State.CONFIGURED)
    if state is State.ELSEWHERE:
        # Whoever has named another proxy had a reason: it is not replaced without a look.
        return warning(f"{target.name}: goes to {proxy} ({files})", theirs(_setup(situation, target)))
    if target.name == "shell":
        return Finding(
            Level.OK, f"{target.name}: programs of a shell come through the proxy only where they are set up"
        )
    return warning(f"{target.name}: does not come through the proxy ({files})", _doing(situation, target))


def _doing(situation: Situation, target: Target) -> Mend:
    command = _setup(situation, target)
    return ours(*command.split()[1:], "--yes", shown=command)


def _setup(situation: Situation, target: Target) -> str:
    named = "" if situation.address.port == 8080 else f" --proxy {situation.address.url}"
    return f"{target.mend}{'' if situation.address.has_login else named}"
