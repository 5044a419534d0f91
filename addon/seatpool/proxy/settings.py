"""What the options come to: the policy of the service, the limits of an attempt, where the database is."""

import os
from urllib.parse import quote

from mitmproxy import options
from mitmproxy.proxy import mode_specs

from seatpool.core import fallback
from seatpool.core.affinity import Sticking
from seatpool.core.fastmode import FastMode
from seatpool.core.policy import Policy
from seatpool.core.provenance import Moving
from seatpool.core.strategy import Dormancy, Strategy
from seatpool.proxy.layers.limits import Limits
from seatpool.service.network.transport import TransportSettings


def policy_of(opts: options.Options) -> Policy:
    """The policy that the options describe."""
    learn = opts.pool_learn and opts.pool_on_failure == "passthrough"  # `block` keeps the editor's own login out
    return Policy(
        max_attempts=opts.pool_max_attempts,
        replay_unanswered=opts.pool_replay_unanswered,
        rotate_on_limit=opts.pool_rotate_on_limit,
        strategy=Strategy(opts.pool_strategy),
        affinity=Sticking(opts.pool_affinity),
        affinity_strength=float(opts.pool_affinity_strength),
        dormancy=Dormancy(opts.pool_dormant_windows),
        learn=learn,
        max_in_flight=opts.pool_max_in_flight,
        max_wait_s=float(opts.pool_max_wait_s),
        poll_usage=opts.pool_usage_poll,
        union_models=opts.pool_models == "union",
        fallback=fallback.read(opts.pool_model_fallback),
        fast_mode=FastMode(opts.pool_fast_mode),
        moving=Moving(opts.pool_move_conversations),
        ledger_days=opts.pool_ledger_days,
        notify_desktop=opts.pool_notify == "desktop",
        webhook=opts.pool_webhook,
        otlp_endpoint=opts.pool_otlp_endpoint,
    )


def limits_of(opts: options.Options) -> Limits:
    """How long an attempt may take."""
    hold_s = float(opts.pool_hold_s)
    return Limits(
        connect_s=float(opts.pool_connect_timeout_s),
        header_s=float(opts.pool_header_timeout_s),
        hold_s=hold_s,
        hold_bytes=opts.pool_hold_bytes if hold_s else 0,
    )


def database_of(opts: options.Options) -> str:
    """What to open: the option, else the environment, else nothing (the store knows its default)."""
    return opts.pool_db or os.environ.get("SEATPOOL_DB", "")


def transport_of(opts: options.Options) -> TransportSettings:
    """Side calls reach the world as the proxy's own connections do."""
    proxies = (mode_specs.ProxyMode.parse(mode) for mode in opts.mode)
    upstream = next((m for m in proxies if isinstance(m, mode_specs.UpstreamMode)), None)
    return TransportSettings(
        trusted_ca=opts.ssl_verify_upstream_trusted_ca,
        trusted_dir=opts.ssl_verify_upstream_trusted_confdir,
        upstream_proxy=_url(upstream, opts.upstream_auth or "") if upstream is not None else None,
    )


def _url(proxy: mode_specs.UpstreamMode, login: str) -> str:
    host, port = proxy.address
    user, _, password = (quote(part, safe="") for part in login.partition(":"))
    who = f"{user}:{password}@" if user else ""
    return f"{proxy.scheme}://{who}[{host}]:{port}" if ":" in host else f"{proxy.scheme}://{who}{host}:{port}"
