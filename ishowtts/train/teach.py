"""A data set from texts: a teacher (another speech model) reads them, and gives the duration of each phone as well.

So nothing has to be aligned: the teacher gets the phones of our front end, written in its alphabet, and its durations
are known. Every line depends on (texts, styles, seed) only: a run that was stopped continues, several processes share
the lines, and a lost file is made again.
"""

from __future__ import annotations

import json
import multiprocessing
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from ishowtts.errors import TextError
from ishowtts.quality.clips import at_rate
from ishowtts.text import phones
from ishowtts.text.reading import read

from .align import HOP, LEVEL, SAMPLE_RATE, Clip

MIX = "*"
"""The style of lines that are each read in a random mixture of two of the teacher's styles."""
MIXTURE = (-0.25, 1.25)
"""Range of the share of a mixture's first style; outside 0 to 1 one style is exaggerated by the other."""
SHIFTS = ((0.84, 0.94), (1.06, 1.2))
"""Ranges of the factors by which copies of a mixture's clip are faster and higher: further speakers for the network."""
LONGEST = 60
"""Words of a line at most."""
LEAD, TAIL = 8, 14
"""Most mel frames of silence at the beginning and at the end of a clip."""

Wave = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Spoken:
    """What a teacher has read.

    `samples` [N] at 24 kHz, `seconds` of each symbol, and `pitch` [T] in Hz of the source, one value every `pitch_hop`
    samples, at most `data.VOICED` where unvoiced; a `pitch_hop` of 0: the pitch is not known.
    """

    samples: Wave
    seconds: list[float]
    pitch: npt.NDArray[np.float32]
    pitch_hop: int


class Teacher(Protocol):
    """Reads phones in a style. Any class with these two methods is a teacher."""

    def styles(self, language: str) -> Sequence[str]:
        """Names of the styles that may be mixed in a language."""

    def read(self, symbols: Sequence[tuple[str, int]], language: str, style: str) -> Spoken | None:
        """Reads symbols, each with the number of its word, in a style or a mixture (see `shares`).

        None when it cannot read them, such as too many.
        """


def shares(style: str) -> list[tuple[str, float]]:
    """(name, share) of the styles in "NAME" or in "NAME:SHARE+NAME:SHARE"."""
    parts = (part.partition(":") for part in style.split("+"))
    return [(name, float(share or 1)) for name, _, share in parts]


@dataclass(frozen=True)
class Plan:
    """What a teacher reads: for each language a text file of one sentence a line, and the styles that alternate.

    A style is "NAME=STYLE", where NAME is the speaker of the voice to be trained, or MIX for another speaker in every
    line.
    """

    texts: dict[str, Path]
    styles: dict[str, list[str]]

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Reads a TOML file: [texts] gives a file for each language, relative to it, and [styles] a list for each.

        ValueError when these are not the same known languages.
        """
        with path.open("rb") as file:
            plan = tomllib.load(file)
        texts, styles = plan.get("texts", {}), plan.get("styles", {})
        if not texts or set(texts) != set(styles):
            raise ValueError(f"{path} needs [texts] and [styles] for the same languages")
        unknown = sorted(set(texts) - set(phones.LANGUAGES))
        if unknown:
            raise ValueError(f"{path}: {unknown[0]!r} is not one of {', '.join(phones.LANGUAGES)}")
        return cls({name: path.parent / text for name, text in texts.items()}, styles)

    def lines(self) -> Iterator[tuple[str, int, str]]:
        """(language, number, text) of each line; the languages alternate, so that any first part has all of them."""
        texts = {name: path.read_text(encoding="utf-8").splitlines() for name, path in self.texts.items()}
        for number in range(max(map(len, texts.values()), default=0)):
            yield from ((name, number, lines[number]) for name, lines in texts.items() if number < len(lines))

    def style(self, teacher: Teacher, language: str, number: int) -> tuple[str, str]:
        """(speaker, style) of a line; the speaker is "" for MIX."""
        given = self.styles[language]
        name, _, style = given[number % len(given)].rpartition("=")
        if style != MIX:
            return name or style, style
        pool = sorted(teacher.styles(language))
        random = np.random.default_rng((number, len(pool)))
        first, second = random.choice(len(pool), 2, replace=False)
        share = round(float(random.uniform(*MIXTURE)), 2)
        return "", f"{pool[first]}:{share}+{pool[second]}:{1 - share:.2f}"


def whole_frames(seconds: Sequence[float], samples: int) -> list[int] | None:
    """Mel frames [S] of symbols that last `seconds` [S]: one at least, samples // HOP + 1 in all; None: too few."""
    ends = np.round(np.cumsum(seconds) * SAMPLE_RATE / HOP).astype(int)
    ends[-1] = samples // HOP + 1
    frames = np.diff(ends, prepend=0)
    for i in range(len(frames)):
        while frames[i] < 1:  # taken from the longest neighbour
            near = range(max(0, i - 2), min(len(frames), i + 3))
            longest = max(near, key=lambda k: int(frames[k]))
            if frames[longest] < 2:
                return None
            frames[longest] -= 1
            frames[i] += 1
    return [int(n) for n in frames]


