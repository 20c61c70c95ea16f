"""The regression gate: what speech was, stored, and every way in which it is worse now.

A baseline holds the measures of each clip and its cepstra, so that another sound is noticed even where no judge minds.
Speed is processor time against that of a fixed piece of work done beside it, the least of several rounds: what else the
machine does falls on both.
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
"""Median mel-cepstral distortion against the stored clips. Another precision makes up to 0.2, another time grid 0.7 and more."""
CLIP_DB = 2.0
"""The same for one clip alone, which another seed or lost words exceed."""
LENGTH = 0.05
"""Part of a clip's length."""
LEVEL_DB = 1.0
SLOWER = 0.12
"""Part of the stored speed."""
LOSSES = {"mos": 0.15, "wer": 0.1, "similarity": 0.03}
"""Mean losses of judged measures; the 95 % interval must lie beyond zero as well."""
ROUNDS = 3
KEPT = ("listener", "wer", "cer", "similarity", "mos", "lufs", "seconds", "speed")


class Alarm(NamedTuple):
    """One thing that is worse: its kind, and a sentence with figure and limit."""

    kind: str
    sentence: str


def work_unit() -> float:
    """Processor seconds of a fixed piece of work (some milliseconds of Fourier transforms, on one thread)."""
    x = np.linspace(0, 1, 1 << 15)
    before = time.thread_time()
    for _ in range(8):
        np.fft.irfft(np.fft.rfft(x))
    return time.thread_time() - before


def spoken(engine: Engine, sentences: Mapping[str, str], **options: Any) -> Iterable[tuple[Clip, Row]]:
    """All sentences spoken, seed 0 up, each with its `speed`: processor time a second of audio, in units of `work_unit`.

    The engine should have one thread: waiting threads cost processor time as well.
    """
    engine.speak(next(iter(sentences.values())), seed=0, **options)  # the first utterance of a process is no measure
    for seed, (name, text) in enumerate(sentences.items()):
        speeds = []
        for _ in range(ROUNDS):
            unit = work_unit()
            before = time.process_time()
            speech = engine.speak(text, seed=seed, **options)
            took = time.process_time() - before
            speeds.append(took / max(speech.seconds, 1e-3) / min(unit, work_unit()))
        yield Clip(name, speech.samples, speech.sample_rate, text), {"speed": min(speeds)}


def _pack(values: timbre.Array) -> str:
    return base64.b64encode(values.astype("<f2").tobytes()).decode()


def _unpack(text: str) -> timbre.Array:
    return np.frombuffer(base64.b64decode(text), "<f2").reshape(-1, timbre.CEPSTRA).astype(np.float64)


def store(path: Path, rows: Sequence[Row], clips: Sequence[Clip]) -> None:
    """Write a baseline, replacing the file at once."""
    kept = {}
    for row, clip in zip(rows, clips, strict=True):
        faults = [name for name in str(row.get("wrong", "")).split(", ") if name]
        values = {name: row[name] for name in KEPT if row.get(name) is not None}
        kept[clip.name] = {"text": clip.text, **values, "faults": faults, "cepstra": _pack(timbre.cepstra(clip))}
    part = path.with_name(path.name + ".part")
    part.write_text(
        json.dumps(plain({"format": FORMAT, "ishowtts": VERSION, "clips": kept}), indent=1) + "\n", encoding="utf-8"
    )
    part.replace(path)


def load(path: Path) -> dict[str, dict[str, Any]]:
    """The clips of a baseline by name; ConfigError when the file is none."""
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
    """What is worse than the baseline; empty when nothing is. Clips are paired by name."""
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
