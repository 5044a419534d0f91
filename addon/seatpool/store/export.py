"""Accounts with their logins as one encrypted file: values to bytes and back.

The file is text: a line of JSON (the header: what made the key, and from which salt), then the sealed accounts in
base64. The header is authenticated with the rest, so that nobody weakens it.
"""

import base64
import binascii
import json
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from seatpool.core.model import Account, Credential, CredentialKind, Keeping, ProviderName
from seatpool.store.errors import StoreError

FORMAT = "seatpool-export"
VERSION = 1

KDF: Mapping[str, int] = MappingProxyType({"iterations": 3, "lanes": 4, "memory_kib": 64 * 1024})
"""Argon2id as RFC 9106 recommends it for machines with little memory: some tenths of a second for each guess."""
_MOST: Mapping[str, int] = MappingProxyType({"iterations": 20, "lanes": 16, "memory_kib": 1024 * 1024})
"""What a file may ask for: more would only keep this machine busy."""
_KEY_BYTES, _SALT_BYTES, _NONCE_BYTES = 32, 16, 12
_MAGIC = f'{{"format":"{FORMAT}"'.encode()

LASTING = (CredentialKind.CODEX_OAUTH, CredentialKind.GITHUB_OAUTH)
"""Kinds that are exported; the others live for half an hour, and are made from these."""


class BadExport(StoreError):
    """The file is none of ours, damaged, from a newer version, or the passphrase is another one."""


class Exported(msgspec.Struct, frozen=True):
    """One account. Its id and when it was last used mean nothing elsewhere."""

    account: Account
    credentials: tuple[Credential, ...]


def is_export(content: bytes) -> bool:
    """Whether a file says that it is one of ours."""
    return content.startswith(_MAGIC)


def seal(accounts: Sequence[Exported], passphrase: str) -> bytes:
    """The file's content. Raises `BadExport` where this machine's OpenSSL knows no Argon2id."""
    return sealer(passphrase)(accounts)


def sealer(passphrase: str) -> Callable[[Sequence[Exported]], bytes]:
    """As `seal`: what takes its time is done when this returns, and the rest can be done while others wait."""
    salt = os.urandom(_SALT_BYTES)
    cipher = ChaCha20Poly1305(_key(passphrase, salt, KDF))
    return lambda accounts: _sealed(accounts, salt, cipher)


def _sealed(accounts: Sequence[Exported], salt: bytes, cipher: ChaCha20Poly1305) -> bytes:
    plain = json.dumps([_row(each) for each in accounts]).encode()
    nonce = os.urandom(_NONCE_BYTES)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "kdf": "argon2id",
        **KDF,
        "salt": _text(salt),
        "cipher": "chacha20-poly1305",
        "nonce": _text(nonce),
        "length": len(plain) + 16,
    }
    line = json.dumps(header, separators=(",", ":")).encode()
    sealed = cipher.encrypt(nonce, plain, line)
    return line + b"\n" + "\n".join(textwrap.wrap(_text(sealed), 76)).encode() + b"\n"


def unseal(content: bytes, passphrase: str) -> tuple[Exported, ...]:
    """What `seal` was given. Raises `BadExport`, whose one line says why not."""
    line, _, body = content.partition(b"\n")
    header = _header(line)
    sealed = _bytes(b"".join(body.split()))
    if sealed is None or len(sealed) != header["length"]:
        raise BadExport("the export is not complete: is it truncated?")
    try:
        plain = ChaCha20Poly1305(_key(passphrase, header["salt"], header)).decrypt(header["nonce"], sealed, line)
    except InvalidTag:
        raise BadExport("the passphrase is wrong, or the export was altered") from None
    try:
        return tuple(_exported(row) for row in json.loads(plain))
    except (KeyError, TypeError, ValueError):
        raise BadExport("the export was written by a version that this one does not understand") from None


# -- the header


def _header(line: bytes) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except ValueError:
        raise BadExport("the export's first line is damaged: is it truncated?") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise BadExport("this is no export of seatpool")
    if header.get("version") != VERSION:
        raise BadExport("the export was written by a newer seatpool; update this one")
    salt, nonce = (_bytes(str(header.get(name)).encode()) for name in ("salt", "nonce"))
    sizes = (len(salt or b""), len(nonce or b""))
    asked = [header.get(name) for name in _MOST]
    within = all(type(value) is int and 0 < value <= most for value, most in zip(asked, _MOST.values(), strict=True))
    if sizes != (_SALT_BYTES, _NONCE_BYTES) or not within or header["memory_kib"] < 8 * header["lanes"]:
        raise BadExport("the export's first line is damaged")
    return {**header, "salt": salt, "nonce": nonce}


def _key(passphrase: str, salt: bytes, costs: Mapping[str, Any]) -> bytes:
    try:
        kdf = Argon2id(
            salt=salt,
            length=_KEY_BYTES,
            iterations=costs["iterations"],
            lanes=costs["lanes"],
            memory_cost=costs["memory_kib"],
        )
    except UnsupportedAlgorithm:
        raise BadExport("this machine's OpenSSL is older than 3.2 and has no Argon2id; update cryptography") from None
    return kdf.derive(passphrase.encode())


# -- accounts


def _row(exported: Exported) -> dict[str, Any]:
    account = exported.account
    return {
        "provider": account.provider.value,
        "identity": account.identity,
        "handle": account.handle,
        "name": account.name,
        "issuer": account.issuer,
        "priority": account.priority,
        "paused": account.paused,
        "weight": account.weight,
        "keeping": account.keeping.value,
        "plan": account.plan,
        "owner": account.owner,
        "people": list(account.people),
        "credentials": [
            {
                "kind": credential.kind.value,
                "token": credential.token,
                "refresh_token": credential.refresh_token,
                "expires_at": credential.expires_at.isoformat() if credential.expires_at else None,
                "endpoints": dict(credential.endpoints),
                "attributes": dict(credential.attributes),
            }
            for credential in exported.credentials
            if credential.kind in LASTING
        ],
    }


def _exported(row: dict[str, Any]) -> Exported:
    account = Account(
        id=0,
        provider=ProviderName(row["provider"]),
        name=row["name"],
        identity=row["identity"],
        issuer=row["issuer"],
        priority=row["priority"],
        paused=row["paused"],
        plan=row["plan"],
        handle=row["handle"],
        weight=float(row.get("weight", 1.0)),  # the first exports knew neither
        keeping=Keeping(row.get("keeping", Keeping.NORMAL)),
        owner=row.get("owner"),
        people=tuple(row.get("people", ())),
    )
    return Exported(account, tuple(_credential(each) for each in row["credentials"]))


def _credential(row: dict[str, Any]) -> Credential:
    return Credential(
        kind=CredentialKind(row["kind"]),
        token=row["token"],
        refresh_token=row["refresh_token"],
        expires_at=datetime.fromisoformat(row["expires_at"]) if row["expires_at"] else None,
        endpoints=MappingProxyType(row["endpoints"]),
        attributes=MappingProxyType(row["attributes"]),
    )


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
