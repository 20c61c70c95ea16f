"""OpenTelemetry: a span for each speech of a program that traces, and the set-up of a command that shall.

The package opentelemetry is never imported for its own sake: a program that traces has imported it, and a command does
where $OTEL_EXPORTER_OTLP_ENDPOINT says where to send spans.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

from ._engine import VERSION

if TYPE_CHECKING:
    from ._engine import Timings

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Environment variables of OpenTelemetry that say where to send spans."""
SERVICE = "ishowtts"


def begin() -> Any:
    """A span of a speech that begins now, below the current span; None where the program does not trace."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    span = trace.get_tracer(SERVICE, VERSION).start_span("speak")
    return span if span.is_recording() else None


def end(span: Any, timings: Timings, error: BaseException | None = None) -> None:
    """End a span of `begin` with what is known of the speech: voice, seed, seconds; `error`: why it failed."""
    span.set_attributes(attributes(timings))
    if error is not None:
        from opentelemetry.trace import StatusCode

        span.record_exception(error)
        span.set_status(StatusCode.ERROR, str(error))
    span.end()


def attributes(timings: Timings) -> dict[str, Any]:
    """Attributes of a span of a speech."""
    seconds = {f"ishowtts.{name}_seconds": timings[name] for name in ("queue", "text", "first_audio", "model", "audio")}
    return {"ishowtts.voice": timings["voice"], "ishowtts.seed": str(timings["seed"]), **seconds}


def provide() -> Any:
    """Make a provider that sends spans over OTLP by HTTP, as OpenTelemetry's environment variables say.

    ModuleNotFoundError: the extra `traces` is not installed.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    made = Resource.create({"service.version": VERSION} | ({} if _named() else {"service.name": SERVICE}))
    provider = TracerProvider(resource=made)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def set_up() -> None:
    """Let this process send spans, where the environment names an endpoint and the extra `traces` is installed."""
    if any(os.environ.get(name) for name in ENDPOINTS) and _installed():
        from opentelemetry import trace

        trace.set_tracer_provider(provide())  # it sends what is left when the process ends


def _named() -> bool:
    return "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")


def _installed() -> bool:
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False
