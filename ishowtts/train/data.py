"""The training data: one cache file of log-mels, phones, durations and sound, and the batches drawn from it.

Everything random is a function of (seed, step) and not of a generator's state, so a run that was killed and resumed
gets the same batches as one that was not. Rows have a few fixed lengths, so that compiled graphs are reused. Clips are
often joined end to end: a reference prompt followed by new text has that form, and rows become longer than single
clips. Long clips are often cut to a part, since attention costs the square of the length and short rows teach more
per second.

Some rows begin with a prompt: the first seconds of a clip, whose frames all belong to the token of the unnamed speaker,
so that the rest is spoken in the voice of a sound whose words are unknown. Clips without a named speaker are always
divided in this way, for each is of another speaker.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ishowtts.model.config import MelConfig, ModelConfig
from ishowtts.quality import timbre, tones
from ishowtts.quality.clips import Clip as QualityClip

from .align import SAMPLE_RATE, Clip, load_audio, read_alignment, sentence_key
from .vocabulary import ANYONE, PAUSES, VOCABULARY, token_ids, with_speakers

Wave = npt.NDArray[np.float32]

BUCKETS = (192, 256, 320, 384, 512, 768, 1280)  # frames
PAIRED = 0.25  # probability that another clip joins those that a row has
WINDOW = 320  # most frames of a part of a clip
PROMPTED = 0.15  # share of the clips of named speakers that are divided into prompt and text
PROMPT = (96, 768)  # frames of a prompt
BEHIND_PROMPT = 64  # least frames behind it
WHOLE = 0.25  # share of the long rows that are not cut
HELD_OUT = 24  # one sentence in so many is not trained on
FLOOR = 1e-5  # of mel magnitudes
VOICED = 50.0  # Hz; a teacher's lower pitch means unvoiced


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
    """The pitch of a teacher's speech: hz [T] in Hz, one value every `hop` samples, at most VOICED where unvoiced.

    The clip begins at the sample `start` of that speech. A teacher's source goes on while the speech is unvoiced, so
    the low values there are kept: without them the phase would be wrong after every unvoiced sound.
    """

    hz: npt.NDArray[np.float32]
    hop: int
    start: int

    def at(self, samples: int) -> tuple[Wave, Wave]:
        """(phase in cycles, 0 to 1; pitch in Hz, 0 where unvoiced), [samples] each, of the clip's first samples.

        The phase is that of the teacher's own pulses: the sum of its pitch at the middles of its frames, linear between
        them.
        """
        place = np.clip((self.start + np.arange(samples) + 0.5) / self.hop - 0.5, 0, len(self.hz) - 1)
        cycles = np.interp(
            place, np.arange(len(self.hz)), np.cumsum(self.hz / SAMPLE_RATE, dtype=np.float64) * self.hop
        )
        left = place.astype(np.int64)
        right, weight = np.minimum(left + 1, len(self.hz) - 1), place - left
        voiced = np.where(self.hz > VOICED, self.hz, 0).astype(np.float32)
        a, b = voiced[left], voiced[right]
        hz = np.where((a > 0) & (b > 0), a + (b - a) * weight, np.where(weight < 0.5, a, b))
        return (cycles % 1).astype(np.float32), hz.astype(np.float32)


@dataclass
class Dataset:
    """Aligned clips in memory.

    `mels` [sum of frames, n_mels], log-mels that are not standardised, and `sound` [sum of samples], int16, hold the
    clips one after another: clip k has the frames mel_at[k] to mel_at[k+1] and the samples sound_at[k] to
    sound_at[k+1]. `pitch` [clips]: of those that a teacher has read, else None. `measured` [sum of frames]: pitch in Hz
    of the other clips in each mel frame where a tracker finds one, else 0. `tokens` and `frames` [clips]: of each clip
    its tokens [S] and how many frames each lasts [S]. `train` and `held_out`: indices of clips. `known`: tokens that
    occur in the training clips or in the vocabulary of the voice that is fine-tuned.
    """

    clips: list[Clip]
    config: MelConfig
    mels: npt.NDArray[np.float16]
    mel_at: npt.NDArray[np.int64]
    sound: npt.NDArray[np.int16]
    sound_at: npt.NDArray[np.int64]
    pitch: list[Pitch | None]
    measured: npt.NDArray[np.float32]
    tokens: list[npt.NDArray[np.int64]]
    frames: list[npt.NDArray[np.int64]]
    train: list[int]
    held_out: list[int]
    known: set[int]

    def mel(self, k: int) -> npt.NDArray[np.float32]:
        """Log-mel of clip k, [T,n_mels], not standardised."""
        return self.mels[self.mel_at[k] : self.mel_at[k + 1]].astype(np.float32)

    def wave(self, k: int) -> npt.NDArray[np.float32]:
        """Samples of clip k, [N], in [-1, 1]."""
        return self.sound[self.sound_at[k] : self.sound_at[k + 1]].astype(np.float32) / np.float32(32768)

    def length(self, k: int) -> int:
        """Number of mel frames of clip k."""
        return int(self.mel_at[k + 1] - self.mel_at[k])

    def speakers(self) -> list[str]:
        """Names of the speakers, in order of appearance."""
        return list(dict.fromkeys(clip.speaker for clip in self.clips))

    @property
    def symbols(self) -> list[str]:
        """The vocabulary: VOCABULARY, then the speakers; symbol i has the token i + 1."""
        return with_speakers([name for name in self.speakers() if name])

    def one_take_each(self, speaker: str, trained: bool = False) -> list[int]:
        """Indices of a speaker's held-out clips (`trained`: training clips), one for each sentence."""
        seen: dict[str, int] = {}
        for k in self.train if trained else self.held_out:
            if self.clips[k].speaker == speaker:
                seen.setdefault(sentence_key(self.clips[k].text), k)
        return list(seen.values())