def clip_of(spoken: Spoken, symbols: Sequence[str], speaker: str, language: str, text: str, path: Path) -> Clip | None:
    """The aligned clip of what was read, its silences cut to LEAD and TAIL; None when a symbol has no frame."""
    frames = whole_frames(spoken.seconds, len(spoken.samples))
    if frames is None:
        return None
    start, cut = max(0, frames[0] - LEAD), max(0, frames[-1] - TAIL)
    samples = spoken.samples[start * HOP : len(spoken.samples) - cut * HOP]
    frames[0] -= start
    frames[-1] += len(samples) // HOP + 1 - (sum(frames))
    if frames[-1] < 1:
        return None
    peak, rms = float(np.abs(samples).max()), float(np.sqrt((samples**2).mean()))
    gain = min(LEVEL / max(rms, 1e-4), 0.99 / max(peak, 1e-4))
    end = start * HOP + len(samples)
    return Clip(path.stem, speaker, language, str(path), text, start * HOP, end, gain, list(symbols), frames)


def shifted(spoken: Spoken, factor: float) -> Spoken:
    """What was read, `factor` times as fast and as high: as if by another vocal tract; its pitch is left out."""
    samples = np.asarray(at_rate(spoken.samples, round(SAMPLE_RATE * factor), SAMPLE_RATE), np.float32)
    return Spoken(samples, [seconds / factor for seconds in spoken.seconds], np.zeros(0, np.float32), 0)


def read_line(teacher: Teacher, plan: Plan, folder: Path, language: str, number: int, text: str) -> None:
    """Reads one line into folder/LANGUAGE-NUMBER.{flac,npz,json}, unless the JSON exists, which is written last.

    A line of MIX is also written as LANGUAGE-NUMBER-{slow,fast}, `shifted` by a random factor from each of SHIFTS.
    """
    path = folder / f"{language}-{number:06d}.json"
    if path.is_file():
        return
    symbols = phones.spoken(read(text, language).text, language)
    names = [name for name, _ in symbols]
    speaker, style = plan.style(teacher, language, number)
    spoken = teacher.read(symbols, language, style) if len({word for _, word in symbols}) <= LONGEST else None
    if spoken and not speaker:
        random = np.random.default_rng((number, len(SHIFTS)))
        for name, span in zip(("slow", "fast"), SHIFTS, strict=True):
            copy = path.with_stem(f"{path.stem}-{name}")
            _write(shifted(spoken, float(random.uniform(*span))), names, speaker, language, text, copy)
    _write(spoken, names, speaker, language, text, path)


def _write(spoken: Spoken | None, symbols: list[str], speaker: str, language: str, text: str, path: Path) -> None:
    """Writes the sound, its pitch where there is one, and last `path`, the JSON of the clip (null: left out)."""
    clip: Clip | None = None
    if spoken:
        sound = path.with_suffix(".flac")
        clip = clip_of(spoken, symbols, speaker, language, text, sound)
        soundfile.write(sound, spoken.samples, SAMPLE_RATE)
        if spoken.pitch_hop:
            np.savez(path.with_suffix(".npz"), pitch=spoken.pitch, pitch_hop=spoken.pitch_hop)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(clip) if clip else None, ensure_ascii=False), encoding="utf-8")
    partial.replace(path)


def _share(make: Callable[[], Teacher], plan: Plan, folder: Path, hours: float, part: int, parts: int) -> None:
    teacher, seconds = make(), 0.0
    for k, (language, number, text) in enumerate(plan.lines()):
        if k % parts != part or seconds > hours * 3600 / parts:
            continue
        try:
            read_line(teacher, plan, folder, language, number, text)
        except (TextError, ValueError):  # the line has nothing to read
            continue
        clip = read_clip(folder / f"{language}-{number:06d}.json")
        seconds += (clip.end - clip.start) / SAMPLE_RATE if clip else 0.0


def read_clip(path: Path) -> Clip | None:
    """The clip of a finished line; None when the line was left out or has not been read."""
    if not path.is_file():
        return None
    fields: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8"))
    return Clip(**fields) if fields else None


def teach(
    make: Callable[[], Teacher], plan: Plan, work: Path, hours: float, processes: int, others: Sequence[Path] = ()
) -> int:
    """Reads until there are `hours` of speech, then writes work/align.jsonl; returns the number of clips.

    make: makes the teacher, once in each process. others: alignments (align.jsonl) of recordings to add behind the
    clips that were read. ValueError when a process failed.
    """
    folder = work / "teach"
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    shares = [
        context.Process(target=_share, args=(make, plan, folder, hours, part, processes)) for part in range(processes)
    ]
    for share in shares:
        share.start()
    for share in shares:
        share.join()
    if any(share.exitcode for share in shares):
        raise ValueError("a process of the teacher failed; the same command goes on where it was")
    return collect(folder, work / "align.jsonl", others)


def collect(folder: Path, out: Path, others: Sequence[Path] = ()) -> int:
    """Writes the alignment `out` of all finished lines in `folder` and of `others`; returns the number of clips."""
    clips = [clip for path in sorted(folder.glob("*.json")) if (clip := read_clip(path))]
    lines = [json.dumps(asdict(clip), ensure_ascii=False) + "\n" for clip in clips]
    for other in others:
        lines += other.read_text(encoding="utf-8").splitlines(keepends=True)
    out.write_text("".join(lines), encoding="utf-8")
    return len(lines)
