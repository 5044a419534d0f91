"""An export: nothing of it can be read without its passphrase, and nothing that was changed in it is taken."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from seatpool.core.model import Account, Credential, CredentialKind, Keeping, ProviderName
from seatpool.store.export import BadExport, Exported, is_export, seal, unseal

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
PASSPHRASE = "correct horse"
WORK = Exported(
    Account(
        7,
        ProviderName.CODEX,
        "work",
        "user-ann/ws",
        "chatgpt.com",
        priority=5,
        paused=True,
        plan="plus",
        disabled="refresh_token_reused",
        last_used_at=NOW,
        weight=2.5,
        keeping=Keeping.PRESERVED,
    ),
    (
        Credential(
            CredentialKind.CODEX_OAUTH,
            "FAKESECRET-access",
            "FAKESECRET-refresh",
            NOW,
            endpoints={"api": "https://chatgpt.com"},
            attributes={"account_id": "ws"},
            generation=3,
        ),
    ),
)
HOME = Exported(
    Account(9, ProviderName.COPILOT, "heimat ü", "github.com/1", "github.com", handle="github.com/ann"),
    (
        Credential(CredentialKind.GITHUB_OAUTH, "gho_FAKESECRET"),
        Credential(CredentialKind.COPILOT_TOKEN, "tid=FAKESECRET"),
        Credential(CredentialKind.COPILOT_SESSION, "FAKESECRET-session"),
    ),
)


@pytest.fixture(scope="module")
def sealed() -> bytes:
    return seal([WORK, HOME], PASSPHRASE)


def test_what_was_exported_comes_back_without_what_means_nothing_elsewhere(sealed: bytes) -> None:
    work, home = unseal(sealed, PASSPHRASE)
    assert work.account == replace(WORK.account, id=0, disabled=None, last_used_at=None)
    assert work.credentials == (replace(WORK.credentials[0], generation=0),)
    assert home.account == replace(HOME.account, id=0)
    assert [credential.kind for credential in home.credentials] == [CredentialKind.GITHUB_OAUTH]


def test_an_export_from_before_accounts_had_weight_and_policy_is_still_read() -> None:
    file = Path(__file__).parents[1] / "fixtures/first_export.seatpool"
    (told,) = unseal(file.read_bytes(), PASSPHRASE)
    assert (told.account.name, told.account.priority, told.account.paused) == ("home", 5, True)
    assert (told.account.weight, told.account.keeping) == (1.0, Keeping.NORMAL)


def test_an_export_shows_how_it_was_sealed_and_nothing_of_what_is_in_it(sealed: bytes) -> None:
    header = json.loads(sealed.partition(b"\n")[0])
    assert (header["format"], header["version"], header["kdf"]) == ("seatpool-export", 1, "argon2id")
    assert (header["memory_kib"], header["iterations"], header["lanes"]) == (65536, 3, 4)
    for secret in (b"FAKESECRET", b"work", b"ann", b"chatgpt", b"github"):
        assert secret not in sealed
    assert is_export(sealed) and sealed.isascii()
    assert seal([WORK], PASSPHRASE) != seal([WORK], PASSPHRASE)


def test_another_passphrase_opens_nothing(sealed: bytes) -> None:
    with pytest.raises(BadExport, match="passphrase is wrong"):
        unseal(sealed, "correct horsf")


def test_an_export_that_was_cut_is_refused_before_any_key_is_made(sealed: bytes) -> None:
    for length in range(0, len(sealed) - 1, 20):
        with pytest.raises(BadExport, match=r"truncated|no export"):
            unseal(sealed[:length], PASSPHRASE)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "other"}, "no export of seatpool"),
        ({"version": 2}, "newer seatpool"),
        ({"salt": "AAAA"}, "damaged"),
        ({"nonce": 5}, "damaged"),
        ({"memory_kib": 1024 * 1024 * 64}, "damaged"),
        ({"iterations": 0}, "damaged"),
        ({"lanes": "4"}, "damaged"),
        ({"memory_kib": 8}, "damaged"),
        ({"length": 1}, "truncated"),
        ({"iterations": 4}, "passphrase is wrong, or the export was altered"),
        ({"remark": "mine"}, "passphrase is wrong, or the export was altered"),
    ],
)
def test_a_header_that_was_changed_is_refused(sealed: bytes, change: dict[str, object], says: str) -> None:
    line, _, body = sealed.partition(b"\n")
    header = json.dumps({**json.loads(line), **change}, separators=(",", ":")).encode()
    with pytest.raises(BadExport, match=says):
        unseal(header + b"\n" + body, PASSPHRASE)


def test_a_body_that_was_changed_is_refused(sealed: bytes) -> None:
    swapped = sealed[:-10] + (b"A" if sealed[-10:-9] != b"A" else b"B") + sealed[-9:]
    with pytest.raises(BadExport, match="altered"):
        unseal(swapped, PASSPHRASE)
    with pytest.raises(BadExport, match="truncated"):
        unseal(sealed[:-10] + b"*" + sealed[-9:], PASSPHRASE)


def test_an_export_is_silent_about_its_tokens() -> None:
    assert "FAKESECRET" not in repr(WORK)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\x00\xff", b'{"format":"seatpool-export"'])
def test_a_foreign_file_is_no_export(content: bytes) -> None:
    with pytest.raises(BadExport):
        unseal(content, PASSPHRASE)