def split(clips: list[Clip]) -> tuple[list[int], list[int]]:
    """Indices (train, held out) of clips, by a hash of the words, so that all takes of a sentence are on one side."""

    def held(text: str) -> bool:
        return hashlib.sha256(sentence_key(text).encode()).digest()[0] % HELD_OUT == 0

    out = [k for k, c in enumerate(clips) if held(c.text)]
    rest = [k for k, c in enumerate(clips) if not held(c.text)]
    return rest, out


def build_cache(alignment: Path, out: Path, progress: Callable[[list[Clip]], Iterator[Clip]] | None = None) -> None:
    """Reads the sound of every aligned clip and writes the cache `out` (.npz).

    ValueError when a clip's sound has another length than its alignment.
    """
    clips = read_alignment(alignment)
    config = MelConfig()
    mels, sounds, pitches, hops, measured = [], [], [], [], []
    for clip in progress(clips) if progress else clips:
        wave = load_audio(Path(clip.path))[clip.start : clip.end] * np.float32(clip.gain)
        pcm = (np.clip(wave, -1, 1) * 32767).round().astype(np.int16)
        sounds.append(pcm)
        mels.append(log_mel(torch.from_numpy(wave)[None], config)[0].numpy().astype(np.float16))
        pitch, hop = _pitch(Path(clip.path).with_suffix(".npz"))
        pitches.append(pitch)
        measured.append(np.zeros(len(mels[-1]), np.float32) if hop else _measured(pcm, len(mels[-1])))
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
        measured=np.concatenate(measured),
        statistics=np.array([train.mean(), train.std()]),
    )
    partial.replace(out)


def _is_whole(cache: Path) -> bool:
    """Whether a cache has all that `build_cache` writes; one that an earlier version wrote may not."""
    with np.load(cache) as z:
        return "measured" in z.files


def _pitch(path: Path) -> tuple[npt.NDArray[np.float32], int]:
    """The pitch [T] in Hz that `teach` wrote beside a sound, and its hop in samples; empty and 0 without one."""
    if not path.is_file():
        return np.zeros(0, np.float32), 0
    with np.load(path) as z:
        return z["pitch"], int(z["pitch_hop"])


def _measured(pcm: npt.NDArray[np.int16], frames: int) -> npt.NDArray[np.float32]:
    """Pitch in Hz of the mel frames [frames] of samples in int16, 0 where none is found."""
    out = np.zeros(frames, np.float32)
    if len(pcm) >= timbre.YIN_FRAME:
        tracked = tones.track(QualityClip("", pcm.astype(np.float32) / np.float32(32768), SAMPLE_RATE))[:frames]
        out[: len(tracked)] = tracked
    return out


