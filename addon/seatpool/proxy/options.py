"""The proxy's options: one table of what a person can set, and mitmproxy's own where the pool needs another default."""

from collections.abc import Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Any

import msgspec
from mitmproxy import options, optmanager
from mitmproxy.addonmanager import Loader

from seatpool.core import fallback
from seatpool.core.affinity import Sticking
from seatpool.core.fastmode import FastMode
from seatpool.core.provenance import Moving
from seatpool.core.shown import Showing
from seatpool.core.strategy import Dormancy, Strategy
from seatpool.providers.registry import host_patterns
from seatpool.proxy import listening
from seatpool.setup import authority


class Range(msgspec.Struct, frozen=True):
    """What a number may be, both ends included."""

    least: float
    most: float
    say: str
    """The same to a person."""


class Option(msgspec.Struct, frozen=True):
    """One `--set name=value`."""

    name: str
    typespec: Any
    default: Any
    help: str
    choices: Sequence[str] | None = None
    within: Range | None = None
    """Of a number; a string where it may be a fraction, for which mitmproxy has no type."""


def meant(option: Option) -> str:
    """What may be said of it, to a person."""
    if option.within is not None:
        return option.within.say
    return f"one of: {', '.join(option.choices)}" if option.choices is not None else _MEANT[option.typespec]


_MEANT: Mapping[Any, str] = MappingProxyType(
    {bool: "one of: true, false", int: "a number", str: "one text", Sequence[str]: "a list of texts, each in quotes"}
)
TIMEOUT = Range(0, 3600, "seconds from 0 (never) to 3600, such as 2.5")

OPTIONS: tuple[Option, ...] = (
    Option(
        "pool_db",
        str,
        "",
        "Database of the pool: a SQLite file, or postgresql+psycopg://USER@HOST/NAME. Empty: SEATPOOL_DB, else the"
        " user's data directory.",
    ),
    Option(
        "pool_person",
        str,
        "",
        "Who uses this proxy: only accounts of theirs, shared with them, or everybody's serve. Empty: SEATPOOL_PERSON, "
        "else the system's user name.",
    ),
    Option(
        "pool_on_failure",
        str,
        "passthrough",
        "What happens to a request that the pool cannot serve although no limit stands in its way: it goes on with the "
        "editor's own login, or gets a 503.",
        ("passthrough", "block"),
    ),
    Option(
        "pool_max_attempts",
        int,
        3,
        "How often one request is sent at most (1 to 10).",
        within=Range(1, 10, "a number from 1 to 10"),
    ),
    Option(
        "pool_connect_timeout_s",
        str,
        "4",
        "Seconds after which an attempt to connect is given up (TCP, TLS and a WebSocket's handshake); 0: never.",
        within=TIMEOUT,
    ),
    Option(
        "pool_header_timeout_s",
        str,
        "300",
        "Seconds after which a streamed answer that has not begun is given up; 0: never.",
        within=TIMEOUT,
    ),
    Option(
        "pool_hold_s",
        str,
        "2",
        "Seconds for which the first events of a streamed answer are held back at most, until one means something: a "
        "failure among them goes to another account; 0: never.",
        within=Range(0, 30, "seconds from 0 (never) to 30, such as 2"),
    ),
    Option(
        "pool_hold_bytes",
        int,
        65536,
        "Bytes of them that are held back at most; 0: none.",
        within=Range(0, 16 * 1024 * 1024, "bytes from 0 (none) to 16777216"),
    ),
    Option(
        "pool_replay_unanswered",
        bool,
        False,
        "Send a request that went out whole and got no answer again, on another account. It may have been served.",
    ),
    Option(
        "pool_rotate_on_limit",
        bool,
        True,
        "Replay a request on another account when one is limited. False: the editor sees the limit.",
    ),
    Option(
        "pool_strategy",
        str,
        "quota",
        "Which account is asked first: with the most useful quota now, whose quota resets first (drain), in turn "
        "(round-robin), with the fewest requests in flight (least-busy), of the lowest priority number (priority), or "
        "furthest behind its share (weighted).",
        tuple(Strategy),
    ),
    Option(
        "pool_max_in_flight",
        int,
        0,
        "How many requests of one account are under way at the same time at most; others wait up to ten seconds. 0: as "
        "many as upstream takes, which is learnt.",
        within=Range(0, inf, "how many, or 0 for no bound of yours"),
    ),
    Option(
        "pool_max_wait_s",
        str,
        "10",
        "Seconds that a request waits at most where every account is limited and the first limit ends within them; "
        "shorter where its client is less patient. 0: it is refused at once.",
        within=Range(0, 600, "seconds from 0 (not at all) to 600, such as 7.5"),
    ),
    Option(
        "pool_affinity",
        str,
        "auto",
        "What a conversation's warm prompt cache counts, for five minutes after its last answer: as much as reading it "
        "again would cost (auto), more than any quota of another account (always), or nothing (disabled).",
        tuple(Sticking),
    ),
    Option(
        "pool_move_conversations",
        str,
        Moving.ASK_UPSTREAM.value,
        "What becomes of a request whose contents only one account can read while that one cannot serve: it is told "
        "that account's limit (never), goes to another one without what that one cannot read (repair), or goes there "
        "as it is and is told the limit if it is refused for that (ask-upstream).",
        tuple(Moving),
    ),
    Option(
        "pool_affinity_strength",
        str,
        "1.0",
        "By what the cost of a cold cache is multiplied (0 to 100).",
        within=Range(0, 100, "a number from 0 to 100, such as 0.5"),
    ),
    Option(
        "pool_dormant_windows",
        str,
        "new-session-only",
        "Begin a quota window that begins with its first use, so that it resets the sooner: with requests that have no "
        "warm cache to lose, with any (always), or only when its account's turn comes (disabled).",
        tuple(Dormancy),
    ),
    Option(
        "pool_learn",
        bool,
        True,
        "Let the accounts that your editors are signed in with serve as well, as long as they are signed in. Needs "
        "pool_on_failure=passthrough.",
    ),
    Option(
        "pool_rules",
        str,
        "",
        "Rules that say which accounts may serve what: a TOML file, followed while the proxy runs. Empty: rules.toml "
        "in the user's configuration directory, if there is one.",
    ),
    Option(
        "pool_usage_poll",
        bool,
        True,
        "Ask the issuer for the quota of an account in use where its answers have not told it for three minutes, and "
        "of one that has used up its quota where requests miss it.",
    ),
    Option(
        "pool_models",
        str,
        "own",
        "The model list that a Copilot editor gets: its own account's, or with the pooled accounts' models added.",
        ("own", "union"),
    ),
    Option(
        "pool_model_fallback",
        Sequence[str],
        [],
        "Models to ask for, in order, where no account can serve the one that was asked for; MODEL may be a glob. One "
        f'entry for each: "{fallback.EXAMPLE}".',
    ),
    Option(
        "pool_fast_mode",
        str,
        "disabled",
        "Have Codex requests that do not say otherwise served faster, for more of the quota: those of an account that "
        "would have quota left at its reset (auto), or all (always).",
        tuple(FastMode),
    ),
    Option(
        "pool_ledger_days",
        int,
        400,
        "Days for which each request is kept in the record (1 to 3650): when, which account, model, client and "
        "repository, what came of it, its tokens; never a word of it. The sums of each day are kept for good.",
        within=Range(1, 3650, "days from 1 to 3650, such as 90"),
    ),
    Option(
        "pool_notify",
        str,
        "off",
        "Tell on your desktop of what happens while you do not look: a switch because of a limit, nobody left, a "
        "sign-in that is needed, an account that was disabled, certificates that end soon. Each once.",
        ("off", "desktop"),
    ),
    Option(
        "pool_webhook",
        str,
        "",
        "Where the same notices are sent as JSON, with a `text` as Slack takes it: https, or http on this machine. "
        "Empty: nowhere.",
    ),
    Option(
        "pool_otlp_endpoint",
        str,
        "",
        "OpenTelemetry collector that gets a trace of each pooled request over OTLP/HTTP, without a word of it, such "
        "as http://127.0.0.1:4318: https, or http on this machine. Needs opentelemetry-proto. Empty: none.",
    ),
    Option(
        "pool_account_header",
        bool,
        False,
        "Tell the client in the header x-seatpool-account of each pooled answer which account it is from, or about.",
    ),
    Option(
        "pool_client_quota",
        str,
        Showing.UPSTREAM.value,
        "What your editor reads as its quota: the numbers of whatever account has served (upstream), those of the one "
        "that it is signed in with (primary), or what all accounts have left (pool). A refusal's stay.",
        tuple(Showing),
    ),
    Option(
        "pool_websocket",
        str,
        "proxy",
        "Carry WebSockets, or refuse the upgrade (426) so that clients use plain HTTPS.",
        ("proxy", "refuse"),
    ),
    Option(
        "pool_page_port",
        int,
        0,
        "Port on loopback where the page is served as well that the proxy serves at http://seatpool.test/; 0: none.",
        within=Range(0, 65535, "a port from 1 to 65535, or 0 for none"),
    ),
)

