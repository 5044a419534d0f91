"""Run the fakes as a program: `python -m tests.upstream --script world.json --port 443 --control control.sock`.

Prints one JSON line when it listens, and ends on SIGTERM or SIGINT.
"""

import argparse
import asyncio
import json
import logging
import shutil
import signal
import tempfile
from pathlib import Path

from tests.upstream.certs import make_certificates
from tests.upstream.control import ControlServer
from tests.upstream.doors import open_doors
from tests.upstream.journal import Journal
from tests.upstream.server import Upstream
from tests.upstream.world import World


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.upstream", description="Fake Codex and Copilot upstreams.")
    parser.add_argument("--script", type=Path, help="JSON file with accounts and behaviours")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=443, help="0 takes a free one")
    parser.add_argument("--journal", type=Path, help="file for one line of JSON per finished request")
    parser.add_argument("--quiet", action="store_true", help="keep no journal: for benchmarks")
    parser.add_argument("--control", type=Path, help="Unix socket for orders")
    parser.add_argument("--ca-out", type=Path, help="where to write the CA's certificate")
    parser.add_argument("--doors", action="store_true", help="serve the broken doors as well, on other addresses")
    parser.add_argument("--plain", action="store_true", help="HTTP/1.1 without TLS")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace, folder: Path) -> None:
    script = json.loads(arguments.script.read_text()) if arguments.script else {}
    world = World.from_script(script)
    file = arguments.journal.open("a") if arguments.journal else None
    journal = Journal(file, quiet=arguments.quiet)
    certificates = None if arguments.plain else make_certificates(folder)
    if certificates and arguments.ca_out:
        shutil.copy(certificates.ca, arguments.ca_out)
    server = await Upstream(world, journal).listen(certificates, arguments.address, arguments.port)
    close_doors = await open_doors(folder, arguments.port) if arguments.doors else None
    if arguments.control:
        await ControlServer(world, journal).listen(arguments.control)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"ready": True, "address": arguments.address, "port": port}), flush=True)
    await stop.wait()
    if close_doors is not None:
        close_doors()


def main() -> None:
    """Serve until told to stop."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # a client that leaves in mid-stream is no news here
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_serve(_arguments(), Path(folder)))


if __name__ == "__main__":
    main()
