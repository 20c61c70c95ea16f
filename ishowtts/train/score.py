"""Scores of the voices on held-out sentences, beside real recordings of the same sentences.

Every variant speaks the same sentences with the same noise. Whisper or PocketSphinx transcribes them, DistillMOS rates
naturalness, Resemblyzer compares the speaker with other real clips, PESQ and the mel distance are measured where a
variant follows a recording frame by frame, and the engine's checks look for artifacts. The results are a CSV file with
95 % bootstrap intervals over sentences.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ishowtts.model.dit import DiT
from ishowtts.model.duration import DurationPredictor
from ishowtts.model.vocos import Vocos
from ishowtts.quality import aligned, artifacts, mos, similarity
from ishowtts.quality.clips import Clip
from ishowtts.quality.intelligibility import rates
from ishowtts.quality.listeners import Unheard, default, identity
from ishowtts.text import phones

from . import data as datasets
from .data import Dataset, log_mel
from .export import BaseVoice, choose_reference, load_models
from .listen import Listener, Values, interval
from .speaking import Wave, griffin_lim, predict_frames, sample, speak
from .vocabulary import ANYONE, token_ids

REAL = "real recordings"

Grid = list[tuple[float, float, int, bool]]


@dataclass(frozen=True)
class Variant:
    """One way to speak a held-out clip: `make` gives samples [N]; `follows`: with the frames of the recording."""

    name: str
    make: Callable[[int], Wave]
    follows: bool = False


def variants(
    data: Dataset,
    speaker: str,
    nets: tuple[DiT, Vocos, DurationPredictor],
    grid: Grid,
    references: list[str],
) -> list[Variant]:
    """Real recordings, copy-synthesis, and the model at every (cfg, sway, nfe, prompt) of `grid`."""
    config, (dit, vocos, durations) = data.config, nets

    def standard(k: int) -> torch.Tensor:
        return torch.from_numpy((data.mel(k) - config.mean) / config.std)

    prompt = standard(choose_reference(data, speaker, references))

    def spoken(k: int, cfg: float, sway: float, nfe: int, with_prompt: bool, recorded: bool) -> Wave:
        said = token_ids(phones.symbols(data.clips[k].text, data.clips[k].language))
        tokens, frames = np.concatenate((data.tokens[k][:1], said)), data.frames[k]
        if recorded:
            tokens = data.tokens[k]
        if with_prompt:
            tokens = np.concatenate(([ANYONE], tokens[1:]))
        if not recorded:
            frames = predict_frames(durations, tokens)
        mel = sample(dit, tokens, frames, prompt=prompt if with_prompt else None, nfe=nfe, cfg=cfg, sway=sway, seed=k)
        return speak(vocos, mel, config)

    made = [
        Variant(REAL, data.wave),
        Variant("recordings through this Vocos", lambda k: speak(vocos, standard(k), config), True),
        Variant("recordings through Griffin-Lim", lambda k: griffin_lim(standard(k), config), True),
    ]
    for cfg, sway, nfe, with_prompt in grid:
        name = f"{'prompt, ' if with_prompt else ''}cfg {cfg:g}, sway {sway:g}, nfe {nfe}"
        made.append(
            Variant(
                f"voice, {name}",
                lambda k, a=cfg, b=sway, c=nfe, d=with_prompt: spoken(k, a, b, c, d, False),  # type: ignore[misc]
            )
        )
    cfg, sway, nfe, with_prompt = grid[0]
    made.append(Variant("voice, durations of the recordings", lambda k: spoken(k, cfg, sway, nfe, with_prompt, True)))
    return made


def _mel_distance(data: Dataset, k: int, wave: Wave) -> float:
    mel = torch.from_numpy(data.mel(k))
    again = log_mel(torch.from_numpy(wave)[None], data.config)[0]
    n = min(len(mel), len(again))
    return float((again[:n] - mel[:n]).abs().mean())


class Scorer:
    """Measures variants of a speaker, relative to the real clips of all speakers.

    There are no error rates in a language that the listener does not know.
    """

    def __init__(self, data: Dataset, speaker: str, clips: dict[str, list[int]], listener: str) -> None:
        self.data, self.clips, self.rate = data, clips[speaker], data.config.sample_rate
        self.texts = [data.clips[k].text for k in self.clips]
        self.heard_by = identity(listener)
        self.listener: Listener | None = None
        with contextlib.suppress(Unheard):
            self.listener = Listener(data.clips[self.clips[0]].language, self.texts, listener)
        self.real: Values | None = None  # naturalness of the recordings
        self.own: Values | None = None
        self.others: dict[str, Values] = {}
        if similarity.available():
            embed = similarity.embedder()
            found = {
                s: np.stack([embed(Clip(str(k), data.wave(k), self.rate)) for k in own]) for s, own in clips.items()
            }
            self.own = found[speaker].astype(np.float64)
            self.others = {s: e.astype(np.float64) for s, e in found.items() if s != speaker}

    def __call__(self, variant: Variant, waves: list[Wave]) -> dict[str, object]:
        """The row of a variant, whose `waves` are samples [N] of each clip: names of columns and their values."""
        row: dict[str, object] = {"variant": variant.name, "sentences": len(waves)}

        def put(name: str, value: tuple[float, float, float]) -> None:
            row.update(
                {name: round(value[0], 4), f"{name}_low": round(value[1], 4), f"{name}_high": round(value[2], 4)}
            )

        if self.listener is not None:
            row["listener"] = self.heard_by
            for name, value in rates(self.listener.errors(self.texts, waves, self.rate)).items():
                put(name, value)
        if mos.available():
            opinions = np.array([mos.opinion(w, self.rate) for w in waves])
            self.real = opinions if variant.name == REAL else self.real
            put("mos", interval(opinions))
            put("mos_of_real", interval(opinions, self.real))
        if self.own is not None:
            self._compare(waves, put, row)
        if variant.follows:
            pairs = list(zip(self.clips, waves, strict=True))
            put("mel_distance", interval(np.array([_mel_distance(self.data, k, w) for k, w in pairs])))
            put("pesq", interval(np.array([self._pesq(k, w) for k, w in pairs])))
        wrong = [artifacts.faults(artifacts.find(w, self.rate), self.rate) for w in waves]
        row["faulty"] = sum(map(bool, wrong))
        row["faults"] = " ".join(sorted({name.replace(" ", "-") for names in wrong for name in names}))
        row["seconds"] = round(sum(map(len, waves)) / self.rate, 1)
        return row

    def _pesq(self, k: int, wave: Wave) -> float:
        return aligned.pesq(Clip("made", wave, self.rate), Clip("real", self.data.wave(k), self.rate))

    def _compare(
        self, waves: list[Wave], put: Callable[[str, tuple[float, float, float]], None], row: dict[str, object]
    ) -> None:
        """Mean cosine to the speaker's recordings of other sentences, and to those of the nearest other speaker."""
        assert self.own is not None
        embed = similarity.embedder()
        made = np.stack([embed(Clip("made", w, self.rate)) for w in waves]).astype(np.float64)
        cosines = made @ self.own.T
        same = (cosines.sum(axis=1) - np.diag(cosines)) / (len(waves) - 1)
        put("similarity", interval(same))
        if self.others:
            other = np.max([(made @ e.T).mean(axis=1) for e in self.others.values()], axis=0)
            put("similarity_other", interval(other))
            row["nearer_to_other"] = int((other >= same).sum())


