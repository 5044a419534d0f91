"""Every login file as the real program wrote it: what is read from it, and what is said of it when it is cut short."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from seatpool.cli.account.loginfiles import content_of
from seatpool.core.model import ProviderName
from seatpool.providers.copilot import COPILOT
from seatpool.providers.copilot.found import ATTR_APP, DIRECT_ONLY, PERHAPS_DIRECT
from seatpool.providers.logins import ImportedLogin, NotALogin
from seatpool.providers.registry import PROVIDERS
from tests.fixtures import LOGINS

PLUGIN = "Iv1.b507a08c87ecfe98"
CLI = "Ov23ctDVkRmgkPke0Mmm"
GH = "178c6fc778ccc68e1d6a"
OPENCODE = "Ov23li8tweQw6odWQebz"
ALICE = "user-alice/c0ef600c-e730-593d-a90d-f87c85d74403"

Row = tuple[str, str | None, str, str | None, bool, str]
"""Provider, identity, program, app, shared, note."""

READ: list[tuple[str, list[Row]]] = [
    ("codex/auth.json", [("codex", ALICE, "Codex", None, True, "")]),
    (
        "opencode/auth.json",
        [
            ("codex", ALICE, "opencode", None, True, ""),
            ("copilot", None, "opencode", OPENCODE, False, DIRECT_ONLY),
        ],
    ),
    ("language-server/auth.db", [("copilot", "github.com/emma", "the editor", PLUGIN, False, "")]),
    ("language-server-1.400/apps.json", [("copilot", "github.com/emma", "the editor", PLUGIN, False, "")]),
    ("copilot-cli/config.json", [("copilot", "github.com/emma", "the Copilot CLI", CLI, False, DIRECT_ONLY)]),
    (
        "gh/hosts.yml",
        [
            ("copilot", "github.com/alice", "the GitHub CLI", GH, False, DIRECT_ONLY),
            ("copilot", "github.com/emma", "the GitHub CLI", GH, False, DIRECT_ONLY),
            ("copilot", "octo.ghe.com/octo", "the GitHub CLI", GH, False, DIRECT_ONLY),
        ],
    ),
    (
        "gh-2.23/hosts.yml",
        [
            ("copilot", None, "the GitHub CLI", GH, False, DIRECT_ONLY),
            ("copilot", None, "the GitHub CLI", GH, False, DIRECT_ONLY),
        ],
    ),
]
WHOLE = [path for path, _ in READ]


def read(name: str, content: bytes) -> list[ImportedLogin]:
    """By every provider; what one of them complains of is no concern of the others."""
    found: list[ImportedLogin] = []
    complaints = []
    for provider in PROVIDERS.values():
        try:
            found += provider.read_login(name, content) or ()
        except NotALogin as error:
            complaints.append(str(error))
    if complaints and not found:
        raise NotALogin(complaints[0])
    return found


def tried(name: str, content: bytes) -> tuple[set[str], str | None]:
    """The tokens that are read, or what is complained of."""
    try:
        return tokens(read(name, content)), None
    except NotALogin as error:
        return set(), str(error)


def tokens(logins: list[ImportedLogin]) -> set[str]:
    return {credential.token for login in logins for credential in login.credentials}


@pytest.mark.parametrize(("file", "expected"), READ, ids=WHOLE)
def test_a_real_file_is_read(file: str, expected: list[Row]) -> None:
    path = LOGINS / file
    logins = read(path.name, content_of(path))
    assert [
        (x.provider, x.identity, x.program, x.credentials[0].attributes.get(ATTR_APP), x.shared, x.note) for x in logins
    ] == expected
    assert all("FAKESECRET" in token for token in tokens(logins))
    assert all(x.handle == x.identity for x in logins if x.provider is ProviderName.COPILOT)
    assert "FAKESECRET" not in repr(logins)


def test_the_issuer_of_a_tenants_token_is_the_tenant() -> None:
    path = LOGINS / "gh-2.23/hosts.yml"
    assert [login.issuer for login in read(path.name, path.read_bytes())] == ["github.com", "octo.ghe.com"]


@pytest.mark.parametrize("file", WHOLE)
def test_a_real_file_is_told_by_its_content_and_not_by_its_name(file: str) -> None:
    content = content_of(LOGINS / file)
    assert tokens(read("copy.txt", content)) == tokens(read(Path(file).name, content))


@pytest.mark.parametrize("file", WHOLE)
def test_a_file_that_is_cut_short_gives_whole_tokens_or_none_and_says_why(file: str) -> None:
    path = LOGINS / file
    content = content_of(path)
    whole = tokens(read(path.name, content))
    step = 20 if len(content) < 4096 else 1499
    for length in range(0, len(content), step):
        got, complaint = tried(path.name, content[:length])
        assert got <= whole, length
        assert got or complaint is None or complaint.startswith(path.name)
        assert "FAKESECRET" not in (complaint or "") and "\n" not in (complaint or "")


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("copilot-cli-keychain/config.json", "in the system's keychain; .*: seatpool login copilot --app cli"),
        ("gh-keyring/hosts.yml", r"keyring; .*gh auth token \| seatpool account import -"),
    ],
)
def test_a_token_in_the_keyring_is_not_there_and_the_way_to_it_is_told(file: str, says: str) -> None:
    path = LOGINS / file
    with pytest.raises(NotALogin, match=f"^{path.name}: .*{says}"):
        read(path.name, path.read_bytes())


# -- the language server's database


def changed(tmp_path: Path, *statements: str) -> bytes:
    path = tmp_path / "auth.db"
    path.write_bytes(content_of(LOGINS / "language-server/auth.db"))
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()
    return path.read_bytes()


ANOTHER = """INSERT INTO oauth_tokens SELECT NULL, 'octo.ghe.com', 'Iv1.b507a08c87ecfe98', 'octo', '',
    CAST('ghu_FAKESECRETocto' AS BLOB), {version}, 'vim', 1, 1, 1"""


def test_a_database_with_several_people_gives_each_of_them(tmp_path: Path) -> None:
    content = changed(tmp_path, ANOTHER.format(version=0))
    assert [x.identity for x in read("auth.db", content)] == ["github.com/emma", "octo.ghe.com/octo"]


def test_a_sealed_row_is_left_out_and_a_database_of_them_says_what_to_do(tmp_path: Path) -> None:
    content = changed(tmp_path, ANOTHER.format(version=1))
    assert [x.identity for x in read("auth.db", content)] == ["github.com/emma"]
    content = changed(tmp_path, "UPDATE oauth_tokens SET token_schema_version = 1")
    with pytest.raises(NotALogin, match="sealed with a key in the system's keychain"):
        read("auth.db", content)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM oauth_tokens", "nobody is signed in"),
        ("DROP TABLE oauth_tokens", "nobody is signed in"),
        ("ALTER TABLE oauth_tokens RENAME COLUMN user_login TO login", "damaged"),
        ("UPDATE oauth_tokens SET token_ciphertext = 7", "holds no token"),
    ],
)
def test_a_database_without_a_login_says_so(tmp_path: Path, statement: str, says: str) -> None:
    with pytest.raises(NotALogin, match=says):
        read("auth.db", changed(tmp_path, statement))


def test_a_database_with_bytes_that_are_no_text_in_its_names_is_damaged(tmp_path: Path) -> None:
    """SQLite's own words about it are no text either."""
    content = changed(tmp_path, "UPDATE oauth_tokens SET token_schema_version = 0")
    with pytest.raises(NotALogin, match="damaged"):
        read("auth.db", content.replace(b"CREATE TABLE", b"CREATE\xe5TABLE"))


