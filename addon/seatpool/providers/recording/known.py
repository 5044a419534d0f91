"""What this version knows of its clients and upstreams, and what a recording has that it does not.

Names of headers, events, codes and members are those that clients were seen with, or that the tables of the providers
name. What is new need not be wrong: it goes through as it is. But nobody has thought of it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from seatpool.providers.codex import errors as codex_errors
from seatpool.providers.copilot import errors as copilot_errors
from seatpool.providers.recording.flows import EVENTS, JSON, Body, Flow
from seatpool.providers.recording.words import names
from seatpool.providers.registry import match, provider_of


class News(msgspec.Struct, frozen=True, order=True):
    """Something that this version does not know."""

    kind: str
    name: str
    where: str
    """Provider and route, or what the request asked for."""


_GENERAL = """
    accept accept-encoding accept-language cache-control connection content-encoding content-length content-type cookie
    date etag expires host keep-alive last-modified location origin pragma priority retry-after server set-cookie
    strict-transport-security te trailer transfer-encoding upgrade user-agent vary via age authorization
    sec-websocket-accept sec-websocket-extensions sec-websocket-key sec-websocket-protocol sec-websocket-version
    sec-fetch-dest sec-fetch-mode sec-fetch-site x-content-type-options x-frame-options content-security-policy
    referrer-policy cross-origin-opener-policy access-control-allow-origin access-control-expose-headers alt-svc nel
    report-to server-timing cf-ray cf-cache-status cf-mitigated x-request-id request-id traceparent tracestate
    if-none-match
"""
_CODEX = """
    chatgpt-account-id originator openai-beta session-id session_id thread-id conversation_id x-client-request-id
    version x-codex-turn-state x-codex-turn-metadata x-codex-window-id x-codex-parent-thread-id x-codex-installation-id
    x-codex-beta-features x-openai-subagent x-openai-memgen-request x-oai-attestation x-codex-routing-hint
    x-openai-fedramp x-openai-account-routing-override x-codex-plan-type x-codex-active-limit x-codex-credits-balance
    x-codex-credits-unlimited x-codex-credits-has-credits x-codex-rate-limit-reached-type x-codex-promo-message
    x-codex-promo-campaign-id x-codex-primary-over-secondary-limit-percent x-oai-request-id x-models-etag openai-model
    openai-version openai-processing-ms openai-organization openai-project x-openai-internal-codex-responses-lite
    x-responsesapi-include-timing-metrics x-reasoning-included x-error-json x-openai-authorization-error
    x-openai-proxy-wasm x-should-retry oai-product-sku x-openai-product-sku
"""
_COPILOT = """
    copilot-integration-id copilot-session-token copilot-vision-request editor-device-id editor-plugin-version
    editor-version openai-intent openai-organization x-agent-task-id x-client-session-id x-client-machine-id
    x-copilot-api-exp-assignment-context x-copilot-service-request-id x-github-api-version x-github-request-id
    x-github-media-type x-github-repository-host x-github-repository-nwo x-github-total-quota-used x-initiator
    x-interaction-id x-interaction-type x-oauth-scopes x-ratelimit-exceeded x-ratelimit-limit x-ratelimit-remaining
    x-ratelimit-reset x-ratelimit-used x-ratelimit-user-retry-after x-vscode-user-agent-library-version vscode-machineid
    vscode-sessionid vscode-abexpid x-copilot-related-plugin-version x-onbehalf-extension-id annotations-enabled
    code-quote-enabled snippy request-hmac x-should-retry x-stainless-retry-count x-stainless-lang
    x-stainless-package-version x-stainless-os x-stainless-arch x-stainless-runtime x-stainless-runtime-version
    x-stainless-helper-method x-stainless-timeout anthropic-version anthropic-beta openai-processing-ms openai-version
    openai-model azureml-model-session x-parent-agent-id x-agent-id copilot-harness-id copilot-language-server-version
    mcp-method mcp-protocol-version mcp-session-id x-mcp-host x-mcp-tools x-mcp-toolsets x-mcp-readonly sdk-context
    x-client-application x-client-feature x-client-source x-copilot-async x-copilot-speculative
