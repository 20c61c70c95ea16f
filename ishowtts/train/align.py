"""Forced alignment: every clip's phones and how many mel frames each lasts.

PocketSphinx aligns libflite's own phones: each word enters its dictionary under a name made of its
pronunciation, so the symbols a model learns from are exactly those it is later asked to speak. Where the
speaker pauses between words a "pau" appears, wherever the text's commas are; the closing mark of a sentence
owns the silence after it.
"""

from __future__ import annotations

import functools
import json
import math
import multiprocessing
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from ishowtts.quality.clips import at_rate

SAMPLE_RATE = 24000
HOP = 256
FRAMES_PER_TICK = SAMPLE_RATE / HOP / 100  # PocketSphinx counts in hundredths of a second
LEVEL = 0.1  # RMS of every clip
LEAD, TAIL = 8, 12  # mel frames kept before and after the audible part
SHORTEST_PAUSE = 3  # mel frames; a shorter gap belongs to the phone before it
BEAMS: tuple[dict[str, float], ...] = ({}, {"beam": 1e-80, "pbeam": 1e-80, "wbeam": 1e-60})
AUDIO_SUFFIXES = (".opus", ".flac", ".wav", ".ogg", ".mp3")

Wave = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """One aligned clip.

    `phones` with their durations in mel `frames` (each >= 1), of samples [start, end) of the file brought to
    24 kHz, times `gain`.
    """

    id: str
    path: str
    text: str
    start: int
    end: int
    gain: float
    phones: list[str]
    frames: list[int]


def phones_of(text: str) -> list[tuple[str, int]]:
    """Phones of an English text with the word each belongs to, -1 for pauses and punctuation."""
    from ishowtts._phones import phones

    result: list[tuple[str, int]] = phones(text)
    return result


