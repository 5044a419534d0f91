"""Runs inside the private namespaces for as long as its standard input is open.

Opens TCP connections and listens there for the test process outside, and hands over file descriptors: a socket stays in
the network namespace that it was made in. Standard input names the sessions that live inside, `+pid` and `-pid`: should
the test process die before it could end them, that is done here. Standard library only; run as a file.
"""

import os
import shutil
import signal
import socket
import sys
import threading


def _serve(client: socket.socket) -> None:
    with client:
        try:
            what, host, port = client.recv(1024).decode().split()
            with _made(what, host, int(port)) as opened:
                socket.send_fds(client, [b"ok"], [opened.fileno()])
        except OSError as error:
            client.sendall(str(error).encode() or b"failed")


def _made(what: str, host: str, port: int) -> socket.socket:
    if what == "listen":
        return socket.create_server((host, port), backlog=1024)
    return socket.create_connection((host, port), timeout=10)


def _accept(listener: socket.socket) -> None:
    while True:
        client, _ = listener.accept()
        threading.Thread(target=_serve, args=(client,), daemon=True).start()


def _end(sessions: set[int], folder: str) -> None:
    for leader in sessions:
        try:
            os.killpg(leader, signal.SIGKILL)
        except OSError:
            pass  # it ended by itself
    shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Serve until standard input ends."""
    sessions: set[int] = set()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(256)
    threading.Thread(target=_accept, args=(listener,), daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        leader = int(line)
        (sessions.add if leader > 0 else sessions.discard)(abs(leader))
    _end(sessions, os.path.dirname(sys.argv[1]))  # noqa: PTH120 # pathlib would double the start-up time


if __name__ == "__main__":
    main()
