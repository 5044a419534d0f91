"""The fakes as a program that can be restarted: `python -m scripts.soaking.upstream FOLDER CONTROL`.

Its certificates, accounts and the number of its last request are in FOLDER, where the next start finds them. It does
not end between the renewal of a login and the answer to it: what was rotated and never told would be lost to everybody,
which is nothing that a proxy could mend.
"""

import asyncio
import json
import logging
import os
import pickle
import signal
import sys
from pathlib import Path

from tests.upstream.certs import Certificates, make_certificates
from tests.upstream.control import ControlServer
from tests.upstream.journal import Journal
from tests.upstream.server import Upstream
from tests.upstream.world import World

RENEWAL = "oauth-token"


async def serve(folder: Path, control: Path) -> None:
    """Until told to stop."""
    state, certificates = folder / "state", Certificates(folder / "fake-ca.pem", folder / "fake-server.pem")
    if not certificates.server.exists():
        make_certificates(folder)
    world, number = World.from_script(json.loads((folder / "world.json").read_text())), 0
    if state.exists():
        world.accounts, world.everybody, number = pickle.loads(state.read_bytes())  # our own file
    with (folder / "journal.jsonl").open("a") as file:
        journal = Journal(file)
        journal.number = number
        await Upstream(world, journal).listen(certificates, "127.0.0.1", 443)
        await ControlServer(world, journal).listen(control)
        stop = asyncio.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, stop.set)
        print("ready", flush=True)
        while not stop.is_set():
            journal.entries[:] = [entry for entry in journal.entries if entry.done is None]  # the file has the others
            try:
                await asyncio.wait_for(stop.wait(), 5)
            except TimeoutError:
                pass
        while (renewing := _renewing(journal)) is not None:
            await journal.wait({"n": renewing, "done": True}, 1)
        state.write_bytes(pickle.dumps((world.accounts, world.everybody, journal.number)))
        sys.stdout.flush()
        os._exit(0)  # without a word to anybody who is connected


def _renewing(journal: Journal) -> int | None:
    return next((entry.n for entry in journal.entries if entry.route == RENEWAL and entry.done is None), None)


def main() -> None:
    """Run."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # a client that leaves in mid-stream is no news here
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))


if __name__ == "__main__":
    main()
