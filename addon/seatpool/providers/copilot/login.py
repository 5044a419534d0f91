"""Logins in the files of programs that sign in with GitHub, told apart by what is in them.

Copilot's plugins (`apps.json`, the older `hosts.json`, and the language server's `auth.db`), the Copilot CLI
(`config.json`), opencode and pi (`auth.json`), the GitHub CLI (`hosts.yml`), and a token alone (copilot-observed.md 1).
"""

from seatpool.providers.copilot import login_authdb, login_gh
from seatpool.providers.copilot.auth import GITHUB
from seatpool.providers.copilot.found import CLI_APP, OPENCODE_APP, PLUGIN_APP, Found, issuer_of, one_each
from seatpool.providers.copilot.wire import text
from seatpool.providers.logins import ImportedLogin, NotALogin
from seatpool.providers.tolerant import Json, mapping, read_json

PLUGIN_FILES = ("apps.json", "hosts.json")
BARE_TOKEN = "a token"  # noqa: S105 # how a person calls it
"""`program` of a login that is a token alone, which says neither whose it is nor who issued it."""

_TOKEN_FIELD = "oauth_token"  # noqa: S105 # a field's name
_CLI_FIELDS = ("authTokens", "copilotTokens", "copilot_tokens")
"""As 1.0.102 writes it, and as earlier versions did."""
_CLI_USERS = ("loggedInUsers", "logged_in_users")
_BEGINNINGS = ("gho_", "ghu_", "ghp_", "github_pat_")
_LONGEST_TOKEN = 300


def read_login(name: str, content: bytes) -> tuple[ImportedLogin, ...] | None:
    """The logins in a file, one per person; None when it is not such a file.

    `identity` is None where the file does not say whose the token is. Raises `NotALogin` when it is such a file, but
    is cut short or has no token that Copilot takes.
    """
    if content.startswith(login_authdb.MAGIC):
        return login_authdb.read(name, content)
    plain = content.removeprefix(b"\xef\xbb\xbf")
    document = read_json(_without_comments(plain))
    if document is None:
        found_alone = _bare_token(name, plain) or login_gh.read(name, plain)
        if found_alone is None:
            _complain_of_damage(name, plain)
        return found_alone
    fields = mapping(document)
    for read in (_copilot_cli, _opencode_or_pi, _plugins):
        if (found := read(name, fields)) is not None:
            return one_each(name, found)
    if name in (*PLUGIN_FILES, login_gh.FILE_NAME) and document == {}:
        raise NotALogin(f"{name}: nobody is signed in")
    return None


def _without_comments(content: bytes) -> bytes:
    """Whole lines of comment, as the Copilot CLI puts above its JSON; no JSON string goes over a line's end."""
    if b"//" not in content:
        return content
    return b"\n".join(line for line in content.splitlines() if not line.lstrip().startswith(b"//"))


def _complain_of_damage(name: str, content: bytes) -> None:
    fields = (_TOKEN_FIELD, "github-copilot", *_CLI_FIELDS, *_CLI_USERS)
    if name in PLUGIN_FILES or any(f'"{field}"'.encode() in content for field in fields):
        raise NotALogin(f"{name}: not complete JSON" if content.strip() else f"{name}: empty")


def _bare_token(name: str, content: bytes) -> tuple[ImportedLogin, ...] | None:
    """A lone line with a token, as `gh auth token` prints it."""
    stripped = content.strip()
    if len(stripped) > _LONGEST_TOKEN or not stripped.startswith(tuple(b.encode() for b in _BEGINNINGS)):
        return None
    token = stripped.decode("ascii", "replace")
    return one_each(name, [Found(GITHUB, "", token, "", BARE_TOKEN)])


# -- Copilot's plugins


def _plugins(_name: str, document: Json) -> list[Found] | None:
    found = [
        Found(issuer, text(entry.get("user")), text(entry.get(_TOKEN_FIELD)), _app(key, entry), "the editor")
        for key, entry in document.items()
        if isinstance(entry, dict) and (issuer := issuer_of(key)) is not None and _looks_ours(key, entry)
    ]
    return found or None


def _app(key: str, entry: Json) -> str:
    return text(entry.get("githubAppId")) or key.removeprefix("https://").partition(":")[2]


def _looks_ours(key: str, entry: Json) -> bool:
    return _TOKEN_FIELD in entry or "githubAppId" in entry or (":" in key and "user" in entry) or set(entry) == {"user"}


# -- the Copilot CLI


def _copilot_cli(name: str, document: Json) -> list[Found] | None:
    """Entries are keyed `https://<host>:<user>`, and once more with `:github` behind it."""
    held = next((mapping(document[field]) for field in _CLI_FIELDS if field in document), None)
    if held is None and not any(document.get(field) for field in _CLI_USERS):
        return None
    found = [
        Found(issuer, parts[0], text(mapping(entry).get("token")) or text(entry), CLI_APP, "the Copilot CLI")
        for key, entry in (held or {}).items()
        if (issuer := issuer_of(key)) is not None and (parts := key.removeprefix("https://").split(":")[1:])
    ]
    if not found and any(document.get(field) for field in _CLI_USERS):
        raise NotALogin(
            f"{name}: the Copilot CLI keeps its token in the system's keychain;"
            " sign in for the pool with: seatpool login copilot --app cli"
        )
    return found


# -- opencode and pi


def _opencode_or_pi(name: str, document: Json) -> list[Found] | None:
    """`refresh` is the login; `access` is the same of opencode's (copilot.md 2.6), and what pi has exchanged it for.

    Neither keeps whose it is. What begins with `ghu_` was made by the plugins' GitHub App, with which pi signs in, as
    opencode once did (earendil-works/pi, `auth/oauth/github-copilot.ts`): an OAuth app as opencode's has none such.
    """
    entry = mapping(document.get("github-copilot"))
    if entry.get("type") != "oauth":
        return None
    issuer = issuer_of(text(entry.get("enterpriseUrl")) or GITHUB)
    if issuer is None:
        raise NotALogin(f"{name}: signed in at a host without Copilot; only github.com and GHE.com have it")
    access = text(entry.get("access"))
    token = text(entry.get("refresh")) or access
    app = PLUGIN_APP if token.startswith("ghu_") else OPENCODE_APP
    return [Found(issuer, "", token, app, "pi" if access.startswith("tid=") else "opencode")]
