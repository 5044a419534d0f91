"""What is refused of the options, with how it is meant."""

from collections.abc import Callable
from math import nan

from mitmproxy import exceptions, options

from seatpool.core import fallback
from seatpool.proxy import listening
from seatpool.proxy.options import OPTIONS, meant
from seatpool.service.telling import traces, webhook
from seatpool.store import BadPerson, StoreUnavailable, located
from seatpool.store.acting.audit import here


def check(opts: options.Options) -> None:
    """Refuse settings that break a promise. Raises `OptionsError` with what is wrong and how to mend it."""
    for refuse in CHECKS:
        problem = refuse(opts)
        if problem is not None:
            raise exceptions.OptionsError(problem)


def _choices(opts: options.Options) -> str | None:
    """mitmproxy itself takes any text: it looks at choices for flags of its command line alone."""
    for option in OPTIONS:
        stated = getattr(opts, option.name)
        if option.choices is not None and stated not in option.choices:
            return f"{option.name}={stated}: say {meant(option)}"
    return None


def _numbers(opts: options.Options) -> str | None:
    for option in OPTIONS:
        stated = getattr(opts, option.name)
        if option.within is not None and not option.within.least <= _number(stated) <= option.within.most:
            return f"{option.name}={stated}: say {meant(option)}"
    return None


def _number(stated: str | float) -> float:
    """Not a number: `nan`, which is within nothing."""
    try:
        return float(stated)
    except ValueError:
        return nan


def _database(opts: options.Options) -> str | None:
    """What names none never will, unlike one that is away."""
    try:
        if opts.pool_db:
            located(opts.pool_db)
    except StoreUnavailable as error:
        return f"pool_db: {error}"
    return None


def _person(opts: options.Options) -> str | None:
    try:
        here(opts.pool_person)
    except BadPerson as error:
        return f"pool_person: {error}"
    return None


def _addresses(opts: options.Options) -> str | None:
    """Neither is shown: an address may hold a secret."""
    for name in ("pool_webhook", "pool_otlp_endpoint"):
        problem = webhook.refusal(getattr(opts, name)) if getattr(opts, name) else None
        if problem is not None:
            return f"{name}: {problem}"
    return None


def _collector(opts: options.Options) -> str | None:
    if not opts.pool_otlp_endpoint:
        return None
    try:
        traces.collectors_headers()
    except ValueError as error:
        return str(error)
    return traces.missing()


def _fallback(opts: options.Options) -> str | None:
    try:
        fallback.read(opts.pool_model_fallback)
    except ValueError as error:
        return f"pool_model_fallback={error}"
    return None


def _insecure(opts: options.Options) -> str | None:
    if not opts.ssl_insecure:
        return None
    return (
        "ssl_insecure (-k): seatpool sends no credential to a server that is not verified; "
        "trust a private CA with ssl_verify_upstream_trusted_ca=FILE instead"
    )


CHECKS: tuple[Callable[[options.Options], str | None], ...] = (
    _choices,
    _numbers,
    _database,
    _person,
    _addresses,
    _collector,
    _fallback,
    _insecure,
    listening.open_door,
    listening.circle,
)
