"""A root and an issuing certificate that can vouch for a few names, with what is below them, and for nothing else.

Both carry the same critical name constraints; on the root alone Java would ignore them (copilot-observed.md 5).
"""

import ipaddress
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = timedelta(days=90)
_BACKDATED = timedelta(days=2)
"""As mitmproxy's leaves are, for clients with a slow clock."""

_NOWHERE = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
"""Every address is excluded: a leaf for an address alone would pass constraints that speak of names alone."""


class Pair(msgspec.Struct, frozen=True):
    """A root and the issuing certificate that it has signed. The issuing key stays in the file."""

    root: x509.Certificate
    issuing: x509.Certificate

    @property
    def tag(self) -> str:
        """Eight characters that tell it from every other one; a part of its name."""
        return tag_of(self.root)

    @property
    def names(self) -> tuple[str, ...]:
        """What it may vouch for, each with everything below it."""
        return names_of(self.issuing)

    @property
    def ends(self) -> datetime:
        """When it is over, aware, in UTC."""
        return min(self.root.not_valid_after_utc, self.issuing.not_valid_after_utc)

    @property
    def made(self) -> datetime:
        """When it was made."""
        return self.root.not_valid_before_utc + _BACKDATED

    @property
    def fingerprint(self) -> str:
        """The root's SHA-256, as other programs show it."""
        return self.root.fingerprint(hashes.SHA256()).hex(":").upper()

    def missing(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of `names` that it may not vouch for."""
        return tuple(name for name in names if not within(name, self.names))


def within(host: str, names: Iterable[str]) -> bool:
    """Whether a host is one of the names, or below one."""
    return any(host == name or host.endswith(f".{name}") for name in names)


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The names that it is constrained to; empty where it is not."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(each.value for each in constraints.permitted_subtrees or () if isinstance(each, x509.DNSName))


def tag_of(root: x509.Certificate) -> str:
    """The beginning of the key's identifier."""
    return root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()[:8]


def pem(certificate: x509.Certificate) -> bytes:
    """As text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def make(names: Collection[str], now: datetime) -> tuple[Pair, bytes]:
    """A new pair, and what mitmproxy reads. The root's key is not in it: it is gone when this returns."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("root", root_key, names, now, depth=1)
    issuing = _certificate("issuing", key, names, now, depth=0, by=(root, root_key))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(root, issuing), secret + pem(issuing) + pem(root)


def _certificate(
    role: str,
    key: ec.EllipticCurvePrivateKey,
    names: Collection[str],
    now: datetime,
    *,
    depth: int,
    by: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
) -> x509.Certificate:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # A name of its own for each: NSS takes certificates of one name for one authority.
    parts = (
        (NameOID.ORGANIZATION_NAME, "seatpool"),
        (NameOID.COMMON_NAME, f"seatpool {role} {identifier.digest.hex()[:8]}"),
    )
    subject = x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])
    issuer, signer = (by[0].subject, by[1]) if by else (subject, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .add_extension(_constraints(names), critical=True)
        # No mail, no code, no logins: servers.
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
    )
    if by:
        known = by[0].extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        above = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)
        builder = builder.add_extension(above, critical=False)
    return builder.sign(signer, hashes.SHA256())


def _constraints(names: Collection[str]) -> x509.NameConstraints:
    return x509.NameConstraints(
        permitted_subtrees=[x509.DNSName(name) for name in sorted(names)],
        excluded_subtrees=[x509.IPAddress(network) for network in _NOWHERE],
    )


_SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)