def adopt(work: Path, voice: Path) -> None:
    """Writes work/base.json: the mel statistics and the symbols of the voice folder that is fine-tuned.

    `load` uses them instead of those of the recordings.
    """
    config = ModelConfig.load(voice / "model.json").mel
    symbols = (voice / "vocab.txt").read_text(encoding="utf-8").split()
    base = {"mean": config.mean, "std": config.std, "symbols": symbols}
    (work / "base.json").write_text(json.dumps(base, ensure_ascii=False), encoding="utf-8")


def with_speaker(frames: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`frames` [S] of a clip's phones as [S+1]: the speaker's token gets one frame of the first phone that has two."""
    longer = int(np.argmax(frames > 1))
    out = np.concatenate(([1], frames))
    out[longer + 1] -= 1
    return out


def load(work: Path) -> Dataset:
    """The data set of a work folder, of whose alignment it builds the cache when that is older or absent.

    FileNotFoundError when `align` (or `teach`) has not run.
    """
    alignment, cache = work / "align.jsonl", work / "data.npz"
    if not alignment.is_file():
        raise FileNotFoundError(f"{alignment} does not exist: run the 'align' step first")
    if not cache.is_file() or cache.stat().st_mtime < alignment.stat().st_mtime or not _is_whole(cache):
        build_cache(alignment, cache)
    clips = read_alignment(alignment)
    with np.load(cache) as z:
        mean, std = (float(v) for v in z["statistics"])
        mels, mel_at, sound, sound_at = z["mels"], z["mel_at"], z["sound"], z["sound_at"]
        pitch, pitch_at, pitch_hop = z["pitch"], z["pitch_at"], z["pitch_hop"]
        measured = z["measured"]
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
        measured,
        [np.concatenate(([speakers.index(c.speaker) + ANYONE], token_ids(c.phones))) for c in clips],
        [with_speaker(np.array(c.frames, np.int64)) for c in clips],
        train,
        held,
        {int(token) for token in token_ids(sorted(known & set(VOCABULARY)))},
    )


@dataclass
class Batch:
    """B rows of T frames.

    `mel` [B,T,n_mels], standardised, 0 behind a row's `frames` [B]; `tokens` [B,S], 0 where padded; `index` [B,T]: the
    place in `tokens` of the token that a frame belongs to; `phase` [B,T]: its place inside that token, in (0, 1);
    `prompt` [B]: frames of a row's prompt, 0 without one.
    """

    mel: Tensor
    frames: Tensor
    tokens: Tensor
    index: Tensor
    phase: Tensor
    prompt: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))


def index_and_phase(frames: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """(index [T], phase [T]) of every frame, as in `Batch`, for tokens that last `frames` [S] each; T is their sum."""
    total = int(frames.sum())
    ends = np.cumsum(frames)
    at = np.arange(total)
    index = np.searchsorted(ends, at, side="right")
    phase = (at - (ends - frames)[index] + 0.5) / np.maximum(1, frames[index])
    return index.astype(np.int64), phase.astype(np.float32)


def collate(data: Dataset, rows: list[list[Part]], length: int, max_tokens: int) -> Batch:
    """A batch whose row b joins the parts rows[b] end to end, padded to `length` frames and `max_tokens` tokens."""
    count = len(rows)
    mel = np.zeros((count, length, data.config.n_mels), np.float32)
    frames = np.zeros(count, np.int64)
    tokens = np.zeros((count, max_tokens), np.int64)
    index = np.zeros((count, length), np.int64)
    phase = np.zeros((count, length), np.float32)
    prompt = np.zeros(count, np.int64)
    for b, parts in enumerate(rows):
        joined = np.concatenate([data.mel(p.clip)[p.start : p.start + p.length] for p in parts])
        spoken = np.concatenate([p.tokens for p in parts])
        n = len(joined)
        mel[b, :n] = (joined - data.config.mean) / data.config.std
        frames[b] = n
        tokens[b, : len(spoken)] = spoken
        index[b, :n], phase[b, :n] = index_and_phase(np.concatenate([p.frames for p in parts]))
        prompt[b] = sum(p.length for p in parts if is_prompt(p))
    return Batch(*map(torch.from_numpy, (mel, frames, tokens, index, phase, prompt)))


@dataclass(frozen=True)
class Part:
    """`length` mel frames of a clip from `start` on, with their whole tokens [S] and the frames [S] of each.

    The first token is the speaker's, but for what follows a prompt. A prompt has the token ANYONE alone.
    """

    clip: int
    start: int
    length: int
    tokens: npt.NDArray[np.int64]
    frames: npt.NDArray[np.int64]


def whole(data: Dataset, k: int) -> Part:
    """All of clip k."""
    return Part(k, 0, data.length(k), data.tokens[k], data.frames[k])


def window(data: Dataset, k: int, rng: np.random.Generator) -> Part:
    """A random part of clip k of at most WINDOW frames, from its beginning or a pause, else from any phone.

    The whole clip when a single phone is longer.
    """
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


def is_prompt(part: Part) -> bool:
    """Whether all frames of a part belong to the unnamed speaker's token."""
    return len(part.tokens) == 1


def divided(part: Part, rng: np.random.Generator) -> list[Part]:
    """A part as a prompt and what follows it, divided before a random phone; [part] where both would be too short."""
    begins = np.cumsum(part.frames) - part.frames
    can = (begins >= PROMPT[0]) & (begins <= min(PROMPT[1], part.length - BEHIND_PROMPT))
    if not can.any():
        return [part]
    first = int(rng.choice(np.flatnonzero(can)))
    cut = int(begins[first])
    return [
        Part(part.clip, part.start, cut, np.array([ANYONE], np.int64), np.array([cut], np.int64)),
        Part(part.clip, part.start + cut, part.length - cut, part.tokens[first:], part.frames[first:]),
    ]


def frames_of(row: list[Part]) -> int:
    """Number of frames of a row of parts."""
    return sum(part.length for part in row)


def _may_join(row: list[Part], more: list[Part], speaker: str) -> bool:
    return (
        bool(speaker) and frames_of([*row, *more]) <= BUCKETS[-1] and not is_prompt(row[0]) and not is_prompt(more[0])
    )


class Batches:
    """Batches of about `frames_per_step` frames without end; batches(step) depends on (seed, step) only.

    `windows`: most long clips are cut to a part. ValueError when every clip is longer than the longest bucket.
    """

    def __init__(self, data: Dataset, clips: list[int], frames_per_step: int, seed: int, windows: bool = False) -> None:
        self.data, self.frames_per_step, self.seed, self.windows = data, frames_per_step, seed, windows
        self.clips = [k for k in clips if data.length(k) <= BUCKETS[-1]]
        if not self.clips:
            raise ValueError("no clip is short enough to train on")
        self._epoch: tuple[int, list[tuple[int, list[list[Part]]]]] = (-1, [])
        self.per_epoch = min(len(self._plan(e)) for e in range(4))

    def _draw(self, k: int, rng: np.random.Generator) -> list[Part]:
        if not self.data.clips[k].speaker or rng.random() < PROMPTED:
            return divided(whole(self.data, k), rng)
        if self.windows and self.data.length(k) > WINDOW and rng.random() > WHOLE:
            return [window(self.data, k, rng)]
        return [whole(self.data, k)]

    def _plan(self, epoch: int) -> list[tuple[int, list[list[Part]]]]:
        rng = np.random.default_rng((self.seed, epoch))
        shuffled = [self._draw(self.clips[i], rng) for i in rng.permutation(len(self.clips))]
        rows: list[list[Part]] = []
        for speaker in self.data.speakers():
            order = [parts for parts in shuffled if self.data.clips[parts[0].clip].speaker == speaker]
            while order:
                row = order.pop()
                while order and _may_join(row, order[-1], speaker) and rng.random() < PAIRED:
                    row = [*row, *order.pop()]
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
    """Indices of clips, repeated so that each speaker's share follows the square root of the amount of speech."""
    of_speaker = {name: [k for k in clips if data.clips[k].speaker == name] for name in data.speakers()}
    total = {name: sum(map(data.length, own)) for name, own in of_speaker.items() if own}
    most = max(total.values())
    out: list[int] = []
    for name, frames in total.items():
        own, wanted = of_speaker[name], (most / frames) ** 0.5
        out += own * int(wanted) + own[: round(wanted % 1 * len(own))]
    return out


def generator(seed: int, step: int, device: Any = "cpu") -> torch.Generator:
    """A random generator whose state depends on (seed, step) only."""
    return torch.Generator(device).manual_seed(seed * 1_000_003 + step)
