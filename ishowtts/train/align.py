"""Forced alignment: every clip's phones and how many mel frames each lasts.

PocketSphinx aligns the front end's own phones: each word enters its dictionary under a name made of its pronunciation,
so a model is trained on exactly the symbols that it is later given to speak. A "pau" stands where the speaker pauses
between words, whether or not the text has a comma there; the closing mark of a sentence lasts for the silence after it.
PocketSphinx has models of American phones only: a German phone is aligned as the nearest of them, which is accurate
enough for its place in time.
"""

from __future__ import annotations

import functools
import json
import math
import multiprocessing
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from ishowtts.quality.clips import at_rate
from ishowtts.text import german, phones

SAMPLE_RATE = 24000
HOP = 256
MARKS = frozenset(
    mark for prefix in ("", german.PREFIX) for mark in (prefix + "pau", prefix + ".", prefix + "?", prefix + "!")
)
FRAMES_PER_TICK = SAMPLE_RATE / HOP / 100  # PocketSphinx counts in hundredths of a second
LEVEL = 0.1  # RMS of every clip
LEAD, TAIL = 8, 12  # mel frames kept before and after the audible part
GLOTTAL_FRAMES = 3  # mel frames of a glottal stop
SHORTEST_PAUSE = 3  # mel frames; a shorter gap belongs to the phone before it
BEAMS: tuple[dict[str, float], ...] = ({}, {"beam": 1e-80, "pbeam": 1e-80, "wbeam": 1e-60})
SILENCE = 0.3  # probability of a pause between two words; with PocketSphinx's 0.005 the last phone absorbs pauses
LONGEST_PHONE = 45  # mel frames; a longer phone, pauses aside, means that the clip says more than its text
OUTLIER = 4.0  # a clip is left out when its likelihood is so many mean deviations below the speaker's median
AUDIO_SUFFIXES = (".opus", ".flac", ".wav", ".ogg", ".mp3")

Wave = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """One aligned clip of a speaker (the name of its data folder) in a language ("en", "de").

    `phones` with their durations in mel `frames` (each >= 1), of samples [start, end) of the file brought to
    24 kHz, times `gain`.
    """

    id: str
    speaker: str
    language: str
    path: str
    text: str
    start: int
    end: int
    gain: float
    phones: list[str]
    frames: list[int]


