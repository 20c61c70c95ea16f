"""All measures of clips in a table, and their means with intervals.

A table has one row for each clip and one column for each measure; `summary` has the mean of each measure with a 95 %
interval by bootstrap over the clips.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ishowtts.errors import ConfigError
from ishowtts.extras import MissingPackage, require
from ishowtts.text import detect

from . import aligned, artifacts, bootstrap, intelligibility, listeners, loudness, mos, similarity, timbre
from .clips import Clip

Row = dict[str, Any]


class Measure(NamedTuple):
    """A column: its group, unit, and description; `better`: 1 where more is better, -1 where less is, else 0.

    `digits`: decimals that reports show.
    """

    group: str
    unit: str
    better: int
    digits: int
    what: str


MEASURES: dict[str, Measure] = {
    "wer": Measure("intelligibility", "", -1, 3, "words that the listener gets wrong; in Mandarin toneless syllables"),
    "cer": Measure("intelligibility", "", -1, 3, "characters that it gets wrong"),
    "similarity": Measure("similarity", "", 1, 3, "cosine between this voice and the reference's"),
    "mos": Measure("mos", "1-5", 1, 2, "predicted naturalness"),
    "mcd": Measure("timbre", "dB", -1, 2, "mel-cepstral distortion against the recording"),
    "f0_rmse": Measure("timbre", "cents", -1, 0, "pitch error against the recording"),
    "pesq": Measure("aligned", "1-4.64", 1, 2, "wide-band PESQ against the same take"),
    "stoi": Measure("aligned", "0-1", 1, 3, "short-time intelligibility against the same take"),
    "stft": Measure("aligned", "", -1, 3, "multi-resolution STFT distance to the same take"),
    "lufs": Measure("loudness", "LUFS", 0, 1, "integrated loudness"),
    "faults": Measure("artifacts", "", -1, 0, "kinds of artifact found"),
    "seconds": Measure("artifacts", "s", 0, 2, "length"),
}
GROUPS = tuple(dict.fromkeys(measure.group for measure in MEASURES.values()))


@dataclass(frozen=True)
class Judges:
    """The models of the measures by name: `listeners.listener`, `mos.judge` and `similarity.embedder` take them."""

    listener: str = field(default_factory=listeners.default)
    mos: str = "distillmos"
    similarity: str = "resemblyzer"


@dataclass
class Scorer:
    """Measures clips by groups of measures; a callable from a clip to its row.

    `groups`: None for all whose packages are installed; `missing` then says why others are left out. `language`: of
    the texts, None: guessed from their script. ConfigError: a group is unknown; MissingPackage: a group in `groups`
    needs a package that is missing.
    """

    groups: Sequence[str] | None = None
    judges: Judges = field(default_factory=Judges)
    language: str | None = None
    missing: dict[str, str] = field(default_factory=dict)
    _voices: dict[int, tuple[Clip, similarity.Embedding]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        unknown = [group for group in self.groups or () if group not in GROUPS]
        if unknown:
            raise ConfigError(f"measure must be among {', '.join(GROUPS)}, not {unknown[0]!r}", field="measure")
        chosen = []
        for group in self.groups or GROUPS:
            try:
                self._try(group)
            except MissingPackage as error:
                if self.groups:
                    raise
                self.missing[group] = str(error)
            else:
                chosen.append(group)
        self.groups = chosen

    def _try(self, group: str) -> None:
        match group:
            case "intelligibility":
                self._listen = listeners.listener(self.judges.listener)
                if self.language:
                    self._listen.check(self.language)
            case "similarity":
                self._embed = similarity.embedder(self.judges.similarity)
            case "mos":
                self._judge = mos.judge(self.judges.mos)
            case "loudness":
                require("pyloudnorm", "loudness")
            case "aligned":
                require("pesq", "PESQ")
                require("pystoi", "STOI")

    def __call__(self, clip: Clip, *, voice: Clip | None = None, recording: Clip | None = None) -> Row:
        """The measures of a clip. `voice`: a clip of the voice that should speak; `recording`: the same words by it."""
        row: Row = {"clip": clip.name, "text": clip.text}
        chosen = self.groups or ()
        if "intelligibility" in chosen and clip.text:
            row |= self._understood(clip, clip.text)
        if "similarity" in chosen and (who := voice or recording) is not None:
            row["similarity"] = similarity.cosine(self._embed(clip), self._embedded(who))
        if "mos" in chosen:
            row["mos"] = self._judge(clip.samples, clip.rate)
        if "timbre" in chosen and recording is not None:
            row |= {"mcd": timbre.distortion(clip, recording), "f0_rmse": timbre.f0_error(clip, recording)}
        if "aligned" in chosen and recording is not None:
            row["pesq"], row["stoi"] = aligned.pesq(clip, recording), aligned.stoi(clip, recording)
            row["stft"] = aligned.stft_distance(clip, recording)
        if "loudness" in chosen:
            row["lufs"] = loudness.integrated(clip)
        if "artifacts" in chosen:
            found = artifacts.find(clip.samples, clip.rate)
            wrong = artifacts.faults(found, clip.rate)
            row |= {**found, "faults": len(wrong), "wrong": ", ".join(wrong)}
        row["seconds"] = clip.seconds
        return row

    def _understood(self, clip: Clip, text: str) -> Row:
        language = self.language or detect.guess(text)
        try:
            heard = self._listen(clip.samples, clip.rate, language)
        except listeners.Unheard as error:
            self.missing["intelligibility"] = str(error)
            return {}
        wer, cer = intelligibility.errors(text, heard, language)
        return {"heard": heard, "wer": wer, "cer": cer, "listener": listeners.identity(self.judges.listener)}

    def _embedded(self, who: Clip) -> similarity.Embedding:
        if id(who) not in self._voices:
            self._voices[id(who)] = who, self._embed(who)
        return self._voices[id(who)][1]


class Interval(NamedTuple):
    """A mean over `n` clips with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int


def interval(values: NDArray[np.float64], seed: int = 0) -> Interval:
    """The bootstrap interval of a mean; values that are not finite are left out."""
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    low, high = bootstrap.bounds(values[bootstrap.resamples(len(values), seed)].mean(axis=1))
    return Interval(float(values.mean()), low, high, len(values))


def summary(rows: Iterable[Mapping[str, Any]]) -> dict[str, Interval]:
    """The mean of each measure over the clips that have it; error rates are averaged over clips, not over words."""
    rows = list(rows)
    out = {}
    for name in MEASURES:
        values = np.array([row[name] for row in rows if row.get(name) is not None], np.float64)
        if len(values):
            out[name] = interval(values)
    return out


def table(rows: Iterable[Mapping[str, Any]]) -> Any:
    """The rows as a pandas DataFrame, with the measures in the order of `MEASURES`."""
    pandas = require("pandas", "a table")
    frame = pandas.DataFrame(list(rows))
    first = [name for name in ("clip", "text", "heard", *MEASURES, "wrong") if name in frame]
    return frame[[*first, *(name for name in frame if name not in first)]]
