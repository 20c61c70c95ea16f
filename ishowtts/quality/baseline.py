"""The regression gate: measures of clips are stored as a baseline, and later clips are compared with them.

A baseline has measures and cepstra of each clip; the cepstra show a change of sound that no other measure shows. Speed
is the processor time of an utterance divided by that of a fixed computation next to it, the least of several rounds, so
that other load on the machine affects both.
"""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ishowtts._engine import VERSION
from ishowtts.errors import ConfigError

from . import timbre
from .clips import Clip
from .measure import MEASURES, Row, interval
from .report import plain

if TYPE_CHECKING:
    from ishowtts.engine import Engine

FORMAT = 1
SOUND_DB = 0.25
"""Limit of the median mel-cepstral distortion against the stored clips, in dB.

Another precision causes up to 0.2 dB, another time grid 0.7 dB or more.
"""
CLIP_DB = 2.0
"""Limit of the distortion of a single clip, in dB; another seed or lost words exceed it."""
LENGTH = 0.05
"""Limit of the change of a clip's length, as a share of it."""
LEVEL_DB = 1.0
"""Limit of the change of the median loudness, in LU."""
SLOWER = 0.12
"""Limit of the increase of processor time, as a share of the stored time."""
LOSSES = {"mos": 0.15, "wer": 0.1, "similarity": 0.03}
"""Limits of mean losses of measures; the 95 % interval of the loss must also exclude zero."""
ROUNDS = 3
"""Number of times that each sentence is spoken to time it."""
STORED = ("listener", "wer", "cer", "similarity", "mos", "lufs", "seconds", "speed")
"""Columns of a row that a baseline has."""


class Alarm(NamedTuple):
    """A change for the worse: its kind ("sound", "length", …), and a sentence with figure and limit."""

    kind: str
    sentence: str


def work_unit() -> float:
    """Processor seconds of a fixed computation, some milliseconds of Fourier transforms on one thread."""
    x = np.linspace(0, 1, 1 << 15)
    before = time.thread_time()
    for _ in range(8):
        np.fft.irfft(np.fft.rfft(x))
    return time.thread_time() - before


def spoken(engine: Engine, sentences: Mapping[str, str], **options: Any) -> Iterable[tuple[Clip, Row]]:
    """Speak sentences with seeds from 0 on; each clip with its `speed`, `rtf` and `first_audio`.

    `speed`: processor seconds for a second of audio, in units of `work_unit`. The engine should have one thread,
    because waiting threads use processor time too. `rtf`: seconds that passed for a second of audio; `first_audio`:
    seconds until the first of it, both of the best of `ROUNDS`. `options`: of `Engine.speak`.
    """
    engine.speak(next(iter(sentences.values())), seed=0, **options)  # the first utterance of a process is slower
    for seed, (name, text) in enumerate(sentences.items()):
        speeds, factors, firsts = [], [], []
        for _ in range(ROUNDS):
            unit = work_unit()
            began, before = time.perf_counter(), time.process_time()
            speech = engine.speak(text, seed=seed, **options)
            took, passed = time.process_time() - before, time.perf_counter() - began
            factors.append(passed / max(speech.seconds, 1e-3))
            firsts.append(speech.timings["first_audio"])
            speeds.append(took / max(speech.seconds, 1e-3) / min(unit, work_unit()))
        yield Clip(name, speech.samples, speech.sample_rate, text), {
            "speed": min(speeds), "rtf": min(factors), "first_audio": min(firsts),
        }  # fmt: skip


def _pack(values: timbre.Array) -> str:
    return base64.b64encode(values.astype("<f2").tobytes()).decode()


def _unpack(text: str) -> timbre.Array:
    return np.frombuffer(base64.b64decode(text), "<f2").reshape(-1, timbre.CEPSTRA).astype(np.float64)


