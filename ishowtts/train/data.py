"""What training reads.

One cache file of log-mels, phones, durations and sound, and the batches drawn from it.

Everything random is a function of (seed, step), never of a running generator's history: a run that was
killed and resumed sees the very batches it would have seen. Lengths come in a few fixed buckets, so that
compiled graphs are reused. Clips are often laid end to end: this is what a reference prompt followed by
new text looks like, and it teaches lengths that single clips do not reach. Long clips are often cut to a
part: attention costs the square of the length, and short rows teach more per second.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ishowtts.model.config import MelConfig, ModelConfig

from .align import SAMPLE_RATE, Clip, load_audio, read_alignment, sentence_key
from .vocabulary import ANYONE, PAUSES, VOCABULARY, token_ids, with_speakers

Wave = npt.NDArray[np.float32]

BUCKETS = (192, 256, 320, 384, 512, 768, 1280)  # frames
PAIRED = 0.25  # chance that another clip is laid behind the ones a row already has
WINDOW = 320  # frames of a part of a row: attention costs the square of a row's length
WHOLE = 0.25  # share of the long rows that stay whole
HELD_OUT = 24  # one sentence in so many
FLOOR = 1e-5  # of mel magnitudes


@functools.cache
def mel_filters(config: MelConfig) -> Tensor:
    """Triangular filters [n_fft/2+1, n_mels] on the HTK mel scale, no area normalisation."""
    hz = torch.linspace(0, config.sample_rate / 2, config.n_fft // 2 + 1, dtype=torch.float64)
    top = 2595 * np.log10(1 + config.sample_rate / 2 / 700)
    points = 700 * (10 ** (torch.linspace(0, top, config.n_mels + 2, dtype=torch.float64) / 2595) - 1)
    slope = points[None] - hz[:, None]
    width = points.diff()
    return torch.minimum(-slope[:, :-2] / width[:-1], slope[:, 2:] / width[1:]).clamp(min=0).float()


@functools.cache
def hann(n: int) -> Tensor:
    """Periodic Hann window of n samples."""
    window: Tensor = torch.hann_window(n)
    return window


def log_mel(wave: Tensor, config: MelConfig) -> Tensor:
    """Samples [B,N] → natural log of mel magnitudes [B, N // hop + 1, n_mels]; centred, reflected edges."""
    window = hann(config.n_fft).to(wave.device)
    spectrum = torch.stft(wave, config.n_fft, config.hop, window=window, return_complex=True).abs()
    mel = spectrum.transpose(1, 2) @ mel_filters(config).to(wave.device)
    return torch.log(mel.clamp(min=FLOOR))


@dataclass(frozen=True)
class Pitch:
    """The pitch that a teacher spoke with: Hz every `hop` samples of its sound, 0 where unvoiced; a clip begins at `start`."""

    hz: npt.NDArray[np.float32]
    hop: int
    start: int

    def at(self, samples: int) -> tuple[Wave, Wave]:
        """(phase in cycles, 0 to 1; Hz, 0 where unvoiced) of the clip's first `samples` samples.

        The phase is that of the teacher's own pulses: its pitch is summed at the middles of its frames and is linear
        between.
        """
        place = np.clip((self.start + np.arange(samples) + 0.5) / self.hop - 0.5, 0, len(self.hz) - 1)
        cycles = np.interp(
            place, np.arange(len(self.hz)), np.cumsum(self.hz / SAMPLE_RATE, dtype=np.float64) * self.hop
        )
        left = place.astype(np.int64)
        right, weight = np.minimum(left + 1, len(self.hz) - 1), place - left
        a, b = self.hz[left], self.hz[right]
        hz = np.where((a > 0) & (b > 0), a + (b - a) * weight, np.where(weight < 0.5, a, b))
        return (cycles % 1).astype(np.float32), hz.astype(np.float32)


@dataclass
class Dataset:
    """Aligned clips in memory.

    `mels` [sum of frames, n_mels] and `sound` [sum of samples] (int16) hold the clips one after another;
    clip k has frames [mel_at[k], mel_at[k+1]). `pitch`: of clips that a teacher
    has read, else None. `known` are the tokens that this speech, or the voice that is fine-tuned,
    has taught.
    """

    clips: list[Clip]
    config: MelConfig
    mels: npt.NDArray[np.float16]
    mel_at: npt.NDArray[np.int64]
    sound: npt.NDArray[np.int16]
    sound_at: npt.NDArray[np.int64]
    pitch: list[Pitch | None]
    tokens: list[npt.NDArray[np.int64]]
    frames: list[npt.NDArray[np.int64]]
    train: list[int]
    held_out: list[int]
    known: set[int]

    def mel(self, k: int) -> npt.NDArray[np.float32]:
        """Log-mel of clip k, [T,n_mels], not standardised."""
        return self.mels[self.mel_at[k] : self.mel_at[k + 1]].astype(np.float32)

    def wave(self, k: int) -> npt.NDArray[np.float32]:
        """Samples of clip k."""
        return self.sound[self.sound_at[k] : self.sound_at[k + 1]].astype(np.float32) / np.float32(32768)

    def length(self, k: int) -> int:
        """Mel frames of clip k."""
        return int(self.mel_at[k + 1] - self.mel_at[k])

    def speakers(self) -> list[str]:
        """Names of the speakers, in order of appearance."""
        return list(dict.fromkeys(clip.speaker for clip in self.clips))

    @property
    def symbols(self) -> list[str]:
        """The vocabulary: that of all voices, then the speakers."""
        return with_speakers([name for name in self.speakers() if name])

    def one_take_each(self, speaker: str, trained: bool = False) -> list[int]:
        """Held-out clips of a speaker, or those of the training, one of each sentence."""
        seen: dict[str, int] = {}
        for k in self.train if trained else self.held_out:
            if self.clips[k].speaker == speaker:
                seen.setdefault(sentence_key(self.clips[k].text), k)
        return list(seen.values())


def split(clips: list[Clip]) -> tuple[list[int], list[int]]:
    """Indices (train, held out). All takes of a sentence fall on one side, by a hash of its words."""

    def held(text: str) -> bool:
        return hashlib.sha256(sentence_key(text).encode()).digest()[0] % HELD_OUT == 0

    out = [k for k, c in enumerate(clips) if held(c.text)]
    rest = [k for k, c in enumerate(clips) if not held(c.text)]
    return rest, out


def build_cache(alignment: Path, out: Path, progress: Callable[[list[Clip]], Iterator[Clip]] | None = None) -> None:
    """Reads every aligned clip's sound once and writes the cache `out` (.npz)."""
    clips = read_alignment(alignment)
    config = MelConfig()
    mels, sounds, pitches, hops = [], [], [], []
    for clip in progress(clips) if progress else clips:
        wave = load_audio(Path(clip.path))[clip.start : clip.end] * np.float32(clip.gain)
        pcm = (np.clip(wave, -1, 1) * 32767).round().astype(np.int16)
        sounds.append(pcm)
        mels.append(log_mel(torch.from_numpy(wave)[None], config)[0].numpy().astype(np.float16))
        pitch, hop = _pitch(Path(clip.path).with_suffix(".npz"))
        pitches.append(pitch)
        hops.append(hop)
        if len(mels[-1]) != sum(clip.frames):
            raise ValueError(f"{clip.id}: the alignment is of another sound; run the alignment again")
    ends = [np.cumsum([0, *map(len, parts)]) for parts in (mels, sounds, pitches)]
    every = np.concatenate(mels)
    train = np.concatenate([mels[k] for k in split(clips)[0]]).astype(np.float32)
    partial = out.with_suffix(".partial.npz")
    np.savez(
        partial,
        mels=every,
        mel_at=ends[0],
        sound=np.concatenate(sounds),
        sound_at=ends[1],
        pitch=np.concatenate(pitches),
        pitch_at=ends[2],
        pitch_hop=np.array(hops),
        statistics=np.array([train.mean(), train.std()]),
    )
    partial.replace(out)


def _pitch(path: Path) -> tuple[npt.NDArray[np.float32], int]:
    """The pitch that `teach` wrote beside a sound, and its hop; empty and 0 where there is none."""
    if not path.is_file():
        return np.zeros(0, np.float32), 0
    with np.load(path) as z:
        return z["pitch"], int(z["pitch_hop"])


def adopt(work: Path, voice: Path) -> None:
    """Makes the work folder standardise mels, and know symbols, as the voice it is fine-tuned from does."""
    config = ModelConfig.load(voice / "model.json").mel
    symbols = (voice / "vocab.txt").read_text(encoding="utf-8").split()
    base = {"mean": config.mean, "std": config.std, "symbols": symbols}
    (work / "base.json").write_text(json.dumps(base, ensure_ascii=False), encoding="utf-8")


def with_speaker(frames: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Frames of a clip's phones with one before them for the speaker's token, taken from the first phone that can spare it."""
    longer = int(np.argmax(frames > 1))
    out = np.concatenate(([1], frames))
    out[longer + 1] -= 1
    return out


def load(work: Path) -> Dataset:
    """The data set of a work folder (made by `align`).

    The cache is built when it is older than the alignment.
    """
    alignment, cache = work / "align.jsonl", work / "data.npz"
    if not alignment.is_file():
        raise FileNotFoundError(f"{alignment} does not exist: run the 'align' step first")
    if not cache.is_file() or cache.stat().st_mtime < alignment.stat().st_mtime:
        build_cache(alignment, cache)
    clips = read_alignment(alignment)
    with np.load(cache) as z:
        mean, std = (float(v) for v in z["statistics"])
        mels, mel_at, sound, sound_at = z["mels"], z["mel_at"], z["sound"], z["sound_at"]
        pitch, pitch_at, pitch_hop = z["pitch"], z["pitch_at"], z["pitch_hop"]
    train, held = split(clips)
    speakers = ["", *dict.fromkeys(clip.speaker for clip in clips if clip.speaker)]
    known = {name for k in train for name in clips[k].phones}
    if (work / "base.json").is_file():
        base = json.loads((work / "base.json").read_text(encoding="utf-8"))
        mean, std = base["mean"], base["std"]
        known |= set(base["symbols"])
    return Dataset(
        clips,
        MelConfig(mean=mean, std=std),
        mels,
        mel_at,
        sound,
        sound_at,
        [
            Pitch(pitch[pitch_at[k] : pitch_at[k + 1]], int(pitch_hop[k]), clip.start) if pitch_hop[k] else None
            for k, clip in enumerate(clips)
        ],
        [np.concatenate(([speakers.index(c.speaker) + ANYONE], token_ids(c.phones))) for c in clips],
        [with_speaker(np.array(c.frames, np.int64)) for c in clips],
        train,
        held,
        {int(token) for token in token_ids(sorted(known & set(VOCABULARY)))},
    )


@dataclass
class Batch:
    """B rows of T frames: mel standardised and zero beyond `frames`.

    `index` is each frame's token, `phase` its place inside that token in (0,1).
    """

    mel: Tensor
    frames: Tensor
    tokens: Tensor
    index: Tensor
    phase: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        return Batch(*(getattr(self, f).to(device) for f in ("mel", "frames", "tokens", "index", "phase")))


def index_and_phase(frames: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Token index and phase of every frame for tokens that last `frames` each (0 is allowed)."""
    total = int(frames.sum())
    ends = np.cumsum(frames)
    at = np.arange(total)
    index = np.searchsorted(ends, at, side="right")
    phase = (at - (ends - frames)[index] + 0.5) / np.maximum(1, frames[index])
    return index.astype(np.int64), phase.astype(np.float32)


def collate(data: Dataset, rows: list[list[Part]], length: int, max_tokens: int) -> Batch:
    """One batch: each row lays its parts of clips end to end."""
    count = len(rows)
    mel = np.zeros((count, length, data.config.n_mels), np.float32)
    frames = np.zeros(count, np.int64)
    tokens = np.zeros((count, max_tokens), np.int64)
    index = np.zeros((count, length), np.int64)
    phase = np.zeros((count, length), np.float32)
    for b, parts in enumerate(rows):
        joined = np.concatenate([data.mel(p.clip)[p.start : p.start + p.length] for p in parts])
        spoken = np.concatenate([p.tokens for p in parts])
        n = len(joined)
        mel[b, :n] = (joined - data.config.mean) / data.config.std
        frames[b] = n
        tokens[b, : len(spoken)] = spoken
        index[b, :n], phase[b, :n] = index_and_phase(np.concatenate([p.frames for p in parts]))
    return Batch(*map(torch.from_numpy, (mel, frames, tokens, index, phase)))


@dataclass(frozen=True)
class Part:
    """`length` frames of a clip from frame `start` on: whole tokens and their `frames`, the speaker's first."""

    clip: int
    start: int
    length: int
    tokens: npt.NDArray[np.int64]
    frames: npt.NDArray[np.int64]


def whole(data: Dataset, k: int) -> Part:
    """All of clip k."""
    return Part(k, 0, data.length(k), data.tokens[k], data.frames[k])


def window(data: Dataset, k: int, rng: np.random.Generator) -> Part:
    """A part of clip k of at most WINDOW frames: from its beginning or from a pause, else from any phone."""
    tokens, ends = data.tokens[k], np.cumsum(data.frames[k])
    begins = ends - data.frames[k]
    late = len(tokens) - 1 if ends[-1] <= WINDOW else int(np.searchsorted(begins, ends[-1] - WINDOW // 2))
    at = [1, *(i for i in range(2, late) if tokens[i] in PAUSES)]
    first = int(rng.choice(at)) if len(at) > 1 else int(rng.integers(1, max(2, late)))
    start = 0 if first == 1 else int(begins[first])
    stop = int(np.searchsorted(ends, start + WINDOW, side="right"))
    if stop <= first:
        return whole(data, k)
    frames = data.frames[k][first:stop].copy()
    frames[0] += int(begins[first]) - start
    length = int(frames.sum())
    return Part(k, start, length, np.concatenate((tokens[:1], tokens[first:stop])), with_speaker(frames))


def frames_of(row: list[Part]) -> int:
    """Frames of a row."""
    return sum(part.length for part in row)


class Batches:
    """Endless batches of about `frames_per_step` frames; batch(step) depends on (seed, step) alone.

    `windows`: most long clips are cut to a part.
    """

    def __init__(self, data: Dataset, clips: list[int], frames_per_step: int, seed: int, windows: bool = False) -> None:
        self.data, self.frames_per_step, self.seed, self.windows = data, frames_per_step, seed, windows
        self.clips = [k for k in clips if data.length(k) <= BUCKETS[-1]]
        if not self.clips:
            raise ValueError("no clip is short enough to train on")
        self._epoch: tuple[int, list[tuple[int, list[list[Part]]]]] = (-1, [])
        self.per_epoch = min(len(self._plan(e)) for e in range(4))

    def _draw(self, k: int, rng: np.random.Generator) -> Part:
        if self.windows and self.data.length(k) > WINDOW and rng.random() > WHOLE:
            return window(self.data, k, rng)
        return whole(self.data, k)

    def _plan(self, epoch: int) -> list[tuple[int, list[list[Part]]]]:
        rng = np.random.default_rng((self.seed, epoch))
        shuffled = [self._draw(self.clips[i], rng) for i in rng.permutation(len(self.clips))]
        rows: list[list[Part]] = []
        for speaker in self.data.speakers():
            order = [part for part in shuffled if self.data.clips[part.clip].speaker == speaker]
            while order:
                row = [order.pop()]
                while order and rng.random() < PAIRED and frames_of([*row, order[-1]]) <= BUCKETS[-1]:
                    row.append(order.pop())
                rows.append(row)
        plan: list[tuple[int, list[list[Part]]]] = []
        low = 0
        for length in BUCKETS:
            size = max(1, self.frames_per_step // length)
            inside = [r for r in rows if low < frames_of(r) <= length]
            if inside:
                inside += [inside[int(i)] for i in rng.integers(len(inside), size=-len(inside) % size)]
            plan += [(length, inside[i : i + size]) for i in range(0, len(inside), size)]
            low = length
        return [plan[i] for i in rng.permutation(len(plan))]

    def __call__(self, step: int) -> Batch:
        """The batch of this step."""
        epoch, at = divmod(step, self.per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._plan(epoch))
        plan = self._epoch[1]
        length, rows = plan[at % len(plan)]
        longest = max(sum(len(part.tokens) for part in row) for row in rows)
        return collate(self.data, rows, length, max(length // 4, -(-longest // 32) * 32))


def balanced(data: Dataset, clips: Sequence[int]) -> list[int]:
    """Clips, those of speakers with less speech repeated, so that the shares follow the square roots of their speech."""
    of_speaker = {name: [k for k in clips if data.clips[k].speaker == name] for name in data.speakers()}
    total = {name: sum(map(data.length, own)) for name, own in of_speaker.items() if own}
    most = max(total.values())
    out: list[int] = []
    for name, frames in total.items():
        own, wanted = of_speaker[name], (most / frames) ** 0.5
        out += own * int(wanted) + own[: round(wanted % 1 * len(own))]
    return out


def generator(seed: int, step: int, device: Any = "cpu") -> torch.Generator:
    """Noise source of one step."""
    return torch.Generator(device).manual_seed(seed * 1_000_003 + step)