"""
HEADERS: Mapping[str, frozenset[str]] = MappingProxyType(
    {"codex": names(_GENERAL + _CODEX), "copilot": names(_GENERAL + _COPILOT)}
)
"""In lower case, by provider; of requests and answers."""
FAMILIES = re.compile(
    r"x-codex-(?:[a-z0-9_]+-)*(?:primary|secondary)-(?:used-percent|window-minutes|reset-at|reset-after-seconds)"
    r"|x-(?:quota-snapshot|usage-ratelimit)-[a-z_]+|x-codex-[a-z0-9_-]+-limit-name|access-control-[a-z-]+|cf-[a-z-]+"
)
"""Headers whose names have a limit's in them."""

_RESPONSES = """
    response.created response.queued response.in_progress response.completed response.incomplete response.failed
    response.cancelled response.output_item.added response.output_item.done response.content_part.added
    response.content_part.done response.output_text.delta response.output_text.done
    response.output_text.annotation.added response.refusal.delta response.refusal.done
    response.reasoning_summary_part.added response.reasoning_summary_part.done response.reasoning_summary_text.delta
    response.reasoning_summary_text.done response.reasoning_text.delta response.reasoning_text.done
    response.function_call_arguments.delta response.function_call_arguments.done
    response.custom_tool_call_input.delta response.custom_tool_call_input.done response.web_search_call.in_progress
    response.web_search_call.searching response.web_search_call.completed response.image_generation_call.in_progress
    response.image_generation_call.generating response.image_generation_call.partial_image
    response.image_generation_call.completed response.metadata response.create error
"""
TYPES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "responses": names(_RESPONSES + " codex.rate_limits keepalive"),
        "messages": names(
            "message message_start message_delta message_stop content_block_start content_block_delta"
            " content_block_stop ping error"
        ),
    }
)
"""Of events and messages, by what the dialect is called; chunks of chat have none."""
DIALECTS: Mapping[str, str] = MappingProxyType(
    {"responses": "responses", "responses-ws": "responses", "messages": "messages", "compact": "responses"}
)


def _codes() -> frozenset[str]:
    return frozenset(
        {name for row in codex_errors.TABLE for name in row.names}
        | {name for row in copilot_errors.TABLE for name in row.names}
    )


CODES = _codes() | names(
    "invalid_request_error not_found_error api_error authentication_error permission_error rate_limit_error"
    " overloaded_error bad_request not_found request_too_large rate_limited service_unavailable unauthorized forbidden"
    " server_error internal_server_error invalid_api_key context_length_exceeded invalid_prompt user_error"
)
_WINDOW = names("used_percent window_minutes resets_at reset_at reset_after_seconds limit_window_seconds")
_DETAILS = names(
    "cached_tokens reasoning_tokens audio_tokens text_tokens image_tokens accepted_prediction_tokens"
    " rejected_prediction_tokens cache_write_tokens thinking_tokens"
)
MEMBERS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "usage": names(
            "input_tokens output_tokens total_tokens prompt_tokens completion_tokens input_tokens_details"
            " output_tokens_details prompt_tokens_details completion_tokens_details cache_read_input_tokens"
            " cache_creation_input_tokens cache_creation service_tier server_tool_use reasoning_tokens"
            " inference_geo"
        ),
        "input_tokens_details": _DETAILS,
        "output_tokens_details": _DETAILS,
        "prompt_tokens_details": _DETAILS,
        "completion_tokens_details": _DETAILS,
        "error": names(
            "type code message param plan_type resets_at resets_in_seconds status eligible_promo rate_limits"
            " rate_limit_reached_type is_retryable agent_mode_limit_exceeded event_id details innererror"
        ),
        "rate_limits": names(
            "primary secondary allowed limit_reached credits plan_type limit_name limit_id additional"
        ),
        "primary": _WINDOW,
        "secondary": _WINDOW,
        "copilot_usage": names("token_details total_nano_aiu model model_usage"),
        "client_metadata": names(
            "x-codex-turn-state x-codex-turn-metadata x-codex-installation-id x-codex-window-id x-openai-subagent"
            " x-codex-parent-thread-id ws_request_header_x_openai_internal_codex_responses_lite"
            " x-codex-ws-stream-request-start-ms session_id thread_id turn_id root_turn_id mcp_attribution"
            " guardian_credits_requested ws_request_header_traceparent"
            " ws_request_header_tracestate traceparent tracestate"
        ),
    }
)
"""Of the objects that our readers look into, by the name that they have in what holds them."""
_HIDES = frozenset({"input", "tools", "content", "properties", "parameters", "arguments", "schema", "output"})
"""Below these stands what people and models say."""