def score(
    work: Path,
    out: Path,
    grid: Grid,
    *,
    sentences: int = 60,
    references: list[str] | None = None,
    base: BaseVoice | None = None,
    listener: str | None = None,
    samples: Path | None = None,
    progress: Callable[[list[Any]], Iterator[Any]] | None = None,
) -> list[dict[str, object]]:
    """Scores every variant on held-out sentences of every speaker, one take each, and writes the CSV `out`.

    grid: (cfg, sway, nfe, with prompt) of each variant. `listener` as in `ishowtts.quality.listeners`, None for the
    best that is installed. `samples`: folder for a few clips of each variant. Returns the rows. ValueError when no
    speaker has two held-out sentences.
    """
    data = datasets.load(work)
    nets = load_models(work, data, base)
    clips = {speaker: data.one_take_each(speaker)[:sentences] for speaker in data.speakers()}
    clips = {speaker: own for speaker, own in clips.items() if len(own) > 1}
    if not clips:
        raise ValueError("no speaker has two held-out sentences to be scored on")
    todo = [(speaker, v) for speaker in clips for v in variants(data, speaker, nets, grid, references or [])]
    scorers = {speaker: Scorer(data, speaker, clips, listener or default()) for speaker in clips}
    rows: list[dict[str, object]] = []
    for speaker, variant in progress(todo) if progress else todo:
        waves = [variant.make(k) for k in clips[speaker]]
        rows.append({"speaker": speaker, **scorers[speaker](variant, waves)})
        if samples is not None:
            _write_samples(samples / speaker, variant.name, waves[:4], data.config.sample_rate)
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", newline="", encoding="utf-8") as file:
            names = list(dict.fromkeys(name for row in rows for name in row))
            writer = csv.DictWriter(file, fieldnames=names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return rows


def _write_samples(folder: Path, name: str, waves: list[Wave], rate: int) -> None:
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    stem = "".join(c if c.isalnum() else "_" for c in name)
    for i, wave in enumerate(waves):
        soundfile.write(folder / f"{stem}-{i}.wav", wave, rate, subtype="PCM_16")
