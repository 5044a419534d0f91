"""What is decrypted, by the authority in use: certificates for the names that it may vouch for, and no others.

A constrained authority can be broken by one name too many: where a client comes by address (transparent mode, local
capture), mitmproxy would put that address into the certificate, and every client would refuse it. And what the
authority may not vouch for is better left sealed than refused. The pair of keys is renewed while the proxy runs.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from mitmproxy import certs, options
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import layer, layers
from mitmproxy.proxy.layers.tls import parse_client_hello

from seatpool.clock import utcnow
from seatpool.core.notices import Expiry
from seatpool.providers.registry import is_stranger
from seatpool.proxy.counting import Counting
from seatpool.setup import strangers
from seatpool.setup.authority import IN_USE, Authority, AuthorityError, Change, default_folder, switches_at
from seatpool.setup.pair import names_of, within

logger = logging.getLogger(__name__)

LOOK_EVERY = timedelta(hours=6)
"""How often a running proxy asks whether the authority has to be renewed."""
ANEW_BEFORE = timedelta(days=2)
"""How long before its end a certificate is made anew, for clients with a fast clock."""
Taking = Callable[[layer.NextLayer, tuple[str, ...], str], bool]
"""Whether somebody takes a connection over: by what the authority may vouch for, and the host."""
UNKNOWN_HOST = "action=tunnelled host=%s reason=unknown-host: seatpool does not know what it serves"
UNBOUNDED = "this authority can vouch for any host; `seatpool ca create` makes one that cannot"


class FittingStore(certs.CertStore):
    """mitmproxy's store of certificates; those that it makes name what the authority permits, and nothing else.

    And they are good now: mitmproxy makes each one once, for half a year, so those of a proxy that runs for longer, or
    that was started before the machine had the right time, would be refused by every client until it is started anew.
    """

    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, store: certs.CertStore) -> "FittingStore":
        """The same, with the same authority and the certificates that were named by hand."""
        fitting = cls(
            store.default_privatekey, store.default_ca, store.default_chain_file, store.default_crl, store.dhparams
        )
        fitting.certs.update(store.certs)
        fitting.names = names_of(store.default_ca.to_cryptography())
        return fitting

    def get_cert(
        self,
        commonname: str | None,
        sans: Iterable[x509.GeneralName],
        organization: str | None = None,
        crl_url: str | None = None,
    ) -> certs.CertStoreEntry:
        """As its parent; what cannot be permitted is left out, unless nothing were left."""
        if self.names:
            sans = tuple(sans)
            fitting = [
                name for name in sans if isinstance(name, x509.DNSName) and within(name.value.lower(), self.names)
            ]
            if fitting:
                sans, commonname = fitting, fitting[0].value
        sans = tuple(sans)
        entry = super().get_cert(commonname, sans, organization, crl_url)
        if not _is_good(entry.cert, utcnow()) and any(made is entry for made in self.expire_queue):
            self._drop(entry)
            entry = super().get_cert(commonname, sans, organization, crl_url)
        return entry

    def _drop(self, entry: certs.CertStoreEntry) -> None:
        self.expire_queue = [made for made in self.expire_queue if made is not entry]
        for key in [key for key, kept in self.certs.items() if kept is entry]:
            del self.certs[key]


class Certificates:
    """The authority of one proxy."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        """What it may vouch for; empty where it may vouch for everything."""
        self.strangers = Counting(strangers.default_file, UNKNOWN_HOST)
        self._stamp: int | None = None
        self.expiry: Expiry | None = None
        """The end of what programs trust, where the authority in use is ours."""
        self._looked_at: datetime | None = None
        self._looking: asyncio.Future[None] | None = None
        self._unbounded_told = False

    def passes(self, nextlayer: layer.NextLayer, tlsconfig: Any, opts: options.Options, taken: Taking) -> bool:
        """In a `next_layer` hook: leave a TLS connection sealed that the authority is not for, or let it be taken."""
        context = nextlayer.context
        data = nextlayer.data_client()
        if nextlayer.layer or context.client.tls or not starts_like_tls_record(data):
            return False
        try:
            self._fit(tlsconfig, opts)
        except Exception:
            logger.exception("action=passthrough hook=next_layer")  # mitmproxy's own store does for most clients
        host = _host_of(data, context.server.address)
        if host is None:
            return False
        if taken(nextlayer, self.names, host):
            return True
        if is_stranger(host):
            self.strangers.note(host)
        if not self.names or within(host, self.names):
            return False
        nextlayer.layer = layers.TCPLayer(context, ignore=not opts.show_ignored_hosts)
        return True

    def _fit(self, tlsconfig: Any, opts: options.Options) -> None:
        """Follow the files, and keep mitmproxy's store fitting; it is made anew whenever its options change."""
        folder = Path(opts.confdir).expanduser()
        if folder == default_folder():
            self._renew(folder)
        try:
            stamp = (folder / IN_USE).stat().st_mtime_ns
            if stamp != self._stamp and not (self._stamp is None and _is_of(tlsconfig.certstore, folder / IN_USE)):
                # Contexts that mitmproxy keeps for TLS go with it: they are kept by the store's own parameters.
                tlsconfig.configure({"confdir"})
            self._stamp = stamp
        except (OSError, ValueError) as error:
            logger.warning("action=certificates reason=%s: the former authority stays in use", type(error).__name__)
        if not isinstance(tlsconfig.certstore, FittingStore):
            tlsconfig.certstore = FittingStore.of(tlsconfig.certstore)
            self.names = tlsconfig.certstore.names
            if not self.names and not self._unbounded_told:
                self._unbounded_told = True
                logger.info("action=certificates reason=unbounded: %s", UNBOUNDED)

    def _renew(self, folder: Path) -> None:
        now = utcnow()
        # Also where the clock was set back meanwhile, maybe by years.
        if self._looked_at is None or not timedelta() <= now - self._looked_at < LOOK_EVERY:
            self._looked_at = now
            self._looking = asyncio.get_running_loop().run_in_executor(None, self._keep, folder, now)

    def _keep(self, folder: Path, now: datetime) -> None:
        authority = Authority(folder)
        try:
            if authority.current() is None:
                return
            change = authority.keep((), now)
            pair, following = authority.current(), authority.next()
        except (AuthorityError, OSError) as error:
            logger.warning("action=certificates reason=%s", error)
        else:
            if pair is not None:
                self.expiry = Expiry(pair.ends, switches_at(pair, following) if following is not None else None)
            if change is not Change.NONE:
                logger.info("action=certificates change=%s", change.value)


def _is_good(cert: certs.Cert, now: datetime) -> bool:
    return cert.notbefore <= now < cert.notafter - ANEW_BEFORE


def _is_of(store: certs.CertStore, file: Path) -> bool:
    """Whether it was read from the file as it is. To read its key takes longer than all else of a first request."""
    first, *others = x509.load_pem_x509_certificates(file.read_bytes())
    return certs.Cert(first) == store.default_ca and bool(others) == (store.default_chain_file is not None)


def _host_of(data: bytes, address: tuple[str, int] | None) -> str | None:
    """What the client says that it wants, else where it goes; None while that is not known whole."""
    try:
        hello = parse_client_hello(data)
    except ValueError:
        hello = None
    else:
        if hello is None:
            return None
    host = (hello.sni if hello else None) or (address[0] if address else None)
    return host.lower().rstrip(".") if host else None
