"""`ishowtts traces`: send a span for each request in a server's log to OpenTelemetry.

    ishowtts-server --verbose --set server.log_format=json 2>&1 | ishowtts traces

The log is read from standard input, and so is that of a service: `journalctl -u ishowtts -o cat -f`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from . import tracing
from ._engine import VERSION
from .options import Parser

ENDPOINT = "http://127.0.0.1:4318"
_REQUEST = re.compile(
    r"(?P<route>\w+) (?P<status>\d+)(?P<cut> \(cut off\))? (?P<ms>[\d.]+) ms"
    r"(?: 00-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2}))?"
)
"""The line of a request that has ended; behind it the caller's `traceparent`."""
_SPOKEN = re.compile(
    r"spoken by (?P<voice>\S*): seed (?P<seed>\d+), queue (?P<queue>[\d.]+), text (?P<text>[\d.]+), "
    r"first audio (?P<first_audio>[\d.]+), model (?P<model>[\d.]+), audio (?P<audio>[\d.]+) s"
)
_KEPT = 1000
"""Largest number of speeches whose request has not ended."""


class Exporter:
    """Makes spans of lines of a log. `provider`: of OpenTelemetry's SDK."""

    def __init__(self, provider: Any) -> None:
        self._tracer = provider.get_tracer(tracing.SERVICE, VERSION)
        self._spoken: dict[str, dict[str, Any]] = {}
        self.spans = 0

    def take(self, line: str) -> None:
        """Make a span, where the line ends a request; lines of other kinds are passed over."""
        try:
            entry = json.loads(line)
            when = datetime.fromisoformat(entry["time"]).timestamp()
            request_id, message = str(entry["request_id"]), str(entry["message"])
        except (ValueError, KeyError, TypeError):
            return
        if found := _SPOKEN.fullmatch(message):
            seconds = {name: float(found[name]) for name in ("queue", "text", "first_audio", "model", "audio")}
            self._spoken[request_id] = {"voice": found["voice"], "seed": int(found["seed"]), **seconds}
            while len(self._spoken) > _KEPT:
                self._spoken.pop(next(iter(self._spoken)))
        elif found := _REQUEST.fullmatch(message):
            self._span(found, request_id, when)

    def _span(self, found: re.Match[str], request_id: str, ended: float) -> None:
        from opentelemetry import trace
        from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

        context = None
        if found["trace"]:
            parent = SpanContext(
                int(found["trace"], 16), int(found["parent"], 16), True, TraceFlags(int(found["flags"], 16))
            )
            context = trace.set_span_in_context(NonRecordingSpan(parent))
        begun = ended - float(found["ms"]) / 1e3
        status = int(found["status"])
        span = self._tracer.start_span(
            found["route"],
            context,
            SpanKind.SERVER,
            {"http.response.status_code": status, "ishowtts.request_id": request_id},
            start_time=_nanoseconds(begun),
        )
        if (spoken := self._spoken.pop(request_id, None)) is not None:
            span.set_attributes(tracing.attributes(spoken))  # type: ignore[arg-type]
            span.add_event("first audio", timestamp=_nanoseconds(begun + spoken["first_audio"]))
        if status >= 500 or found["cut"]:
            span.set_status(StatusCode.ERROR, "the connection was cut off" if found["cut"] else None)
        span.end(_nanoseconds(ended))
        self.spans += 1


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def run(lines: Iterable[str]) -> int:
    """Send the spans of a log and return how many there were. ModuleNotFoundError: the extra is not installed."""
    provider = tracing.provide()
    exporter = Exporter(provider)
    try:
        for line in lines:
            exporter.take(line)
    finally:
        provider.shutdown()  # sends what is left
    return exporter.spans


def parser(prog: str) -> Parser:
    """The argument parser of the command."""
    p = Parser(prog=prog, description="Read a server's log in JSON, at level debug, and send a span for each request.")
    p.add_argument(
        "--endpoint",
        metavar="URL",
        help=f"where OpenTelemetry listens for OTLP by HTTP (default: ${tracing.ENDPOINTS[1]}, else {ENDPOINT})",
    )
    return p


def main(arguments: Sequence[str], prog: str = "ishowtts traces") -> int:
    """Run the command until its input ends; the exit status."""
    options = parser(prog).parse_args(arguments)
    if options.endpoint:
        os.environ.pop(tracing.ENDPOINTS[0], None)
        os.environ[tracing.ENDPOINTS[1]] = options.endpoint
    else:
        os.environ.setdefault(tracing.ENDPOINTS[1], ENDPOINT)
    spans = run(sys.stdin)
    print(f"{prog}: {spans} requests", file=sys.stderr)
    return 0
