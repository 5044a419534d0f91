"""What programs say that refuse the proxy's certificate, or do not find the proxy, and what it means.

Some of them hide the cause. The words are those of real programs, and the tests hear them again: those of each row that
a program which is here can be made to say. `certs-howto.md` has the same table.
"""

import msgspec


class Words(msgspec.Struct, frozen=True):
    """Of one program, or of all that are made like it."""

    program: str
    said: str
    """A part of what can be read; case does not matter."""
    means: str
    """With the commands that mend it."""

    def are_in(self, text: str) -> bool:
        """Whether somebody has read this."""
        return self.said.lower() in text.lower()

    @property
    def row(self) -> str:
        """As a table in Markdown has it."""
        return f"| {self.program}: `{self.said}` | {self.means} |"


_FILE = "it does not trust the authority"
_DATE = "the authority's time is over, or this machine's clock is wrong: `seatpool doctor`"
_BOUNDS = "the authority is not for this host, and the program does well to refuse: `seatpool doctor`"
_DEAD = "nothing listens where its proxy should be: `seatpool run`, or take its settings back: `seatpool setup --undo`"
_NODE = "Copilot's language server, Node, VS Code's extensions, opencode"
_NODE_FILE = "NODE_EXTRA_CA_CERTS, or the system's store: `seatpool setup`, `seatpool ca trust`"

WORDS = (
    Words(
        "Codex",
        "workspace routing discovery failed",
        f"after some 20 seconds: {_FILE} (`seatpool setup codex`), or nothing listens where its proxy should be "
        "(`seatpool run`); it says the same of both, `seatpool doctor` tells them apart",
    ),
    Words("Codex", "Connection failed: error sending request", "the same, in the first seconds, of `codex exec`"),
    Words(
        "Codex",
        "TLS handshake or certificate validation failed",
        f"so says `codex doctor` where {_FILE}: `seatpool setup codex`",
    ),
    Words(
        "Codex",
        "Failed to read CA certificate file",
        "its `.env` names a file that is gone, and it reaches nobody at all: `seatpool setup codex`",
    ),
    Words(
        "Codex",
        "Proxy URL scheme not supported",
        "HTTPS_PROXY has no `http://` before it: each session loses 6 seconds and its socket: `seatpool setup codex`",
    ),
    Words(
        "Copilot CLI",
        "tls_post_process_server_certificate:certificate verify failed",
        f"{_FILE}: NODE_EXTRA_CA_CERTS: `seatpool setup copilot-cli`; NODE_TLS_REJECT_UNAUTHORIZED=0 does not help",
    ),
    Words(
        "Copilot CLI",
        "Authentication token found but could not be validated",
        "it does not reach api.github.com: nothing listens where its proxy should be, or SSL_CERT_FILE names "
        "seatpool's roots alone: `seatpool doctor`",
    ),
    Words(_NODE, "self-signed certificate in certificate chain", f"{_FILE}: {_NODE_FILE}"),
    Words(
        _NODE,
        "unable to verify the first certificate",
        f"the same, where the proxy uses another authority (`confdir`): {_NODE_FILE}",
    ),
    Words("curl", "SSL certificate problem", f"{_FILE}: `--cacert`, or the system's store: `seatpool ca trust`"),
    Words(
        "curl of Windows", "SEC_E_UNTRUSTED_ROOT", f"{_FILE}: `--cacert`, or the system's store: `seatpool ca trust`"
    ),
    Words(
        "curl of Windows",
        "CRYPT_E_NO_REVOCATION_CHECK",
        "it trusts the authority, and asks for a list of what was revoked, as no other program does; there is none: "
        "`--ssl-revoke-best-effort`; `seatpool doctor` tells whether all else is well",
    ),
    Words("curl of Windows", "CERT_TRUST_REVOCATION_STATUS_UNKNOWN", "the same, with `--cacert`"),
    Words(
        "Python",
        "CERTIFICATE_VERIFY_FAILED",
        f"{_FILE}: SSL_CERT_FILE, or the system's store: `seatpool ca trust`; with requests REQUESTS_CA_BUNDLE alone",
    ),
    Words(
        "Chromium, and editors made of it",
        "ERR_CERT_AUTHORITY_INVALID",
        f"{_FILE}: the NSS database (Linux) or the system's store: `seatpool ca trust`, and start it again",
    ),
    Words(
        "Go, gh",
        "x509: certificate signed by unknown authority",
        f"{_FILE}: SSL_CERT_FILE (Linux), or the system's store: `seatpool ca trust`",
    ),
    Words("Java, JetBrains", "PKIX path building failed", f"{_FILE}: the system's store: `seatpool ca trust`"),
    Words("all of them", "certificate has expired", _DATE),
    Words("Chromium, and editors made of it", "ERR_CERT_DATE_INVALID", _DATE),
    Words("OpenSSL, curl, Python", "permitted subtree violation", _BOUNDS),
    Words("Chromium, and editors made of it", "ERR_CERT_INVALID", _BOUNDS),
    Words(
        "seatpool, in a 502 and in its log",
        "certificate-not-trusted",
        "it does not trust what answers in the upstream's place: behind a company's own interception name its "
        "authority: `seatpool run -- --set ssl_verify_upstream_trusted_ca=FILE`",
    ),
    Words(
        "seatpool on macOS, in a 502 and in its log",
        "No route to host",
        "of a machine in your own network: macOS 15 and newer keep a service from those, and nothing that Terminal or "
        "SSH starts: System Settings > Privacy & Security > Local Network, or `seatpool service remove` and "
        "`seatpool run`",
    ),
    Words("Go, Java, Python", "connection refused", _DEAD),
    Words("curl, git", "Failed to connect to 127.0.0.1", _DEAD),
    Words(_NODE, "ECONNREFUSED", _DEAD),
    Words("Chromium, and editors made of it", "ERR_PROXY_CONNECTION_FAILED", _DEAD),
)


def explained(text: str) -> tuple[Words, ...]:
    """What can be said about words that a person has read."""
    return tuple(each for each in WORDS if each.are_in(text))
