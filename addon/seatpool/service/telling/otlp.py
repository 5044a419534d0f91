"""Traces as OTLP has them. Loaded with the first that is sent: the messages are those of `opentelemetry-proto`."""

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from seatpool import __version__
from seatpool.core import tracing
from seatpool.core.tracing import Request, Value


def encode(requests: Iterable[Request]) -> bytes:
    """What a collector gets."""
    told: dict[str, Value] = {"service.name": "seatpool", "service.version": __version__, "process.pid": os.getpid()}
    spans = [span for request in requests for span in _spans(tracing.trace(request))]
    scope = ScopeSpans(scope=InstrumentationScope(name="seatpool", version=__version__), spans=spans)
    resource = ResourceSpans(resource=Resource(attributes=list(_attributes(told))), scope_spans=[scope])
    encoded: bytes = ExportTraceServiceRequest(resource_spans=[resource]).SerializeToString()
    return encoded


def _spans(trace: tracing.Trace) -> Iterator[Span]:
    parent = secrets.token_bytes(8)
    yield _span(trace.id, parent, b"", trace.span)
    for child in trace.children:
        yield _span(trace.id, secrets.token_bytes(8), parent, child)


def _span(trace_id: bytes, span_id: bytes, parent: bytes, told: tracing.Span) -> Span:
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent,
        name=told.name,
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=_nanoseconds(told.begins),
        end_time_unix_nano=_nanoseconds(max(told.begins, told.ends)),
        attributes=list(_attributes(told.attributes)),
        status=Status(code=Status.STATUS_CODE_ERROR) if told.failed is not None else None,
    )


def _attributes(told: Mapping[str, Value]) -> Iterator[KeyValue]:
    for key, value in told.items():
        if isinstance(value, str):
            yield KeyValue(key=key, value=AnyValue(string_value=value))
        elif isinstance(value, int):
            yield KeyValue(key=key, value=AnyValue(int_value=value))
        else:
            yield KeyValue(key=key, value=AnyValue(double_value=value))


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