BETTER_DEFAULTS: dict[str, Any] = {
    "connection_strategy": "lazy",  # the account decides where to connect, so nothing is opened before it is known
    "upstream_cert": False,  # a foreign name copied from upstream would break our constrained authority
    "listen_host": "127.0.0.1",  # promise: loopback
}


def add_options(loader: Loader) -> None:
    """Declare the options to mitmproxy."""
    for option in OPTIONS:
        loader.add_option(option.name, option.typespec, option.default, option.help, option.choices)


def apply_defaults(opts: options.Options) -> None:
    """Set mitmproxy's own options where the pool needs another value and the person has set none."""
    changes = {name: value for name, value in BETTER_DEFAULTS.items() if not opts.has_changed(name)}
    if not opts.allow_hosts:  # `ignore_hosts` seals some of these as well
        changes["allow_hosts"] = list(host_patterns())
    ours = authority.default_folder()
    if not was_set(opts, "confdir") and (ours / authority.IN_USE).exists():
        changes["confdir"] = str(ours)
    if listening.redirected(opts) and not opts.has_changed("block_global"):
        changes["block_global"] = False  # this machine's own address may be a public one; doors are shut otherwise
    if changes:
        opts.update(**changes)


def was_set(opts: options.Options, name: str) -> bool:
    """Whether a person has set it, be it to its default: `has_changed` does not tell that."""
    return opts._options[name].value is not optmanager.unset  # noqa: SLF001 # as said above


def unset(opts: options.Options, name: str) -> None:
    """As if nobody had set it; for one that has its default's value."""
    opts._options[name].reset()  # noqa: SLF001 # as said above
