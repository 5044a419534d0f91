"""The table of words; tests with real programs hear most of them (tests/cli, tests/clients, tests/e2e/authority)."""

from seatpool.setup.doctor.words import WORDS, explained


def test_what_somebody_reads_is_found_in_whatever_stands_around_it() -> None:
    said = "net::err_cert_authority_invalid, and then some"
    assert [(each.program, each.said) for each in explained(said)] == [
        ("Chromium, and editors made of it", "ERR_CERT_AUTHORITY_INVALID")
    ]
    assert explained("all is well") == ()


def test_every_explanation_names_a_way() -> None:
    ways = ("`seatpool ", "the same")
    assert [each.said for each in WORDS if not any(way in each.means for way in ways)] == []
    assert len({(each.program, each.said) for each in WORDS}) == len(WORDS)
