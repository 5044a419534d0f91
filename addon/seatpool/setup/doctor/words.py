"""What programs say that refuse the proxy's certificate, and what it means: some of them hide the cause.

The words are those of real programs (codex-observed.md 8, copilot-observed.md 5, and the tests, which hear them again).
"""

import msgspec


class Words(msgspec.Struct, frozen=True):
    """Of one program, or of all that are made like it."""

    program: str
    said: tuple[str, ...]
    """Parts of what can be read, whatever stands between."""
    means: str

    def are_in(self, text: str) -> bool:
        """Whether somebody has read this."""
        lower = text.lower()
        return all(part.lower() in lower for part in self.said)


_FILE = "the program is not told the certificate authority"
_TRUST = "`seatpool ca trust`, or the file that `seatpool ca show` names"

WORDS = (
    Words(
        "Codex",
        ("workspace routing discovery failed",),
        "after 15 seconds: Codex does not trust the authority, and hides it; SSL_CERT_FILE in ~/.codex/.env, or "
        "CODEX_CA_CERTIFICATE in the shell: `seatpool setup codex`",
    ),
    Words(
        "Codex",
        ("proxy url scheme not supported",),
        "HTTPS_PROXY has no `http://`: `seatpool setup codex`",
    ),
    Words(
        "Copilot CLI",
        ("token found but could not be validated",),
        f"{_FILE}: NODE_EXTRA_CA_CERTS: `seatpool setup copilot-cli`",
    ),
    Words(
        "Copilot's language server, Node, VS Code's extensions",
        ("unable to verify the first certificate",),
        f"{_FILE}: NODE_EXTRA_CA_CERTS, or the system's store: {_TRUST}",
    ),
    Words(
        "Node, opencode, VS Code's extensions",
        ("self-signed certificate in certificate chain",),
        f"{_FILE}: NODE_EXTRA_CA_CERTS, or the system's store: {_TRUST}",
    ),
    Words(
        "curl, git",
        ("ssl certificate problem",),
        f"{_FILE}: `--cacert`, SSL_CERT_FILE, or the system's store: {_TRUST}",
    ),
    Words("Python", ("certificate_verify_failed",), f"{_FILE}: SSL_CERT_FILE, or the system's store: {_TRUST}"),
    Words(
        "Chromium, and editors made of it",
        ("err_cert_authority_invalid",),
        "the NSS database (Linux) or the system's store has no such root: `seatpool ca trust`",
    ),
    Words("Go", ("x509: certificate signed by unknown authority",), f"the system's store has no such root: {_TRUST}"),
    Words(
        "Java, JetBrains", ("pkix path building failed",), "the system's store has no such root: `seatpool ca trust`"
    ),
    Words(
        "any of them",
        ("certificate has expired",),
        "the authority's time is over, or this machine's clock is wrong: `seatpool doctor`",
    ),
    Words("Chromium", ("err_cert_date_invalid",), "the same: `seatpool doctor`"),
    Words(
        "OpenSSL, curl, Chromium",
        ("permitted subtree violation",),
        "the authority is not for this host, and the program does well to refuse: `seatpool doctor`",
    ),
)


def explained(text: str) -> tuple[Words, ...]:
    """What can be said about words that a person has read."""
    return tuple(each for each in WORDS if each.are_in(text))