def read_metadata(data: Path) -> list[tuple[str, Path, str]]:
    """(id, audio file, transcript) of an LJSpeech-like folder.

    `metadata.csv` with `id|transcript` lines, the audio beside it or under `wavs/`.
    """
    rows: list[tuple[str, Path, str]] = []
    for number, line in enumerate((data / "metadata.csv").read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        fields = line.split("|")
        if len(fields) < 2:
            raise ValueError(f"{data / 'metadata.csv'}:{number}: expected 'id|transcript'")
        for folder in (data, data / "wavs"):
            found = next((p for s in AUDIO_SUFFIXES if (p := folder / (fields[0] + s)).is_file()), None)
            if found:
                break
        else:
            raise FileNotFoundError(f"{data / 'metadata.csv'}:{number}: no audio file for {fields[0]!r}")
        rows.append((fields[0], found, fields[-1].strip()))
    return rows


def load_audio(path: Path) -> Wave:
    """Mono float32 at 24 kHz."""
    wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono: Wave = wave.mean(axis=1)
    return mono if rate == SAMPLE_RATE else at_rate(mono, rate, SAMPLE_RATE)


def audible_span(wave: Wave) -> tuple[int, int]:
    """Samples [start, end) from LEAD frames before the first to TAIL frames after the last audible frame."""
    n = len(wave) // HOP
    level = np.sqrt((wave[: n * HOP].reshape(n, HOP) ** 2).mean(axis=1))
    on = np.flatnonzero(level > 0.03 * np.percentile(level, 95))
    if len(on) == 0:
        raise ValueError("the clip is silent")
    return max(0, int(on[0]) - LEAD) * HOP, min(len(wave), (int(on[-1]) + TAIL) * HOP)


def sphinx_phone(name: str) -> str:
    """The CMU phone of one of flite's: no stress, no schwa of its own."""
    bare = name.rstrip("012")
    return "AH" if bare == "ax" else bare.upper()


@functools.cache
def _decoder(level: int) -> Any:
    from pocketsphinx import Decoder

    return Decoder(samprate=16000, lm=None, loglevel="FATAL", **BEAMS[level])


def _sphinx_words(wave: Wave, pronunciations: list[list[str]]) -> list[tuple[str, list[tuple[int, int]]]]:
    """(word, [(start, duration) in ticks of every phone]) of a wave at 24 kHz.

    Silences are words named '<sil>'.
    """
    pcm = (np.clip(at_rate(wave, SAMPLE_RATE, 16000), -1, 1) * 32767).astype("<i2").tobytes()
    names = ["_".join(p).lower() + "_" for p in pronunciations]
    error: Exception | None = None
    for level in range(len(BEAMS)):
        decoder = _decoder(level)
        for name, phones in zip(names, pronunciations, strict=True):
            if decoder.lookup_word(name) is None:
                decoder.add_word(name, " ".join(phones), True)
        try:
            decoder.set_align_text(" ".join(names))
            for stage in range(2):  # words first, then their phones
                if stage:
                    decoder.set_alignment()
                decoder.start_utt()
                decoder.process_raw(pcm, full_utt=True)
                decoder.end_utt()
            words = [(w.name, [(p.start, p.duration) for p in w]) for w in decoder.get_alignment()]
            spoken = [(n, len(p)) for n, p in words if not n.startswith(("<", "[", "("))]
            if spoken != [(n, len(p)) for n, p in zip(names, pronunciations, strict=True)]:
                raise RuntimeError("the aligner returned other words")
            return words
        except RuntimeError as e:
            error = e
    raise RuntimeError(f"no alignment: {error}")


def lay_out(
    symbols: list[tuple[str, int]], words: list[tuple[str, list[tuple[int, int]]]], total: int
) -> tuple[list[str], list[int]]:
    """Phones and their frames (sum = `total`) from flite's symbols and the aligner's words."""
    bounds: list[tuple[list[str], float]] = []  # symbols that share a stretch, and where it starts in ticks
    spoken = iter([w for w in words if not w[0].startswith(("<", "[", "("))])
    groups: dict[int, list[str]] = {}
    between: dict[int, list[str]] = {}  # the symbols before word k (k = number of words: the closing mark)
    count = max(w for _, w in symbols) + 1
    last = -1
    for name, word in symbols:
        if word >= 0:
            groups.setdefault(word, []).append(name)
            last = word
        else:
            between.setdefault(last + 1, []).append(name)
    end = 0.0
    for k in range(count):
        _, spans = next(spoken)
        gap = spans[0][0] - end
        if k == 0:
            bounds.append((["pau"], 0.0))
        elif gap * FRAMES_PER_TICK >= SHORTEST_PAUSE:
            bounds.append((between.get(k, ["pau"]), end))
        for name, (start, duration) in zip(groups[k], spans, strict=True):
            bounds.append(([name], float(start)))
            end = start + duration
    bounds.append((between[count], end))
    edges = [round(start * FRAMES_PER_TICK) for _, start in bounds] + [total]
    # The aligner gives the silence before it to the first phone.
    edges[1] = max(edges[1], min(LEAD - 2, edges[2] - 2))
    phones: list[str] = []
    frames: list[int] = []
    for (names, _), a, b in zip(bounds, edges, edges[1:], strict=False):
        for i, name in enumerate(names):
            phones.append(name)
            frames.append((b - a) // len(names) + (i < (b - a) % len(names)))
    for i in range(len(frames)):  # every symbol needs a frame: borrow it from the longer neighbour
        while frames[i] < 1:
            j = max((j for j in (i - 1, i + 1) if 0 <= j < len(frames)), key=lambda j: frames[j])
            frames[j] -= 1
            frames[i] += 1
    if min(frames) < 1 or sum(frames) != total:
        raise RuntimeError("phones are too short to own a frame each")
    return phones, frames


def align_clip(row: tuple[str, Path, str]) -> Clip | str:
    """The aligned clip, or a sentence that says why there is none."""
    clip_id, path, text = row
    try:
        wave = load_audio(path)
        start, end = audible_span(wave)
        wave = wave[start:end]
        gain = LEVEL / math.sqrt(float((wave.astype(np.float64) ** 2).mean()))
        symbols = phones_of(text)
        spoken: dict[int, list[str]] = {}
        for name, word in symbols:
            if word >= 0:
                spoken.setdefault(word, []).append(sphinx_phone(name))
        words = _sphinx_words(wave * np.float32(gain), list(spoken.values()))
        phones, frames = lay_out(symbols, words, len(wave) // HOP + 1)
    except (RuntimeError, ValueError, soundfile.SoundFileError) as error:
        return f"{clip_id}: {error}"
    return Clip(clip_id, str(path), text, start, end, gain, phones, frames)


def align(
    data: Path,
    out: Path,
    processes: int = 2,
    progress: Callable[[Iterator[Any], int], Iterator[Any]] | None = None,
) -> tuple[int, list[str]]:
    """Aligns the clips of `data` into the JSON lines file `out`; (clips aligned, why the others are not)."""
    rows = read_metadata(data)
    failures: list[str] = []
    aligned = 0
    partial = out.with_suffix(".partial")
    with (
        multiprocessing.get_context("spawn").Pool(processes) as pool,
        partial.open("w", encoding="utf-8") as file,
    ):
        results: Iterator[Clip | str] = pool.imap(align_clip, rows, chunksize=8)
        for result in progress(results, len(rows)) if progress else results:
            if isinstance(result, str):
                failures.append(result)
            else:
                file.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
                aligned += 1
    partial.replace(out)
    return aligned, failures


def read_alignment(path: Path) -> list[Clip]:
    """Clips of an alignment file."""
    return [Clip(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def sentence_key(text: str) -> str:
    """What several takes of one sentence have in common."""
    return " ".join(re.findall(r"[\w']+", text.lower()))
