"""Log-mel against torchaudio, resampling against librosa: 10 s of audio, one thread, variants taking turns in one run.

python benchmarks/audio.py [--runs 200]

In the window: one call, from float32 samples in memory to a float32 array or tensor. Not in it: imports, building the
transforms of torchaudio (filters, window), warm-up. Needs torchaudio and librosa; the mel needs none of torchaudio's
shared libraries, so they are not loaded.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import librosa
import numpy as np
import torch
from common import write_csv

from ishowtts import _audio

SECONDS = 10


def torchaudio_mel() -> Callable[[torch.Tensor], torch.Tensor]:
    """The mel of Vocos and F5-TTS by torchaudio.transforms."""
    real = Path.glob

    def without_libraries(self: Path, pattern: str) -> Iterator[Path]:
        return iter(()) if self.parent.name == "torchaudio" else real(self, pattern)

    with mock.patch.object(Path, "glob", without_libraries):
        transforms = importlib.import_module("torchaudio.transforms")
    mel = transforms.MelSpectrogram(sample_rate=24000, n_fft=1024, hop_length=256, n_mels=100, center=True, power=1)
    return lambda x: torch.log(torch.clip(mel(x), min=1e-5))


def main() -> None:
    """Measure, print, write benchmarks/results/audio.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    args = parser.parse_args()
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    at_24, at_44, at_48 = (
        (generator.standard_normal(SECONDS * rate) * 0.1).astype(np.float32) for rate in (24000, 44100, 48000)
    )
    tensor, reference_mel = torch.from_numpy(at_24), torchaudio_mel()
    tasks: list[tuple[str, str, Callable[[], object], Callable[[], object]]] = [
        ("mel", "torchaudio", lambda: _audio.mel(at_24), lambda: reference_mel(tensor).T),
        *(
            (
                f"resample {rate}-24000",
                "librosa soxr_hq",
                lambda x=x, rate=rate: _audio.resample(x, rate, 24000),
                lambda x=x, rate=rate: librosa.resample(x, orig_sr=rate, target_sr=24000),
            )
            for rate, x in ((44100, at_44), (48000, at_48))
        ),
    ]
    rows: list[dict[str, object]] = []
    print(f"{'task':<22}{'peer':<17}{'ours ms':>9}{'peer ms':>9}{'ratio':>7}{'(of minima)':>12}{'difference':>12}")
    for task, peer, ours, theirs in tasks:
        a, b = np.asarray(ours()), np.asarray(theirs())
        difference = float(np.abs(a[: len(b)] - b[: len(a)]).max())
        times: tuple[list[float], list[float]] = ([], [])
        for run in range(args.runs + 5):
            for which, call in ((0, ours), (1, theirs)) if run % 2 else ((1, theirs), (0, ours)):
                start = time.perf_counter()
                call()
                if run >= 5:
                    times[which].append(1e3 * (time.perf_counter() - start))
        mine, other = (statistics.median(t) for t in times)
        ratio, floor = statistics.median(y / x for x, y in zip(*times, strict=True)), min(times[1]) / min(times[0])
        print(f"{task:<22}{peer:<17}{mine:>9.3f}{other:>9.3f}{ratio:>7.2f}{floor:>12.2f}{difference:>12.1e}")
        rows.append(
            {
                "task": task,
                "peer": peer,
                "audio_s": SECONDS,
                "runs": args.runs,
                "ours_median_ms": round(mine, 4),
                "peer_median_ms": round(other, 4),
                "ours_min_ms": round(min(times[0]), 4),
                "peer_min_ms": round(min(times[1]), 4),
                "median_paired_ratio": round(ratio, 3),
                "ratio_of_minima": round(floor, 3),
                "largest_difference": f"{difference:.2e}",
                "torchaudio": version("torchaudio"),
                "librosa": version("librosa"),
                "soxr": version("soxr"),
            }
        )
    write_csv("audio", rows)


if __name__ == "__main__":
    main()
