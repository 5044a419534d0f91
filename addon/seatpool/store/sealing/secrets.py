"""Sealing and opening what is secret of a credential: token, refresh token and what came with them, as one blob."""

import json
import uuid
from collections.abc import Iterable, Iterator
from types import MappingProxyType

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Connection, Engine, insert, select

from seatpool.core.model import Credential
from seatpool.store.databases import engine as engines
from seatpool.store.errors import WrongKey
from seatpool.store.schema import master_key
from seatpool.store.sealing import masterkey

_KNOWN_TEXT = b"seatpool"
_KEPT = select(master_key.c.key_id, master_key.c.proof)


class Vault:
    """Seals and opens with one key, for one database."""

    def __init__(self, key: bytes, key_id: str) -> None:
        """Raises `ValueError` when `key` is not a Fernet key."""
        self._fernet = Fernet(key)
        self.key = key
        self.key_id = key_id
        """Tells this key from those before and after it; no secret."""

    def prove(self) -> bytes:
        """A sealed text by which the key is known again."""
        return self._fernet.encrypt(_KNOWN_TEXT)

    def proves(self, proof: bytes) -> bool:
        """Whether this key made `proof`."""
        try:
            return self._fernet.decrypt(proof) == _KNOWN_TEXT
        except InvalidToken:
            return False

    def seal(self, credential: Credential) -> bytes:
        """Everything but kind, expiry and generation, unreadable."""
        secret = {
            "token": credential.token,
            "refresh_token": credential.refresh_token,
            "endpoints": dict(credential.endpoints),
            "attributes": dict(credential.attributes),
        }
        return self._fernet.encrypt(json.dumps(secret).encode())

    def open(self, credential: Credential, sealed: bytes) -> Credential:
        """`credential` with its secret part put in. Raises `InvalidToken` when the blob is damaged."""
        secret = json.loads(self._fernet.decrypt(sealed))
        return Credential(
            kind=credential.kind,
            token=secret["token"],
            refresh_token=secret["refresh_token"],
            expires_at=credential.expires_at,
            endpoints=MappingProxyType(secret["endpoints"]),
            attributes=MappingProxyType(secret["attributes"]),
            generation=credential.generation,
        )


class Keychain:
    """The vaults of one database that a process has come to know: another process may change the key at any time."""

    def __init__(self, where: str, vault: Vault) -> None:
        self._where = where
        self._known = {vault.key_id: vault}

    def is_untidy(self) -> bool:
        """Whether a kill in a rotation has left more than the one key."""
        return masterkey.is_untidy(self._where, next(reversed(self._known)))

    def vault(self, db: Connection) -> Vault:
        """The one that seals what this transaction sees. Raises `WrongKey`."""
        kept = db.execute(_KEPT).one()
        vault = self._known.get(kept.key_id)
        if vault is None:
            vault = self._known[kept.key_id] = _vault(self._where, kept.key_id, kept.proof)
        return vault


def unlock(engine: Engine, where: str) -> Keychain:
    """The keys of this database; the first is made on first use. Raises `WrongKey`, having changed nothing."""
    with engines.begun(engine) as db:
        kept = db.execute(_KEPT).one_or_none()
    if kept is None:
        with engines.begun(engines.durable(engine)) as db:
            kept = db.execute(_KEPT).one_or_none()
            if kept is None:
                return Keychain(where, _first_vault(db, where))
    while True:
        try:
            return Keychain(where, _vault(where, kept.key_id, kept.proof))
        except WrongKey:
            with engines.begun(engine) as db:
                now_kept = db.execute(_KEPT).one()
            if now_kept.key_id == kept.key_id:
                raise
            kept = now_kept  # the key was changed between the two looks


def _first_vault(db: Connection, where: str) -> Vault:
    """Inside a write transaction, so that of several processes one makes the key and the others find it."""
    key_id = uuid.uuid4().hex
    vault = next(_vaults([masterkey.make(where, key_id)], key_id), None)
    if vault is None:
        raise _no_key(where, key_id)
    db.execute(insert(master_key).values(id=1, key_id=key_id, proof=vault.prove()))
    return vault


def _vault(where: str, key_id: str, proof: bytes) -> Vault:
    vaults = list(_vaults(masterkey.find(where, key_id), key_id))
    if not vaults:
        raise _no_key(where, key_id)
    for vault in vaults:
        if vault.proves(proof):
            return vault
    raise WrongKey(f"the key at hand is not the one that sealed {where}; {_mended(where, key_id)}")


def _vaults(keys: Iterable[bytes], key_id: str) -> Iterator[Vault]:
    for key in keys:
        try:
            yield Vault(key, key_id)
        except ValueError:
            continue


def _no_key(where: str, key_id: str) -> WrongKey:
    return WrongKey(f"what is kept as the key of {where} is no key; {_mended(where, key_id)}")


def _mended(where: str, key_id: str) -> str:
    return f"put the right {masterkey.key_file(where, key_id)} back{masterkey.or_import(where)}"