def news(flows: Iterable[Flow]) -> dict[News, int]:
    """What is not known, with how many flows have it; sorted."""
    found: dict[News, int] = {}
    for flow in flows:
        for each in set(_of(flow)):
            found[each] = found.get(each, 0) + 1
    return dict(sorted(found.items()))


def _of(flow: Flow) -> Iterator[News]:
    request = flow.request
    where = f"{flow.provider} {flow.route or request.path}"
    provider = provider_of(request.host)
    if provider is None:
        yield News("host", request.host, flow.provider)
    else:
        upgrade = any(name.lower() == "upgrade" for name, _ in request.headers)
        moves = match(request.method, request.host, request.path, upgrade=upgrade) is not None
        if not moves and not provider.is_known(request.path):
            yield News("path", f"{request.method} {request.host}{request.path}", flow.provider)
    for name in _headers(flow):
        yield News("header", name, where)
    for body in _bodies(flow):
        for document in documents(body):
            yield from (News(kind, name, where) for kind, name in _document(document, DIALECTS.get(flow.route or "")))


def _headers(flow: Flow) -> Iterator[str]:
    known = HEADERS.get(flow.provider, frozenset())
    answers = (answer.headers for answer in flow.answers if not answer.own)
    for fields in (flow.request.headers, *answers):
        for name, _ in fields:
            lower = name.lower()
            if lower not in known and not FAMILIES.fullmatch(lower) and not lower.startswith(":"):
                yield lower


def _bodies(flow: Flow) -> Iterator[Body]:
    yield from (message.body for message in flow.messages if not message.own)
    yield from (answer.body for answer in flow.answers if answer.body is not None and not answer.own)


def documents(body: Body) -> Iterator[Any]:
    """The JSON in a body: all of it, or that of each event."""
    if body.kind == JSON:
        yield body.value
    elif body.kind == EVENTS:
        yield from (value for event in body.value for name, value in event if name == "data")


def _document(document: Any, dialect: str | None) -> Iterator[tuple[str, str]]:
    if not isinstance(document, dict):
        return
    kind, known = document.get("type"), TYPES.get(dialect or "")
    if known is not None and isinstance(kind, str) and kind not in known and "error" not in document:
        yield "event", kind
    yield from _inside(document, depth=0)


def _inside(document: Mapping[str, Any], depth: int) -> Iterator[tuple[str, str]]:
    for name, value in document.items():
        if not isinstance(value, dict):
            continue
        known = MEMBERS.get(name)
        if known is not None:
            yield from (("member", f"{name}.{member}") for member in value if member not in known)
        if name == "error":
            codes = (value.get("code"), value.get("type"))
            yield from (("code", c) for c in codes if isinstance(c, str) and c.partition(":")[0] not in CODES)
        if name not in _HIDES and depth < 4:
            yield from _inside(value, depth + 1)
