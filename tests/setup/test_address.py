"""What is shown of a proxy's address never has its password, however that is written."""

import pytest

from seatpool.setup.address import NoProxy, hidden, parse, shown

LOGINS = {
    "http://me:FAKESECRET@corp:3128": "http://me:***@corp:3128",
    "http://me:FAKE/SECRET@corp:3128": "http://me:***@corp:3128",
    "http://me:FAKE@SECRET@corp:3128": "http://me:***@corp:3128",
    "http://me:FAKE SECRET@corp:3128": "http://me:***@corp:3128",
    "http://:FAKESECRET@corp:3128": "http://:***@corp:3128",
    "me:FAKESECRET@corp:3128": "me:***@corp:3128",
    "me:FAKE@SECRET@corp:3128": "me:***@corp:3128",
    "me:/FAKESECRET@corp:3128": "me:***@corp:3128",
}
PLAIN = ("http://corp:3128", "corp:3128", "http://me@corp:3128", "C:/Users/me@corp/x", r"C:\Users\me@corp\x", "a@b")
UNREADABLE = (
    *("me:FAKESECRET@127.0.0.1:8080", "http://me:FAKE/SECRET@127.0.0.1:8080", "http://me:FAKE SECRET@127.0.0.1:8080"),
    *("http//me:FAKESECRET@127.0.0.1:8080", "FAKESECRET@127.0.0.1:8080", "FAKE SECRET:x@127.0.0.1:8080"),
)


@pytest.mark.parametrize(("address", "told"), LOGINS.items())
def test_a_password_is_hidden_alone_and_among_other_words(address: str, told: str) -> None:
    assert shown(address) == told
    for around in ('  "http.proxy": "{}", // mine', "-HTTPS_PROXY={}\n+x", "--proxy={}"):
        assert hidden(around.format(address)) == around.format(told)


@pytest.mark.parametrize("address", PLAIN)
def test_what_has_none_stays_as_it_is(address: str) -> None:
    assert hidden(f"-a = '{address}'  # b") == f"-a = '{address}'  # b"
    if "\\" not in address and "/Users" not in address:
        assert shown(address) == address


@pytest.mark.parametrize("address", UNREADABLE)
def test_of_what_cannot_be_read_nothing_is_shown_that_may_be_a_login(address: str) -> None:
    with pytest.raises(NoProxy) as refused:
        parse(address)
    assert "SECRET" not in str(refused.value)
    assert "'***@127.0.0.1:8080'" in str(refused.value)