def read_metadata(data: Path) -> list[tuple[str, Path, str]]:
    """(id, audio file, transcript) of each clip of a folder laid out like LJSpeech.

    It holds `metadata.csv` with `id|transcript` lines, and the audio beside that file or under `wavs/`. ValueError and
    FileNotFoundError name the line that has no transcript or no audio.
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
    """Samples [N] of a sound file: float32 in [-1, 1], channels averaged, resampled to SAMPLE_RATE."""
    wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono: Wave = wave.mean(axis=1)
    return mono if rate == SAMPLE_RATE else at_rate(mono, rate, SAMPLE_RATE)


def audible_span(wave: Wave) -> tuple[int, int]:
    """Samples [start, end) of `wave` [N]: from LEAD frames before its first audible frame to TAIL after its last.

    A frame is audible above 3 % of the loudest RMS. ValueError when none is.
    """
    n = len(wave) // HOP
    level = np.sqrt((wave[: n * HOP].reshape(n, HOP) ** 2).mean(axis=1))
    on = np.flatnonzero(level > 0.03 * np.percentile(level, 95))
    if len(on) == 0:
        raise ValueError("the clip is silent")
    return max(0, int(on[0]) - LEAD) * HOP, min(len(wave), (int(on[-1]) + TAIL) * HOP)


def sphinx_phone(name: str) -> str:
    """The CMU phone of a symbol, without stress and with AH for the schwa; for a German symbol, the nearest one."""
    bare = german.NEAREST.get(name, name).rstrip("012")
    return "AH" if bare == "ax" else bare.upper()


@functools.cache
def _decoder(level: int) -> Any:
    from pocketsphinx import Decoder

    return Decoder(samprate=16000, lm=None, loglevel="FATAL", silprob=SILENCE, **BEAMS[level])


def _sphinx_words(wave: Wave, pronunciations: list[list[str]]) -> tuple[list[tuple[str, list[tuple[int, int]]]], float]:
    """Aligns `wave` [N] at SAMPLE_RATE: (word, [(start, duration) of every phone]), and the mean log-likelihood.

    Times are in ticks of 1/100 s, the likelihood is that of a tick. Silences are words named '<sil>'. RuntimeError when
    the words do not fit the sound.
    """
    pcm = (np.clip(at_rate(wave, SAMPLE_RATE, 16000), -1, 1) * 32767).astype("<i2").tobytes()
    names = ["_".join(p).lower() + "_" for p in pronunciations]
    error: Exception | None = None
    for level in range(len(BEAMS)):
        decoder = _decoder(level)
        for name, said in zip(names, pronunciations, strict=True):
            if decoder.lookup_word(name) is None:
                decoder.add_word(name, " ".join(said), True)
        try:
            decoder.set_align_text(" ".join(names))
            for stage in range(2):  # words first, then their phones
                if stage:
                    decoder.set_alignment()
                decoder.start_utt()
                decoder.process_raw(pcm, full_utt=True)
                decoder.end_utt()
            words, likelihood = [], 0
            for word in decoder.get_alignment():
                words.append((word.name, [(p.start, p.duration) for p in word]))
                likelihood += word.score
            spoken = [(n, len(p)) for n, p in words if not n.startswith(("<", "[", "("))]
            if spoken != [(n, len(p)) for n, p in zip(names, pronunciations, strict=True)]:
                raise RuntimeError("the aligner returned other words")
            return words, likelihood / (len(pcm) / 320)
        except RuntimeError as e:
            error = e
    raise RuntimeError(f"no alignment: {error}")


def lay_out(
    symbols: list[tuple[str, int]], words: list[tuple[str, list[tuple[int, int]]]], total: int
) -> tuple[list[str], list[int]]:
    """Phones and their mel frames, at least one each and `total` together.

    symbols: (name, number of its word, -1 for marks). words: as `_sphinx_words` gives them. RuntimeError when there are
    fewer frames than phones.
    """
    bounds: list[tuple[list[str], float]] = []  # symbols that share a stretch, and where it starts in ticks
    spoken = iter([w for w in words if not w[0].startswith(("<", "[", "("))])
    pause = symbols[0][0]
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
            bounds.append(([pause], 0.0))
        elif gap * FRAMES_PER_TICK >= SHORTEST_PAUSE:
            bounds.append((between.get(k, [pause]), end))
        heard = iter(spans)
        opened = 0.0
        for name in groups[k]:
            if name == german.GLOTTAL:  # the aligner has none: it takes the first frames of the vowel behind it
                opened = GLOTTAL_FRAMES / FRAMES_PER_TICK
                continue
            start, duration = next(heard)
            if opened:
                bounds.append(([german.GLOTTAL], float(start)))
                opened = min(opened, duration / 3)
            bounds.append(([name], start + opened))
            opened, end = 0.0, float(start + duration)
    bounds.append((between[count], end))
    edges = [round(start * FRAMES_PER_TICK) for _, start in bounds] + [total]
    # The aligner counts the silence before the first phone to that phone.
    edges[1] = max(edges[1], min(LEAD - 2, edges[2] - 2))
    phones: list[str] = []
    frames: list[int] = []
    for (names, _), a, b in zip(bounds, edges, edges[1:], strict=False):
        for i, name in enumerate(names):
            phones.append(name)
            frames.append((b - a) // len(names) + (i < (b - a) % len(names)))
    for i in range(len(frames)):  # a symbol without a frame takes one from its longer neighbour
        while frames[i] < 1:
            j = max((j for j in (i - 1, i + 1) if 0 <= j < len(frames)), key=lambda j: frames[j])
            frames[j] -= 1
            frames[i] += 1
    if min(frames) < 1 or sum(frames) != total:
        raise RuntimeError("phones are too short to own a frame each")
    return phones, frames


def align_clip(row: tuple[str, Path, str], speaker: str, language: str) -> tuple[Clip, float] | str:
    """Aligns a row of `read_metadata`: the clip and its mean log-likelihood, or a sentence that says why not."""
    clip_id, path, text = row
    try:
        wave = load_audio(path)
        start, end = audible_span(wave)
        wave = wave[start:end]
        gain = LEVEL / math.sqrt(float((wave.astype(np.float64) ** 2).mean()))
        symbols = phones.spoken(text, language)
        spoken: dict[int, list[str]] = {}
        for name, word in symbols:
            if word >= 0 and name != german.GLOTTAL:
                spoken.setdefault(word, []).append(sphinx_phone(name))
        words, likelihood = _sphinx_words(wave * np.float32(gain), list(spoken.values()))
        names, frames = lay_out(symbols, words, len(wave) // HOP + 1)
        longest = max(zip(frames, names, strict=True), key=lambda pair: 0 if pair[1] in MARKS else pair[0])
        if longest[0] > LONGEST_PHONE:
            raise RuntimeError(f"{longest[1]!r} lasts {longest[0]} frames")
    except (RuntimeError, ValueError, soundfile.SoundFileError) as error:
        return f"{clip_id}: {error}"
    return Clip(clip_id, speaker, language, str(path), text, start, end, gain, names, frames), likelihood


def _align_source(row: tuple[tuple[str, Path, str], str, str]) -> tuple[Clip, float] | str:
    return align_clip(*row)


def align(
    sources: Sequence[tuple[Path, str]],
    out: Path,
    processes: int = 2,
    progress: Callable[[Iterator[Any], int], Iterator[Any]] | None = None,
) -> tuple[int, list[str]]:
    """Aligns the clips of every (data folder, language) and writes them to the JSON lines file `out`.

    The name of a folder is that of its speaker; ValueError when two are the same. Returns the number of clips, and a
    sentence for each clip that was left out.
    """
    rows = [(row, data.resolve().name, language) for data, language in sources for row in read_metadata(data)]
    if len({data.resolve().name for data, _ in sources}) < len(sources):
        raise ValueError("two data folders have the same name, and the name is the speaker's")
    failures: list[str] = []
    found: dict[str, list[tuple[Clip, float]]] = {}
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        results: Iterator[tuple[Clip, float] | str] = pool.imap(_align_source, rows, chunksize=8)
        for result in progress(results, len(rows)) if progress else results:
            if isinstance(result, str):
                failures.append(result)
            else:
                found.setdefault(result[0].speaker, []).append(result)
    kept: list[Clip] = []
    for pairs in found.values():
        likelihoods = np.array([likelihood for _, likelihood in pairs])
        middle = np.median(likelihoods)
        lowest = middle - OUTLIER * np.abs(likelihoods - middle).mean()
        kept += [clip for clip, likelihood in pairs if likelihood >= lowest]
        failures += [f"{clip.id}: the sound does not fit the text" for clip, likelihood in pairs if likelihood < lowest]
    partial = out.with_suffix(".partial")
    partial.write_text("".join(json.dumps(asdict(clip), ensure_ascii=False) + "\n" for clip in kept), encoding="utf-8")
    partial.replace(out)
    return len(kept), failures


def read_alignment(path: Path) -> list[Clip]:
    """The clips of a file that `align` or `teach` wrote."""
    return [Clip(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def sentence_key(text: str) -> str:
    """The words of a sentence in small letters: equal for all takes of it."""
    return " ".join(re.findall(r"[\w']+", text.lower()))