def store(path: Path, rows: Sequence[Row], clips: Sequence[Clip]) -> None:
    """Write a baseline of clips and their measures; the file is replaced whole."""
    stored = {}
    for row, clip in zip(rows, clips, strict=True):
        faults = [name for name in str(row.get("wrong", "")).split(", ") if name]
        values = {name: row[name] for name in STORED if row.get(name) is not None}
        stored[clip.name] = {"text": clip.text, **values, "faults": faults, "cepstra": _pack(timbre.cepstra(clip))}
    part = path.with_name(path.name + ".part")
    part.write_text(
        json.dumps(plain({"format": FORMAT, "ishowtts": VERSION, "clips": stored}), indent=1) + "\n", encoding="utf-8"
    )
    part.replace(path)


def load(path: Path) -> dict[str, dict[str, Any]]:
    """The clips of a baseline by name. ConfigError: the file is missing, unreadable or no baseline."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise ConfigError(
                f"baseline: {path} has format {data['format']}, this version reads {FORMAT}", field="baseline"
            )
        clips: dict[str, dict[str, Any]] = data["clips"]
        for stored in clips.values():
            _unpack(stored["cepstra"])
        return clips
    except FileNotFoundError:
        raise ConfigError(
            f"baseline: there is no {path}; --store makes it", status="ENOTFOUND", field="baseline"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"baseline: {path} is no baseline: {error}", field="baseline") from None


def compare(stored: Mapping[str, Mapping[str, Any]], rows: Sequence[Row], clips: Sequence[Clip]) -> list[Alarm]:
    """The changes for the worse against the baseline; clips are paired by name."""
    now = {clip.name: (row, clip) for row, clip in zip(rows, clips, strict=True)}
    alarms = [Alarm("missing", f"{name} is missing") for name in stored if name not in now]
    pairs = [(name, stored[name], *now[name]) for name in stored if name in now]
    distances = {}
    for name, before, row, clip in pairs:
        a, b = timbre.cepstra(clip), _unpack(before["cepstra"])
        distances[name] = timbre.cepstral_distance(a, b)
        if distances[name] > CLIP_DB:
            alarms.append(Alarm("sound", f"{name} sounds different: {distances[name]:.2f} dB, limit {CLIP_DB:g} dB"))
        if abs(clip.seconds / before["seconds"] - 1) > LENGTH:
            lengths = f"{clip.seconds:.2f} s, it was {before['seconds']:.2f} s, limit {LENGTH:.0%}"
            alarms.append(Alarm("length", f"{name} has another length: {lengths}"))
        new = [fault for fault in str(row.get("wrong", "")).split(", ") if fault and fault not in before["faults"]]
        alarms += [Alarm("artifact", f"{name} has a new fault: {fault}") for fault in new]
    if distances and (median := float(np.median(list(distances.values())))) > SOUND_DB:
        alarms.append(Alarm("sound", f"everything sounds different: {median:.2f} dB, limit {SOUND_DB:g} dB"))

    def differences(name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        heard_alike = [pair for pair in pairs if name != "wer" or pair[1].get("listener") == pair[2].get("listener")]
        both = [(row.get(name), before.get(name)) for _, before, row, _ in heard_alike]
        values = np.array([pair for pair in both if None not in pair], np.float64).reshape(-1, 2)
        values = values[np.isfinite(values).all(axis=1)]
        return np.asarray(values[:, 0] / values[:, 1] if name == "speed" else values[:, 0] - values[:, 1])

    level = differences("lufs")
    if len(level) and abs(median := float(np.median(level))) > LEVEL_DB:
        alarms.append(Alarm("level", f"the level changed by {median:+.1f} dB, limit {LEVEL_DB:g} dB"))
    for name, limit in LOSSES.items():
        loss = interval(-MEASURES[name].better * differences(name))
        if loss.n > 1 and loss.mean > limit and loss.low > 0:
            sentence = f"{name} is worse by {loss.mean:.3f} ({loss.low:.3f} to {loss.high:.3f}), limit {limit:g}"
            alarms.append(Alarm("quality", sentence))
    speed = differences("speed")
    slower = float(np.median(speed)) - 1 if len(speed) else math.nan
    if slower > SLOWER:
        alarms.append(Alarm("speed", f"speech takes {slower:.0%} longer, limit {SLOWER:.0%}"))
    return alarms
