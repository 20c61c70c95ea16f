"""Metrics in Prometheus' text format, with the C server's names.

Requests are counted by route and status, not by path, so that clients cannot create new time series.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from .. import _engine

if TYPE_CHECKING:
    from .._engine import Timings
    from ..engine import Engine

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BOUNDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120)
_COUNTERS = (  # name, help, key of the engine's statistics
    ("submitted", "Utterances accepted by the engine.", "submitted"),
    ("synthesis_seconds", "Seconds inside the model.", "model_seconds"),
    ("audio_seconds", "Seconds of speech made.", "audio_seconds"),
    ("busy_seconds", "Seconds in which the inference thread worked.", "busy_seconds"),
    ("steps", "Steps of the model.", "steps"),
    ("rows", "Rows that entered the scheduler.", "rows"),
    ("retries", "Chunks synthesised again after a bad result.", "retries"),
    ("backend_swaps", "Backends swapped in.", "swaps"),
    ("cache_hits", "Lookups of cached tensors that hit.", "cache_hits"),
    ("cache_misses", "Lookups of cached tensors that missed.", "cache_misses"),
    ("cache_evictions", "Cached tensors that were evicted.", "cache_evictions"),
)
_GAUGES = (
    ("queue_waiting", "Utterances that wait.", "waiting"),
    ("queue_in_flight", "Utterances being spoken.", "in_flight"),
    ("cache_bytes", "Bytes of cached tensors.", "cache_bytes"),
    ("cache_entries", "Cached tensors.", "cache_entries"),
)


@dataclass(frozen=True)
class Gauges:
    """What a server is at this moment. `engine` None: the model is being loaded. `connections`: open ones."""

    engine: Engine | None
    ready: bool
    store_writable: bool
    connections: int


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._own = CollectorRegistry()
        self._requests = Counter(
            "ishowtts_http_requests",
            "Answered requests by endpoint and status.",
            ("endpoint", "status"),
            registry=self._own,
        )
        self._first = Histogram(
            "ishowtts_first_audio_seconds",
            "From the request to the first audio of an utterance.",
            registry=self._own,
            buckets=_BOUNDS,
        )
        self._total = Histogram(
            "ishowtts_speech_seconds",
            "From the request to the last audio of an utterance.",
            registry=self._own,
            buckets=_BOUNDS,
        )

        self._unspoken = Counter("ishowtts_unspoken_words", "Words that the voice could not read.", registry=self._own)

    def request(self, endpoint: str, status: int) -> None:
        """Count an answer of the endpoint; status 0: the client closed the connection before its end."""
        self._requests.labels(endpoint, str(status) if status else "aborted").inc()

    def speech(self, timings: Timings) -> None:
        """Record the times of a finished utterance."""
        self._first.observe(timings["first_audio"])
        self._total.observe(timings["total"])
        self._unspoken.inc(timings["unspoken"][0])

    def text(self, gauges: Gauges) -> bytes:
        """The counters and `gauges` in Prometheus' text format, version 0.0.4."""
        others = CollectorRegistry()
        others.register(_Collector(gauges))
        return generate_latest(self._own) + generate_latest(others)


class _Collector:
    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        gauges = self._gauges
        if gauges.engine is not None:
            yield from _engine_metrics(gauges.engine)
        used = resource.getrusage(resource.RUSAGE_SELF)
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        yield _gauge("ready", "1 when speech is served.", gauges.ready)
        yield _gauge("store_writable", "1 while the state folder can be written.", gauges.store_writable)
        yield _gauge("connections", "Open connections.", gauges.connections)
        yield _gauge("live_handles", "Opaque handles of the library that are alive.", _engine.live_handles())
        yield _gauge("resident_bytes", "Resident memory of the process.", pages * resource.getpagesize())
        yield _counter("cpu_seconds", "Processor time of the process.", used.ru_utime + used.ru_stime)
        build = GaugeMetricFamily("ishowtts_build_info", "The running version.", labels=("version",))
        build.add_metric((_engine.VERSION,), 1)
        yield build


def _engine_metrics(engine: Engine) -> Iterator[Metric]:
    info = engine.info
    stats = {key: float(value) for key, value in engine.stats.items() if isinstance(value, int | float)}
    backend = GaugeMetricFamily(
        "ishowtts_backend_info", "The backend in use.", labels=("backend", "model", "precision")
    )
    backend.add_metric((info["backend"], info["name"], info["precision"]), 1)
    yield backend
    outcomes = CounterMetricFamily("ishowtts_utterances", "Utterances by outcome.", labels=("outcome",))
    for outcome in ("completed", "failed", "cancelled", "refused"):
        outcomes.add_metric((outcome,), stats[outcome])
    yield outcomes
    for name, text, key in _COUNTERS:
        yield _counter(name, text, stats[key])
    for name, text, key in _GAUGES:
        yield _gauge(name, text, stats[key])


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"ishowtts_{name}", text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"ishowtts_{name}", text, value=value)
