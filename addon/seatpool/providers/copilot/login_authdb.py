"""The Copilot language server's `auth.db`: SQLite, one row for each person and app (copilot-observed.md 1).

Version 1.539 writes tokens as they are. A row of version 1 was sealed by an earlier one with a key from the system's
keychain; the language server unseals it when it reads it next.
"""

import sqlite3
from contextlib import closing

from seatpool.providers.copilot.found import Found, issuer_of, one_each
from seatpool.providers.logins import ImportedLogin, NotALogin

MAGIC = b"SQLite format 3\x00"
FILE_NAME = "auth.db"

_PLAIN = 0
_FILE_FORMAT = slice(18, 20)  # of the header: 2, 2 with a write-ahead log, 1, 1 without
_IS_TABLE = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'oauth_tokens'"
_ROWS = """
    SELECT auth_authority, oauth_client_id, user_login, token_ciphertext, token_schema_version
    FROM oauth_tokens ORDER BY last_used_at DESC, token_id DESC
"""


def read(name: str, content: bytes) -> tuple[ImportedLogin, ...] | None:
    """The logins in a database whose write-ahead log has been worked in; None when it is another program's.

    Raises `NotALogin` when it is damaged, or its tokens are sealed.
    """
    rows = _rows(name, content)
    if rows is None:
        if name == FILE_NAME:
            raise NotALogin(f"{name}: nobody is signed in, or its {name}-wal was not copied with it")
        return None
    ours = [row for row in rows if isinstance(row[0], str) and issuer_of(row[0]) is not None]
    readable = [_found(row) for row in ours if row[4] == _PLAIN]
    if ours and not readable:
        raise NotALogin(
            f"{name}: its tokens are sealed with a key in the system's keychain;"
            " start the editor once more, or sign in for the pool with: seatpool login copilot"
        )
    return one_each(name, readable)


def _rows(name: str, content: bytes) -> list[tuple[object, ...]] | None:
    with closing(sqlite3.connect(":memory:")) as db:
        whole = bytearray(content)
        whole[_FILE_FORMAT] = b"\x01\x01"  # a database in memory has no log beside it
        try:
            db.deserialize(bytes(whole))
            if db.execute(_IS_TABLE).fetchone() == (0,):
                return None
            return db.execute(_ROWS).fetchall()
        except (sqlite3.Error, ValueError):  # its own words for what is wrong can be no UTF-8
            raise NotALogin(f"{name}: a database that is damaged or not complete") from None


def _found(row: tuple[object, ...]) -> Found:
    authority, app, user, token, _ = row
    return Found(
        issuer=issuer_of(str(authority)) or "",
        user=user if isinstance(user, str) else "",
        token=token.decode("ascii", "replace") if isinstance(token, bytes) else "",
        app=app if isinstance(app, str) else "",
        program="the editor",
    )
