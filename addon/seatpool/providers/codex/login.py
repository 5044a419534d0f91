"""Reads the logins of Codex (`~/.codex/auth.json`), and of opencode and pi, entries of whose `auth.json` are alike."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from seatpool.core.model import Credential, CredentialKind, ProviderName
from seatpool.providers.codex.auth import ATTR_ACCOUNT, ATTR_FEDRAMP, ATTR_USER
from seatpool.providers.codex.tokens import identity_of, read_claims, suggested_name
from seatpool.providers.codex.wire import ISSUER, plain, text
from seatpool.providers.logins import ImportedLogin, NotALogin
from seatpool.providers.tolerant import Json, mapping, number, read_json

CODEX_KEYS = ("auth_mode", "tokens", "OPENAI_API_KEY")
FILE_NAME = "auth.json"
ENTRIES: Mapping[str, str] = MappingProxyType({"openai": "opencode", "openai-codex": "pi"})
"""Where the other programs keep theirs, and who does (codex.md 4; earendil-works/pi, `auth/oauth/openai-codex.ts`)."""
CLIENT = "clientId"
"""In an entry that pi's *Sign in with ChatGPT* has made, beside which its one for Codex may stand: as a client of its
own, whose tokens serve at api.openai.com and nowhere else (earendil-works/pi 1.5, `auth/oauth/openai-chatgpt.ts`)."""

OTHER_MODES: Mapping[str, str] = MappingProxyType(
    {
        "apikey": "an API key",
        "chatgptAuthTokens": "tokens that another program renews",
        "headers": "headers of its own",
        "agentIdentity": "an agent identity",
        "personalAccessToken": "a personal access token",
        "bedrockApiKey": "a Bedrock key",
    }
)
"""What the modes are signed in with that are not a ChatGPT login of Codex's own."""


def read_login(name: str, content: bytes) -> tuple[ImportedLogin, ...] | None:
    """The logins in a file; None when it is not one of these programs'. Raises `NotALogin` when it is, but broken."""
    document = read_json(content)
    if document is None:
        _complain_of_damage(name, content)
        return None
    fields = mapping(document)
    if any(key in fields for key in CODEX_KEYS):
        return (_codex_login(name, fields),)
    entries = [(program, mapping(fields.get(key))) for key, program in ENTRIES.items()]
    logins = [(program, entry) for program, entry in entries if entry.get("type") == "oauth"]
    ours = [(program, entry) for program, entry in logins if CLIENT not in entry]
    if logins and not ours:
        raise NotALogin(f"{name}: pi is signed in for OpenAI's API alone; choose OpenAI Codex in its /login")
    return tuple(_entry(name, program, entry) for program, entry in ours) or None


def _complain_of_damage(name: str, content: bytes) -> None:
    if name == FILE_NAME and not content.strip():
        raise NotALogin(f"{name} is empty")
    if not content.lstrip().startswith(b"{"):
        return
    if name == FILE_NAME or any(f'"{key}"'.encode() in content for key in CODEX_KEYS):
        raise NotALogin(f"{name} looks like a login but is not whole JSON: is it truncated?")


def _codex_login(name: str, fields: Json) -> ImportedLogin:
    mode = fields.get("auth_mode")
    if mode is None and text(fields.get("OPENAI_API_KEY")):
        mode = "apikey"
    if mode not in (None, "chatgpt"):
        what = OTHER_MODES.get(mode) if isinstance(mode, str) else None
        raise NotALogin(f"{name}: Codex is signed in with {what or 'something unknown'}, not with ChatGPT")
    tokens = mapping(fields.get("tokens"))
    if not tokens:
        raise NotALogin(f"{name} holds no tokens: sign in with `codex login`, with the credentials kept in a file")
    return _login(
        name,
        "Codex",
        access=plain(tokens.get("access_token")),
        refresh=plain(tokens.get("refresh_token")),
        account_id=plain(tokens.get("account_id")),
        id_token=text(tokens.get("id_token")),
    )


def _entry(name: str, program: str, entry: Json) -> ImportedLogin:
    return _login(
        name,
        program,
        access=plain(entry.get("access")),
        refresh=plain(entry.get("refresh")),
        account_id=plain(entry.get("accountId")),
        expires_ms=number(entry.get("expires")),
    )


def _login(
    name: str,
    program: str,
    *,
    access: str | None,
    refresh: str | None,
    account_id: str | None,
    id_token: str | None = None,
    expires_ms: float | None = None,
) -> ImportedLogin:
    if access is None:
        raise NotALogin(f"{name} holds no access token")
    granted, who = read_claims(access), read_claims(id_token or "")
    account_id = account_id or granted.account_id or who.account_id
    user_id = granted.user_id or who.user_id
    if account_id is None or user_id is None:
        missing = "workspace" if account_id is None else "person"
        raise NotALogin(f"{name} does not say which {missing} its tokens belong to")
    attributes = {ATTR_ACCOUNT: account_id, ATTR_USER: user_id}
    if granted.fedramp or who.fedramp:
        attributes[ATTR_FEDRAMP] = "true"
    credential = Credential(
        CredentialKind.CODEX_OAUTH,
        access,
        refresh,
        granted.expires_at or _from_ms(expires_ms),
        attributes=MappingProxyType(attributes),
    )
    return ImportedLogin(
        provider=ProviderName.CODEX,
        name=suggested_name(who, granted),
        identity=identity_of(user_id, account_id),
        issuer=ISSUER,
        credentials=(credential,),
        plan=granted.plan or who.plan,
        shared=refresh is not None,
        program=program,
    )


def _from_ms(epoch_ms: float | None) -> datetime | None:
    """A time of an entry's; None where it is none that a calendar has (opencode writes 0 for unknown)."""
    if epoch_ms is None or not 0 < epoch_ms < 253_000_000_000_000:
        return None
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)
