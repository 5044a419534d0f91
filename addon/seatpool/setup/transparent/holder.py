"""The process behind transparent mode: starts the proxy, holds the rules, and takes them out when either ends.

`python -m seatpool.setup.transparent.holder`, as root: an `Order` on standard input, an `Answer` on standard output.
Where nftables can, the rules belong to this process, so that killing it takes them out as well (see `backends`).
"""

import errno
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from typing import IO

import msgspec
from msgspec.structs import replace

from seatpool.setup.transparent import TransparentError
from seatpool.setup.transparent.backends import Backend, all_here, chosen
from seatpool.setup.transparent.process import Person, Process, ask_hosts, start_proxy
from seatpool.setup.transparent.rules import LOOPBACK4, LOOPBACK6, Rules
from seatpool.setup.transparent.state import State, file_of, forget, make_folder, write

LOOK_EVERY_S = 300.0
"""How often names are resolved again; what they have meant before stays for `KEPT_S`."""
KEPT_S = 86_400.0
STARTS_WITHIN_S = 60.0
STOPS_WITHIN_S = 10.0
LONGEST_LOG = 4 * 1024 * 1024
"""Bytes; it lies in memory."""
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Order(msgspec.Struct, frozen=True):
    """What a person has asked for."""

    person: Person
    port: int
    hosts: tuple[str, ...]
    """Those that are always meant; the accounts' own are asked for."""
    env: dict[str, str]
    arguments: tuple[str, ...] = ()
    """For mitmdump."""
    backend: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """How it went."""

    error: str | None = None


def resolve(hosts: Iterable[str]) -> set[str]:
    """What these names mean now; those that mean nothing are left out."""
    with ThreadPoolExecutor(16) as pool:
        return {address for found in pool.map(_addresses, hosts) for address in found}


def _addresses(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)}
    except OSError:
        return set()


