"""Spans of speech, received as OTLP by HTTP: of programs, of the command line, and of a server's log."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from serving import Server

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra traces is not installed")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PROGRAM = """
import sys
from opentelemetry import trace
from ishowtts import Engine, TextError, tracing

trace.set_tracer_provider(tracing.provide())
with Engine.load("demo", threads=1) as engine, trace.get_tracer("test").start_as_current_span("show"):
    engine.speak("Hi.", "hazel", nfe=1, seed=4)
    with engine.session("kerstin", nfe=1) as session:
        session.write_from(["Guten ", "Abend."])
        for piece in session:
            pass
    try:
        engine.speak("...")
    except TextError:
        pass
"""
SILENT = """
import sys
from ishowtts import Engine
with Engine.load("demo", threads=1) as engine:
    engine.speak("Hi.", nfe=1)
assert "opentelemetry" not in sys.modules
"""


class Receiver:
    """A real OTLP endpoint, as far as traces go: it parses what comes with OpenTelemetry's own messages."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.take(self.path, ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.end_headers()
                self.wfile.write(ExportTraceServiceResponse().SerializeToString())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, path: str, request: ExportTraceServiceRequest) -> None:
        assert path == "/v1/traces"
        for group in request.resource_spans:
            self.services |= {one.value.string_value for one in group.resource.attributes if one.key == "service.name"}
            self.spans += [span for scope in group.scope_spans for span in scope.spans]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def run(receiver: Receiver, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    import os

    surroundings = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    return subprocess.run([sys.executable, *arguments], input=text, capture_output=True, text=True, env=surroundings)


def test_a_program_that_traces_has_a_span_for_each_speech(receiver: Receiver) -> None:
    done = run(receiver, "-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    named = {span.name: span for span in receiver.spans}
    spoken = [span for span in receiver.spans if span.name == "speak"]
    assert len(spoken) == 3 and receiver.services == {"ishowtts"}
    assert all(span.parent_span_id == named["show"].span_id for span in spoken)
    first, session, failed = sorted(spoken, key=lambda span: span.start_time_unix_nano)
    known = attributes(first)
    assert (known["ishowtts.voice"], known["ishowtts.seed"]) == ("hazel", "4")
    assert known["ishowtts.first_audio_seconds"] > 0 and 0.1 < known["ishowtts.audio_seconds"] < 3
    assert attributes(session)["ishowtts.voice"] == "kerstin"
    assert failed.status.code == failed.status.STATUS_CODE_ERROR and failed.events[0].name == "exception"


def test_a_program_that_does_not_trace_loads_nothing(receiver: Receiver) -> None:
    done = run(receiver, "-c", SILENT)
    assert done.returncode == 0 and receiver.spans == [], done.stderr


def test_the_command_line_sends_spans_where_the_environment_says(receiver: Receiver, tmp_path: Any) -> None:
    done = run(receiver, "-m", "ishowtts", "speak", "Hi.", "-o", str(tmp_path / "x.wav"), "--nfe", "1")
    assert done.returncode == 0, done.stderr
    assert [span.name for span in receiver.spans] == ["speak"]


def test_the_log_of_a_server_becomes_spans(receiver: Receiver) -> None:
    with Server("--set", "server.log_format=json", "--set", "server.log_level=debug") as server:
        client = server.client()
        headers = {"X-Request-Id": "t-1", "traceparent": f"00-{TRACE}-{PARENT}-01", "Accept": "audio/wav"}
        assert (
            client.post("/api/tts", json={"text": "Hi.", "seed": 9, "nfe_step": 1}, headers=headers).status_code == 200
        )
        headers = {"X-Request-Id": "t-2", "traceparent": "00-not-a-trace"}
        assert client.post("/api/tts", json={"text": "Hi.", "speed": 9}, headers=headers).status_code == 400
    done = run(receiver, "-m", "ishowtts", "traces", text="not JSON\n" + "".join(server.log))
    assert done.returncode == 0, done.stderr
    spans = {attributes(span)["ishowtts.request_id"]: span for span in receiver.spans}
    assert done.stderr == f"ishowtts traces: {len(receiver.spans)} requests\n"
    spoken, refused = spans["t-1"], spans["t-2"]
    assert (spoken.name, spoken.trace_id.hex(), spoken.parent_span_id.hex()) == ("tts", TRACE, PARENT)
    known = attributes(spoken)
    assert known["http.response.status_code"] == 200 and known["ishowtts.seed"] == "9"
    assert known["ishowtts.voice"] == "hazel" and known["ishowtts.audio_seconds"] > 0.1
    first = spoken.events[0]
    assert first.name == "first audio"
    assert spoken.start_time_unix_nano < first.time_unix_nano <= spoken.end_time_unix_nano + 10**7
    assert attributes(refused)["http.response.status_code"] == 400 and not refused.parent_span_id