def test_another_programs_database_is_not_ours(tmp_path: Path) -> None:
    content = changed(tmp_path, "DROP TABLE oauth_tokens")
    assert COPILOT.read_login("opencode.db", content) is None


def test_without_its_log_the_database_is_empty_and_says_what_may_be_missing() -> None:
    with pytest.raises(NotALogin, match=r"auth\.db-wal was not copied"):
        read("auth.db", (LOGINS / "language-server/auth.db").read_bytes())


# -- shapes of other versions, and what a person may hand over


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b"gho_FAKESECRETann\n", PERHAPS_DIRECT),
        (b"ghu_FAKESECRETann", ""),
        (b"  github_pat_FAKESECRETann\r\n", DIRECT_ONLY),
    ],
)
def test_a_token_alone_is_a_login_of_somebody(content: bytes, note: str) -> None:
    (login,) = read("-", content)
    assert (login.identity, login.issuer, login.program, login.note) == (None, "github.com", "a token", note)
    assert login.credentials[0].token == content.decode().strip()


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"ghp_FAKESECRETann\n", "classic personal access"), (b"gho_FAKESECRET ann", "not a GitHub token")],
)
def test_a_token_alone_that_does_not_serve_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(NotALogin, match=says) as raised:
        read("-", content)
    assert "FAKESECRET" not in str(raised.value)


