"""What was said of options before they were known: it is read, or it is told how it is meant."""

from collections.abc import Sequence
from typing import Any

import pytest
from mitmproxy import optmanager

from seatpool.proxy.deferred import settle, unheard
from seatpool.proxy.options import OPTIONS

WHETHER = "say one of: true, false"


def settled(*sets: str, yaml: str = "") -> tuple[optmanager.OptManager, list[str]]:
    """As mitmdump comes to it; a script before us has an option as well."""
    opts = optmanager.OptManager()
    opts.add_option("other_flag", bool, False, "")
    opts.set(*sets, defer=True)
    optmanager.load(opts, yaml)
    for option in OPTIONS:
        opts.add_option(option.name, option.typespec, option.default, option.help, option.choices)
    opts.add_option("other_later", Sequence[str], [], "")
    problems = list(settle(opts))
    opts.process_deferred()
    return opts, problems


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        *((f"pool_rotate_on_limit={word}", WHETHER) for word in ("False", "0", "maybe")),
        ("pool_learn=yes", WHETHER),
        ("pool_page_port=80a", "say a port from 1 to 65535, or 0 for none"),
        ("pool_max_attempts=abc", "say a number from 1 to 10"),
        ("pool_max_attempts=", "say a number from 1 to 10"),
        ("pool_on_failure", "say one of: passthrough, block"),
        ("pool_on_failur=block", "there is no such option; the nearest is pool_on_failure"),
        ("pool_speed=11", "there is no such option; the nearest is pool_"),
        ("pool-learn=false", "there is no such option; the nearest is pool_learn"),
        ("pol_on_failure=block", "there is no such option; the nearest is pool_on_failure"),
    ],
)
def test_a_slip_is_told_with_how_it_is_meant_and_is_not_left_to_mitmproxy(said: str, problem: str) -> None:
    opts, problems = settled(said, "pool_strategy=drain")
    (told,) = problems
    assert told.startswith(said.partition("=")[0]) and problem in told
    assert (opts.pool_strategy, opts.deferred) == ("drain", {})


@pytest.mark.parametrize(
    ("yaml", "name", "value"),
    [
        ("pool_max_wait_s: 10", "pool_max_wait_s", "10"),
        ("pool_hold_s: 1.5", "pool_hold_s", "1.5"),
        ("pool_notify: off", "pool_notify", "off"),
        ("pool_person: 1001", "pool_person", "1001"),
        ("pool_learn: false", "pool_learn", False),
        ("pool_learn: 'false'", "pool_learn", False),
        ("pool_max_attempts: '4'", "pool_max_attempts", 4),
        ("pool_model_fallback: 'a: b'", "pool_model_fallback", ["a: b"]),
        ("pool_model_fallback: ['a: b', 'c: d']", "pool_model_fallback", ["a: b", "c: d"]),
    ],
)
def test_a_file_may_say_it_with_quotes_or_without(yaml: str, name: str, value: Any) -> None:
    opts, problems = settled(yaml=yaml)
    assert (getattr(opts, name), problems) == (value, [])


@pytest.mark.parametrize(
    ("yaml", "told"),
    [
        ("pool_learn: 3", f"pool_learn=3: {WHETHER}"),
        ("pool_learn:", f"pool_learn=: {WHETHER}"),
        ("pool_max_attempts: true", "pool_max_attempts=true: say a number from 1 to 10"),
        ("pool_max_attempts: 2.5", "pool_max_attempts=2.5: say a number from 1 to 10"),
        ("pool_max_wait_s: true", "pool_max_wait_s=true: say seconds from 0 (not at all) to 600, such as 7.5"),
        ("pool_db: [s3cr3t]", "pool_db: say one text"),
        ("pool_model_fallback: [{a: b}]", "pool_model_fallback: say a list of texts, each in quotes"),
    ],
)
def test_what_a_file_says_in_another_kind_is_told_as_well(yaml: str, told: str) -> None:
    assert settled(yaml=yaml)[1] == [told]


def test_what_is_said_twice_is_told_without_what_it_was() -> None:
    assert settled("pool_db=s3cr3t", "pool_db=other")[1] == ["pool_db is set 2 times: say it once"]


def test_options_of_other_scripts_are_read_as_ever_or_left_to_those_that_come_later() -> None:
    opts, problems = settled("other_later=a", "other_later=b", "strategy=drain", "learn=no")
    assert (opts.other_later, problems) == (["a", "b"], [])
    assert opts.deferred.keys() == {"strategy", "learn"}, "perhaps of a script that is loaded after us"


def test_a_slip_in_another_scripts_option_does_not_keep_ours_from_being_read() -> None:
    """mitmproxy tries it again with every script that comes."""
    opts = optmanager.OptManager()
    opts.set("other_flag=maybe", "pool_learn=false", defer=True)
    for name in ("other_flag", "pool_learn"):
        opts.add_option(name, bool, True, "")
    (told,) = settle(opts)
    assert told.startswith("Failed to parse option other_flag")
    opts.process_deferred()
    assert opts.pool_learn is False


def test_a_name_that_nobody_knows_is_left_to_be_told_but_for_those_of_mitmproxys_other_tools() -> None:
    """As mitmproxy has renamed `ssl_version_server`; what a later script adds is known by then."""
    yaml = "ssl_version_server: secure\nweb_password: FAKESECRET\nconsole_layout: single\nother_later: [x]\n"
    opts, problems = settled("dumper_filter=~u x", yaml=yaml)
    assert (problems, unheard(opts)) == ([], ["dumper_filter", "ssl_version_server"])
