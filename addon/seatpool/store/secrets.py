"""Sealing and opening what is secret of a credential: token, refresh token and what came with them, as one blob."""

import json
import uuid
from types import MappingProxyType

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Connection, Engine, insert, select

from seatpool.core.model import Credential
from seatpool.store import engine as engines
from seatpool.store import masterkey
from seatpool.store.errors import WrongKey
from seatpool.store.schema import master_key

_KNOWN_TEXT = b"seatpool"
_KEPT = select(master_key.c.key_id, master_key.c.proof)


class Vault:
    """Seals and opens with one key, for one database."""

    def __init__(self, key: bytes) -> None:
        """Raises `ValueError` when `key` is not a Fernet key."""
        self._fernet = Fernet(key)

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


def unlock(engine: Engine, where: str) -> Vault:
    """The vault of this database; its key is made on first use. Raises `WrongKey`, having changed nothing."""
    with engine.connect() as db:
        kept = db.execute(_KEPT).one_or_none()
    if kept is None:
        with engines.durable(engine).begin() as db:
            kept = db.execute(_KEPT).one_or_none()
            if kept is None:
                return _first_vault(db, where)
    vault = _vault(masterkey.find(where, kept.key_id), where)
    if not vault.proves(kept.proof):
        raise WrongKey(f"the key at hand is not the one that sealed {where}; put the right {where}.key back")
    return vault


def _first_vault(db: Connection, where: str) -> Vault:
    """Inside a write transaction, so that of several processes one makes the key and the others find it."""
    key_id = uuid.uuid4().hex
    vault = _vault(masterkey.make(where, key_id), where)
    db.execute(insert(master_key).values(id=1, key_id=key_id, proof=vault.prove()))
    return vault


def _vault(key: bytes, where: str) -> Vault:
    try:
        return Vault(key)
    except ValueError:
        raise WrongKey(f"what is kept as the key of {where} is no key; put the right {where}.key back") from None