def has_ipv6() -> bool:
    """Whether there is a loopback of IPv6 to listen on."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as tried:
            tried.bind((LOOPBACK6, 0))
    except OSError:
        return False
    return True


class Holder:
    """One order, from its beginning to its end."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._asked_for = sha256(msgspec.json.encode(order)).hexdigest()
        self._ipv6 = has_ipv6()
        self._backend: Backend = chosen(order.backend)
        self._seen: dict[str, float] = {}
        self._rules: Rules | None = None
        self._hosts: tuple[str, ...] = ()
        self._proxy: subprocess.Popen[bytes] | None = None
        self._state: State | None = None
        self._asked = self._wake = -1

    def begin(self) -> None:
        """Rules are in force when this returns. Raises `TransparentError`; then `end` is due all the same."""
        self._listen()
        order = self._order
        for backend in all_here():
            backend.take()  # of one that has died
        if _is_taken(LOOPBACK4, order.port):
            raise TransparentError(f"port {order.port} is taken by another program; name a free one with --port")
        make_folder()
        with _log(order.person) as log:
            self._proxy = start_proxy(order.person, order.port, order.arguments, order.env, log, ipv6=self._ipv6)
            self._wait(self._proxy)
        self._know_hosts()
        self._look()
        if self._rules is None:
            raise TransparentError(f"none of {', '.join(self._hosts)} can be resolved: is there a network?")

    def follow(self) -> None:
        """Until somebody asks for the end, or the proxy ends."""
        due = time.monotonic() + LOOK_EVERY_S
        while not self._died:
            select.select([self._asked], [], [], max(0.0, due - time.monotonic()))
            numbers = _drained(self._asked)
            if signal.SIGTERM in numbers or signal.SIGINT in numbers:
                return
            if signal.SIGHUP in numbers:
                self._know_hosts()
            if signal.SIGHUP in numbers or time.monotonic() >= due:
                self._look()
                _shorten_log()
                due = time.monotonic() + LOOK_EVERY_S

    def end(self) -> None:
        """Whatever was begun; the rules first, so that nobody is sent to a proxy that is gone."""
        try:
            self._backend.take()
        finally:
            if self._proxy is not None and not self._died:
                self._proxy.send_signal(signal.SIGINT)
                try:
                    self._proxy.wait(STOPS_WITHIN_S)
                except subprocess.TimeoutExpired:
                    self._proxy.kill()
                    self._proxy.wait()
            forget(log=not self._died)

    @property
    def _died(self) -> bool:
        return self._proxy is not None and self._proxy.poll() is not None

    def _listen(self) -> None:
        """Signals become bytes in a pipe: none is lost between looking and waiting."""
        self._asked, self._wake = os.pipe()
        os.set_blocking(self._asked, False)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)

    def _wait(self, proxy: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + STARTS_WITHIN_S
        loopbacks = (LOOPBACK4, LOOPBACK6) if self._ipv6 else (LOOPBACK4,)
        while not all(_is_taken(loopback, self._order.port) for loopback in loopbacks):
            if proxy.poll() is not None:
                raise TransparentError(f"the proxy has ended: {_last_words()}")
            if time.monotonic() > until:
                raise TransparentError(
                    f"the proxy does not listen after {STARTS_WITHIN_S:.0f} seconds: {_last_words()}"
                )
            if _drained(self._asked) & {signal.SIGTERM, signal.SIGINT}:
                raise TransparentError("ended before the proxy listened")
            time.sleep(0.05)

    def _know_hosts(self) -> None:
        theirs = ask_hosts(self._order.person, self._order.env)
        self._hosts = tuple(dict.fromkeys((*self._order.hosts, *theirs)))

    def _look(self) -> None:
        now = time.monotonic()
        self._seen |= dict.fromkeys(resolve(self._hosts), now)
        self._seen = {address: at for address, at in self._seen.items() if now - at < KEPT_S}
        rules = Rules.of(self._seen, user=self._order.person.uid, port=self._order.port, ipv6=self._ipv6)
        if rules == self._rules or not (rules.hosts4 or rules.hosts6):
            return
        self._put(rules)
        self._rules = rules
        self._tell(rules)

    def _put(self, rules: Rules) -> None:
        """By the firewall in use; the first time by another one where that refuses, unless a person has named it."""
        try:
            self._backend.put(rules)
        except TransparentError:
            others = [] if self._rules is not None or self._order.backend is not None else list(all_here())
            for other in (each for each in others if each.name != self._backend.name):
                self._backend.take()
                self._backend = other
                other.put(rules)
                return
            raise

    def _tell(self, rules: Rules) -> None:
        if self._state is None:
            holder = Process.of(os.getpid())
            proxy = Process.of(self._proxy.pid) if self._proxy is not None else None
            if holder is None or proxy is None:
                raise TransparentError(f"the proxy has ended: {_last_words()}")
            since, log = datetime.now(UTC).isoformat(timespec="seconds"), str(file_of("log"))
            name, port, user = self._backend.name, self._order.port, self._order.person.name
            self._state = State(name, holder, proxy, port, user, (), (), (), since, log, self._asked_for)
        write(replace(self._state, hosts=self._hosts, ipv4=rules.hosts4, ipv6=rules.hosts6, note=self._backend.note))


def _is_taken(host: str, port: int) -> bool:
    """Whether somebody listens there. Not asked by connecting, which mitmproxy takes for a redirect gone wrong."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _drained(pipe: int) -> set[int]:
    try:
        return set(os.read(pipe, 4096))
    except BlockingIOError:
        return set()


def _log(person: Person) -> IO[bytes]:
    """Root's folder, the person's file: they may read what their proxy says."""
    file_of("log").unlink(missing_ok=True)
    opened = os.open(file_of("log"), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    os.fchown(opened, person.uid, -1)
    return os.fdopen(opened, "wb")


def _shorten_log() -> None:
    try:
        if file_of("log").stat().st_size > LONGEST_LOG:
            os.truncate(file_of("log"), 0)
    except OSError:
        pass  # somebody has removed it


def _last_words() -> str:
    """What the proxy has said that tells most: the first line with an error, else the last one."""
    try:
        lines = [line.strip() for line in file_of("log").read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    if not lines:
        return "it has said nothing"
    return f"{next((line for line in lines if 'rror' in line), lines[-1])} (all of it: {file_of('log')})"


def main() -> None:
    """Serve one order."""
    answer, error = os.fdopen(os.dup(1), "w"), None
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    holder = None
    try:
        holder = Holder(msgspec.json.decode(sys.stdin.buffer.read(), type=Order))
        holder.begin()
    except Exception as failed:  # noqa: BLE001 # whoever has asked is to hear of it
        error = str(failed) or type(failed).__name__
    try:
        if error is None and holder is not None:
            with answer:
                answer.write(msgspec.json.encode(Answer()).decode())
            holder.follow()
    finally:
        if holder is not None:
            holder.end()
        if error is not None:
            with answer:
                answer.write(msgspec.json.encode(Answer(error)).decode())


if __name__ == "__main__":
    main()
