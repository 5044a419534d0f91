"""Through the proxy to the host that it answers itself, as an editor's requests and sockets would go. No credential."""

import secrets
import ssl
import time
from collections.abc import Callable, Iterator

from seatpool.setup.doctor.asking import Unanswered
from seatpool.setup.doctor.authority import ANEW, NONE_YET, trusting_ours
from seatpool.setup.doctor.finding import Finding, problem, theirs, well
from seatpool.setup.doctor.situation import Situation

RESTART = theirs("end it with Ctrl-C, then: seatpool run")


def https(situation: Situation) -> Iterator[Finding]:
    """A page."""

    def ask(context: ssl.SSLContext) -> str:
        _, version = situation.proxy.page("/", context)
        return version

    yield _tried(situation, "https", ask)


def websocket(situation: Situation) -> Iterator[Finding]:
    """A message, and back."""

    def ask(context: ssl.SSLContext) -> str:
        words = secrets.token_hex(8)
        if situation.proxy.echo(words, context) != words:
            raise Unanswered("something else comes back")
        return "a message came back"

    yield _tried(situation, "wss", ask)


def _tried(situation: Situation, scheme: str, ask: Callable[[ssl.SSLContext], str]) -> Finding:
    url = f"{scheme}://{situation.own_host}"
    if situation.about().told is None:
        return problem(
            f"{url} cannot be tried: no seatpool answers at {situation.address.host}:{situation.address.port}",
            situation.start,
        )
    try:
        context = trusting_ours(situation.authority)
    except OSError:
        mend = ANEW if situation.authority.in_use.exists() else NONE_YET
        return problem(f"{url} cannot be tried: there is nothing to trust in {situation.authority.folder}", mend)
    began = time.perf_counter()
    try:
        said = ask(context)
    except ssl.SSLCertVerificationError as error:
        return problem(f"{url}: the proxy's certificate is refused: {error.verify_message}", RESTART)
    except (ssl.SSLError, ConnectionError):
        return problem(f"{url}: the proxy shows no certificate, its authority is not for {situation.own_host}", ANEW)
    except (OSError, Unanswered) as error:
        return problem(f"{url}: {error}", RESTART)
    return well(f"{url} is answered through the proxy in {(time.perf_counter() - began) * 1000:.0f} ms ({said})")
