"""What programs say, in full, and that the table knows it. The tests with real programs hear some of it again."""

import pytest

from seatpool.setup.doctor.words import WORDS, explained

HEARD = (
    ("Codex", "Error: thread/start failed: workspace routing discovery failed"),
    ("Codex", "Proxy URL scheme not supported"),
    ("Copilot CLI", "Authentication token found but could not be validated"),
    ("Copilot's language server", "unable to verify the first certificate, see gh.io/copilot-network-errors"),
    ("Node", "Error: self-signed certificate in certificate chain { code: 'SELF_SIGNED_CERT_IN_CHAIN' }"),
    ("curl", "curl: (60) SSL certificate problem: unable to get local issuer certificate"),
    ("Python", "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate ch"),
    ("Chromium", "net::ERR_CERT_AUTHORITY_INVALID"),
    ("Go", "tls: failed to verify certificate: x509: certificate signed by unknown authority"),
    ("Java", "sun.security.validator.ValidatorException: PKIX path building failed"),
    ("any", "certificate has expired"),
    ("OpenSSL", "permitted subtree violation"),
)


@pytest.mark.parametrize(("program", "text"), HEARD)
def test_what_is_heard_is_explained(program: str, text: str) -> None:
    assert [each.program for each in explained(text) if each.program.startswith(program)]


def test_every_explanation_names_a_way() -> None:
    assert [each.said for each in WORDS if "`" not in each.means] == []
    assert explained("connection refused") == ()
