"""A cluster of 1 to 1,000 workers, simulated from measured service times; what NATS and a gateway take is measured.

`load`: requests at random moments, at 30 to 98 % of what all workers can do; gateways choose as csrc/cluster does, with
other gateways' work known a beat late. `channels`: live chat, in which each channel plays one clip at a time: a quiet
channel, a raid, a thousand channels. `voices`: how often a voice is not loaded yet. With `--measure`, on this machine:
`broker`: bytes a second through a real nats-server; `beats`: processor time of a real gateway that hears of N workers.

    python benchmarks/cluster_scale.py [--measure] [--machine PART]
"""

from __future__ import annotations

import argparse
import csv
import heapq
import json
import os
import struct
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from common import RESULTS, processor, write_csv

from ishowtts._engine import DEFAULTS

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from nats import Client, Nats
from serving import Server

Row = dict[str, object]
Times = np.ndarray

RNG_SEED = 24
WORKERS = (1, 3, 10, 30, 100, 300, 1000)
LOADS = (0.3, 0.6, 0.8, 0.9, 0.95, 0.98)
WORKERS_OF_A_GATEWAY = 50  # in the simulation there is a gateway for each so many
BEAT_LATE = 0.02  # seconds, csrc/cluster/wire.h: WIRE_NEWS
ARRIVALS = 20_000
CLIP_MEDIAN, CLIP_SPREAD = 2.7, 0.6  # seconds of a chat line, log-normal: the median is that of benchmarks/speech.py
CLIPS_AHEAD = DEFAULTS["chat_prefetch"]
SAMPLE_BYTES, SAMPLE_RATE = 4, 24000  # float32 between a worker and a gateway


class Service:
    """Seconds that a worker takes for a clip, fitted to benchmarks/results/speech.csv: a constant and a slope."""

    def __init__(self, machine: str) -> None:
        with (RESULTS / "speech.csv").open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if machine in row["machine"]]
        rows = [row for row in rows if (row["backend"], row["precision"]) == ("native", "bf16")]
        if not rows:
            raise SystemExit(f"benchmarks/results/speech.csv has no native bf16 of {machine}")
        audio, wall = (np.array([float(row[name]) for row in rows]) for name in ("audio_s", "wall_s"))
        self.slope, self.constant = np.polyfit(audio, wall, 1)

    def __call__(self, audio: Times) -> Times:
        """Of clips of `audio` seconds."""
        return np.maximum(self.constant, 0) + self.slope * audio


def clips(rng: np.random.Generator, n: int) -> Times:
    """Lengths of `n` chat lines in seconds."""
    return np.clip(rng.lognormal(np.log(CLIP_MEDIAN), CLIP_SPREAD, n), 0.4, 15)


# ---- requests at random moments ----


class Dispatch:
    """Assigns as gateways do: to the worker that would finish first, other gateways' work known a beat late."""

    def __init__(self, rng: np.random.Generator, n: int) -> None:
        self.rng = rng
        self.free = np.zeros(n)  # when each worker has done all that it was given
        self.known = np.zeros(n)  # the same, as beats tell it
        self.recent: deque[tuple[float, int, int, float]] = deque()  # moment, gateway, worker, seconds

    def __call__(self, now: float, gateway: int, seconds: float) -> float:
        """When the clip is ready."""
        while self.recent and self.recent[0][0] < now - BEAT_LATE:
            moment, _, worker, own = self.recent.popleft()
            self.known[worker] = max(self.known[worker], moment) + own
        view = np.maximum(self.known - now, 0)
        for _, by, worker, own in self.recent:
            if by == gateway:
                view[worker] += own
        idle = np.flatnonzero(view <= 0)
        best = int(self.rng.choice(idle)) if len(idle) else int(view.argmin())
        self.recent.append((now, gateway, best, seconds))
        self.free[best] = max(self.free[best], now) + seconds
        return float(self.free[best])