@pytest.mark.parametrize("field", ["copilotTokens", "copilot_tokens"])
def test_earlier_versions_of_the_copilot_cli_kept_the_token_alone(field: str) -> None:
    document = {field: {"https://octo.ghe.com:Ann": "gho_FAKESECRETann"}, "trusted_folders": []}
    (login,) = read("config.json", json.dumps(document).encode())
    assert (login.identity, login.issuer) == ("octo.ghe.com/ann", "octo.ghe.com")


@pytest.mark.parametrize(
    ("url", "issuer"), [("octo.ghe.com", "octo.ghe.com"), ("https://octo.ghe.com/", "octo.ghe.com"), ("", "github.com")]
)
def test_opencode_names_a_tenant(url: str, issuer: str) -> None:
    entry = {"type": "oauth", "refresh": "gho_FAKESECRETann", "access": "x", "expires": 0, "enterpriseUrl": url}
    (login,) = read("auth.json", json.dumps({"github-copilot": entry}).encode())
    assert (login.issuer, login.credentials[0].token) == (issuer, "gho_FAKESECRETann")


def test_opencode_at_a_company_server_has_no_copilot() -> None:
    entry = {"type": "oauth", "refresh": "gho_FAKESECRETann", "enterpriseUrl": "git.example.com"}
    with pytest.raises(NotALogin, match="without Copilot"):
        read("auth.json", json.dumps({"github-copilot": entry}).encode())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "nobody is signed in"),
        (b"{}\n", "nobody is signed in"),
        (b"github.com:\n    oauth_token: gho_FAKESECR", "middle of a line"),
        (b"github.com:\n    users:\n        ann:\n            oauth_token: gho_FAKESECRET\n", "who of its users"),
        (b"github.com:\n    oauth_token: [\n", "not complete YAML"),
        (b"github.com:\n    oauth_token: a\n    oauth_token: b\n", "not complete YAML"),
        (b"github.com:\n    user: x\n[{}]: c\n", "not complete YAML"),
        (b"github.com:\n    oauth_token: ghp_FAKESECRET\n", "classic personal access"),
    ],
)
def test_a_broken_file_of_gh_says_what_is_wrong(content: bytes, says: str) -> None:
    with pytest.raises(NotALogin, match=says) as raised:
        read("hosts.yml", content)
    assert "FAKESECRET" not in str(raised.value)


def test_a_user_of_gh_whose_token_is_in_the_keyring_does_not_hide_the_others() -> None:
    users = b"    users:\n        ann:\n        bob:\n            oauth_token: gho_FAKESECRETbob\n"
    content = b"github.com:\n" + users + b"    user: ann\n"
    assert [login.identity for login in read("hosts.yml", content)] == ["github.com/bob"]