def load(service: Service, n: int, share: float) -> Row:
    """Seconds to a clip at `share` of what `n` workers can do."""
    rng = np.random.default_rng(RNG_SEED)
    count = ARRIVALS + 5 * n
    seconds = service(clips(rng, count))
    moments = np.cumsum(rng.exponential(seconds.mean() / (n * share), count))
    gateways = rng.integers(0, -(-n // WORKERS_OF_A_GATEWAY), count)
    assign = Dispatch(rng, n)
    ready = np.array([assign(*one) for one in zip(moments, gateways, seconds, strict=True)])
    waits = (ready - moments)[count // 10 :]  # without the time in which everything is still idle
    return {
        "what": "load", "workers": n, "case": share, "per_s": n * share / seconds.mean(),
        **{f"p{p}_ms": 1000 * np.percentile(waits, p) for p in (50, 99)},
    }  # fmt: skip


# ---- live chat ----


def quiet(rng: np.random.Generator) -> Iterator[tuple[float, int]]:
    """One channel, an hour, six messages a minute."""
    yield from ((float(t), 0) for t in np.sort(rng.uniform(0, 3600, rng.poisson(360))))


def raid(rng: np.random.Generator) -> Iterator[tuple[float, int]]:
    """One channel, ten minutes; after one, 200 messages a second that halve every 40 s."""
    calm = rng.uniform(0, 600, rng.poisson(120))
    storm = 60 + rng.exponential(40 / np.log(2), rng.poisson(200 * 40 / np.log(2)))
    yield from ((float(t), 0) for t in np.sort(np.concatenate([calm, storm[storm < 600]])))


def thousand(rng: np.random.Generator) -> Iterator[tuple[float, int]]:
    """A thousand channels, ten minutes, 500 messages a second by Zipf's law, and a raid in every twentieth channel."""
    n, seconds = 1000, 600
    shares = 1 / np.arange(1, n + 1)
    rates = 500 * shares / shares.sum()
    moments, channels = [], []
    for channel, rate in enumerate(rates):
        own = [rng.uniform(0, seconds, rng.poisson(rate * seconds))]
        if channel % 20 == 0:
            own.append(rng.uniform(0, seconds) + rng.exponential(30, 1000))
        moments.append(np.concatenate(own))
        channels.append(np.full(len(moments[-1]), channel))
    at, of = np.concatenate(moments), np.concatenate(channels)
    order = np.argsort(at, kind="stable")
    yield from ((float(at[i]), int(of[i])) for i in order if at[i] < seconds)


TRACES: dict[str, Callable[[np.random.Generator], Iterator[tuple[float, int]]]] = {
    "quiet channel": quiet, "raid": raid, "thousand channels": thousand,
}  # fmt: skip


class Channel:
    """A queue that keeps the newest messages, clips that are made ahead, and one that plays."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[float, float]] = deque()  # arrival, seconds of audio
        self.made: deque[tuple[float, float, float]] = deque()  # arrival, when its clip is ready, seconds of audio
        self.over = 0.0  # when the last clip has ended
        self.plays = False


def channels(service: Service, n: int, trace: str) -> Row:
    """Live chat on `n` workers: what is read, how long it waited, and how long listeners waited for a worker."""
    rng = np.random.default_rng(RNG_SEED)
    arrivals = list(TRACES[trace](rng))
    lengths = clips(rng, len(arrivals))
    gap, most, expire = (DEFAULTS[f"chat_{name}"] for name in ("gap_seconds", "queue_max", "expire_seconds"))
    workers = [0.0] * n  # when each is free; a clip goes to the first
    all_of: dict[int, Channel] = {}
    events: list[tuple[float, int, int]] = [(t, i, c) for i, (t, c) in enumerate(arrivals)]
    heapq.heapify(events)  # moment, message or -1 (a clip has ended), channel
    waits, late, audio, busy = [], [], 0.0, 0.0
    while events:
        now, i, number = heapq.heappop(events)
        channel = all_of.setdefault(number, Channel())
        if i >= 0:
            channel.waiting.append((now, float(lengths[i])))
            if len(channel.waiting) > most:
                channel.waiting.popleft()
        else:
            channel.plays = False
        while channel.waiting and expire and channel.waiting[0][0] < now - expire:
            channel.waiting.popleft()
        while channel.waiting and len(channel.made) < CLIPS_AHEAD:
            moment, seconds = channel.waiting.popleft()
            own = float(service(np.float64(seconds)))
            ready = max(now, heapq.heappop(workers)) + own
            heapq.heappush(workers, ready)
            channel.made.append((moment, ready, seconds))
            busy += own
        if channel.made and not channel.plays:
            moment, ready, seconds = channel.made.popleft()
            free = max(moment, channel.over + gap) if channel.over else moment
            start = max(free, ready)
            waits.append(start - moment)
            late.append(start - free)
            audio += seconds
            channel.over = start + seconds
            channel.plays = True
            heapq.heappush(events, (channel.over + gap, -1, number))
    seconds = arrivals[-1][0]
    return {
        "what": "channels", "workers": n, "case": trace, "per_s": len(arrivals) / seconds,
        "read": len(waits) / len(arrivals), "busy": busy / seconds / n, "audio_per_s": audio / seconds,
        "waited_p50_s": np.median(waits), "p50_ms": 1000 * np.median(late), "p99_ms": 1000 * np.percentile(late, 99),
    }  # fmt: skip


# ---- voices ----


def voices(kept: int, n: int = 3_000, draws: int = 200_000) -> Row:
    """Of `n` voices that are asked for by Zipf's law, the share of requests whose voice a worker has not loaded."""
    rng = np.random.default_rng(RNG_SEED)
    shares = 1 / np.arange(1, n + 1)
    loaded: OrderedDict[int, None] = OrderedDict()
    missed = 0
    for voice in rng.choice(n, draws, p=shares / shares.sum()).tolist():
        if voice in loaded:
            loaded.move_to_end(voice)
            continue
        missed += 1
        loaded[voice] = None
        if len(loaded) > kept:
            loaded.popitem(last=False)
    return {"what": "voices", "case": kept, "missed": missed / draws}


# ---- what is measured ----


def broker(seconds: float = 3) -> Row:
    """Bytes a second from one connection to another, in messages of 64k samples as workers send them."""
    data = bytes(65536 * SAMPLE_BYTES)
    with Nats() as nats:
        receiver, sender = Client(nats), Client(nats)
        receiver.subscribe("speech")
        over = time.perf_counter() + seconds

        def send() -> None:
            while time.perf_counter() < over:
                sender.publish("speech", data)
            sender.publish("speech", b"end")

        thread = threading.Thread(target=send)
        start = time.perf_counter()
        thread.start()
        received = 0
        while (message := receiver.receive()) != b"end":
            received += len(message)
        wall = time.perf_counter() - start
        thread.join()
        ticks = Path(f"/proc/{nats.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[11:13]
        busy = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return {"what": "broker", "mb_per_s": received / wall / 1e6, "cpu_s_per_gb": busy / (received / 1e9)}


def beat_of(i: int) -> bytes:
    """A beat as a worker sends it, with ten voices and the work of twenty gateways."""
    voice = {"language": "en", "seconds": 8.0, "text": "A sentence. " * 8}
    model = {
        "name": "demo", "backend": "native", "precision": "bf16", "content_hash": "0" * 64, "sample_rate": SAMPLE_RATE,
        "n_fft": 1024, "hop": 256, "spectrum_fft": 1024, "spectrum_hop": 256, "n_mels": 100, "uses_prompt": 1,
    }  # fmt: skip
    head = {
        "type": "beat", "id": f"{i:016x}", "name": f"worker-{i}", "state": "ready", "version": "0.1.0", "labels": {},
        "model": model, "living": 3, "spoken": 1000, "rate": 1000.0, "busy": 10.0,
        "work": {f"{g:016x}": 100.0 for g in range(20)},
        "voices": [{"id": f"voice-{v}", **voice} for v in range(10)],
    }  # fmt: skip
    text = json.dumps(head, separators=(",", ":")).encode()
    return struct.pack("<I", len(text)) + text


def beats(workers: int, per_second: int, seconds: float = 4) -> Row:
    """Share of a processor that a real gateway takes when `workers` send `per_second` beats each."""
    all_beats = [beat_of(i) for i in range(workers)]
    with Nats() as nats:
        sender = Client(nats)
        options = ("--set", "cluster.role=gateway", "--set", f"cluster.url={nats.url}")
        with Server(*options, wait=False) as gateway:
            stat = Path(f"/proc/{gateway.process.pid}/stat")

            def busy() -> float:
                ticks = stat.read_text(encoding="ascii").rsplit(")", 1)[1].split()[11:13]
                return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

            start, at_start, sent = 0.0, 0.0, 0
            for turn in range(int((seconds + 1) * per_second)):
                began = time.perf_counter()
                if turn == per_second:  # the first second is for getting known
                    start, at_start, sent = began, busy(), 0
                for beat in all_beats:
                    sender.publish("ishow.v1.workers", beat)
                sent += workers
                time.sleep(max(0.0, 1 / per_second - (time.perf_counter() - began)))
            wall = time.perf_counter() - start
            share = (busy() - at_start) / wall
    return {
        "what": "beats", "workers": workers, "case": per_second, "per_s": sent / wall, "busy": share,
        "us_per_beat": 1e6 * share * wall / sent, "bytes": len(all_beats[0]),
    }  # fmt: skip


def main() -> None:
    """Simulate, print, write benchmarks/results/cluster_scale.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="measure NATS and a gateway too")
    parser.add_argument("--machine", default=processor(), help="whose service times are used (default: this machine)")
    args = parser.parse_args()
    service = Service(args.machine)
    rows: list[Row] = []

    def note(row: Row) -> None:
        row = {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in row.items()}
        rows.append(row)
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)

    lines = clips(np.random.default_rng(RNG_SEED), 100_000)
    audio, seconds = float(lines.mean()), float(service(lines).mean())
    note({
        "what": "million", "audio_s": audio * 1e6, "worker_hours": seconds * 1e6 / 3600,
        "gb": audio * 1e6 * SAMPLE_RATE * SAMPLE_BYTES / 1e9, "worker_mb_per_s": audio / seconds * 0.096,
    })  # fmt: skip
    for trace in TRACES:
        for n in WORKERS:
            note(channels(service, n, trace))
    for n in WORKERS:
        for share in LOADS:
            note(load(service, n, share))
    for kept in (8, 64, 512):
        note(voices(kept))
    if args.measure:
        note(broker())
        for n, per_second in ((100, 2), (1000, 2), (100, 30), (1000, 10)):
            note(beats(n, per_second))
    write_csv("cluster_scale", rows, by="what")


if __name__ == "__main__":
    main()
