"""What all trainings share: budget, exact resume, moving average, curves, a progress bar.

A run has one folder with `checkpoint.pt` (models, optimisers, average, step, minutes spent, random state; written
atomically) and `curves.csv`. Killing it at any moment loses at most `SAVE_EVERY` seconds. With `steps` the result
depends on the seed only; with `minutes` the learning rate follows the clock, so it depends on the machine's speed too.
"""

from __future__ import annotations

import copy
import csv
import math
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from ishowtts._native import multiplies_bf16
from ishowtts.model.compile import cpu_flags

from .vocabulary import carry_over

SAVE_EVERY = 90.0  # seconds
WARM_UP = 300  # steps
AVERAGE_EVERY = 5  # steps between updates of the moving average
FINE_TUNING = 0.5  # factor on the learning rates of a run that starts from a voice
EMBEDDINGS = {"text_embed.text_embed.weight", "embed.weight"}  # rows follow the vocabulary


@dataclass(frozen=True)
class Options:
    """The user's choices. The budget is `steps` if given, else `minutes`; `finetune`: a voice folder to start from."""

    work: Path
    minutes: float = 60.0
    steps: int | None = None
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    finetune: Path | None = None
    compile: bool = False
    score_every: float = 15.0  # minutes


class Run:
    """One training run, resumed from its folder if that holds a checkpoint.

    `ema` is the moving average of the module named `average`. `symbols`: the vocabulary of a network that reads tokens.
    Iterate over `steps()`, and call `add` and `row` for the curves. ValueError when the voice to start from is of
    another architecture.
    """

    def __init__(
        self,
        folder: Path,
        options: Options,
        modules: dict[str, nn.Module],
        optimizers: dict[str, Any],
        average: str | None = None,
        decay: float = 0.999,
        symbols: Sequence[str] = (),
    ) -> None:
        self.folder, self.options, self.modules, self.optimizers = folder, options, modules, optimizers
        self.average, self.decay, self.symbols = average, decay, symbols
        self.ema = copy.deepcopy(modules[average]).requires_grad_(False) if average else None
        self.step, self.minutes, self.stopped = 0, 0.0, False
        self._interrupted = False
        self._sums: dict[str, tuple[float, int]] = {}
        self.rates = {name: [g["lr"] for g in o.param_groups] for name, o in optimizers.items()}
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "checkpoint.pt").is_file():
            self._restore()
        elif options.finetune is not None and average is not None:
            self._adopt(options.finetune, average)

    @property
    def fraction(self) -> float:
        """Share of the budget that is spent, 0 to 1."""
        if self.options.steps is not None:
            return min(1.0, self.step / max(1, self.options.steps))
        return min(1.0, self.minutes / self.options.minutes)

    @property
    def rate(self) -> float:
        """Factor on every learning rate: warm-up, then cosine down to 2 %; times FINE_TUNING for fine-tuning."""
        cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * self.fraction))
        return min(1.0, (self.step + 1) / WARM_UP) * cosine * (1.0 if self.options.finetune is None else FINE_TUNING)

    def steps(self) -> Iterator[int]:
        """Step numbers until the budget is spent or SIGTERM or SIGINT comes; writes checkpoints as it goes.

        KeyboardInterrupt after SIGINT, when the last checkpoint is written.
        """
        previous = {s: signal.signal(s, self._stop) for s in (signal.SIGTERM, signal.SIGINT)}
        bar = tqdm(
            total=self.options.steps if self.options.steps is not None else round(self.options.minutes, 1),
            unit="step" if self.options.steps is not None else "min",
            desc=self.folder.name,
            mininterval=5,
            bar_format=None
            if self.options.steps is not None
            else "{desc} {percentage:3.0f}%|{bar}| {n:.1f}/{total} min {postfix}",
        )
        saved = time.monotonic()
        try:
            while self.fraction < 1 and not self.stopped:
                for name, optimizer in self.optimizers.items():
                    for group, base in zip(optimizer.param_groups, self.rates[name], strict=True):
                        group["lr"] = base * self.rate
                begun = time.monotonic()
                yield self.step
                self.step += 1
                if self.ema is not None and self.step % AVERAGE_EVERY == 0:
                    self._follow()
                now = time.monotonic()
                self.minutes += (now - begun) / 60
                bar.n = self.step if self.options.steps is not None else self.minutes
                if self.step % 10 == 0:
                    bar.set_postfix({k: f"{s / n:.4f}" for k, (s, n) in self._sums.items() if n}, refresh=False)
                    bar.update(0)
                if now - saved > SAVE_EVERY:
                    self.save()
                    saved = time.monotonic()
        finally:
            bar.close()
            for number, handler in previous.items():
                signal.signal(number, handler)
        self.save()
        if self._interrupted:
            raise KeyboardInterrupt  # what was asked for after this network does not begin

    def add(self, **values: float) -> None:
        """Adds values of this step to the means of the next row of the curves."""
        for name, value in values.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total + value, count + 1)

    def row(self, **values: float) -> None:
        """Appends a row to curves.csv: step, minutes, the means since the last row, and `values`."""
        means = {k: s / n for k, (s, n) in self._sums.items() if n}
        self._sums = {}
        with (self.folder / "curves.csv").open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            for name, value in {**means, **values}.items():
                writer.writerow([self.step + 1, f"{self.minutes:.3f}", name, f"{value:.6g}"])

    def save(self) -> None:
        """Replaces the checkpoint atomically."""
        state = {
            "modules": {k: m.state_dict() for k, m in self.modules.items()},
            "optimizers": {k: o.state_dict() for k, o in self.optimizers.items()},
            "ema": self.ema.state_dict() if self.ema is not None else None,
            "step": self.step,
            "minutes": self.minutes,
            "rng": torch.get_rng_state(),
        }
        partial = self.folder / "checkpoint.partial"
        torch.save(state, partial)
        partial.replace(self.folder / "checkpoint.pt")

    def _adopt(self, voice: Path, name: str) -> None:
        state = starting_weights(voice, self.folder.name, self.modules[name], self.symbols)
        for target in (self.modules[name], self.ema):
            assert target is not None
            target.load_state_dict(state)

    def _restore(self) -> None:
        state = torch.load(self.folder / "checkpoint.pt", map_location="cpu", weights_only=True)
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.step, self.minutes = state["step"], state["minutes"]
        torch.set_rng_state(state["rng"])

    @torch.no_grad()
    def _follow(self) -> None:
        assert self.ema is not None and self.average is not None
        decay = min(self.decay, (1 + self.step) / (10 + self.step)) ** AVERAGE_EVERY
        source = dict(self.modules[self.average].named_parameters())
        mine = dict(self.ema.named_parameters())
        torch._foreach_lerp_(list(mine.values()), [source[k] for k in mine], 1 - decay)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopped, self._interrupted = True, number == signal.SIGINT


def starting_weights(voice: Path, name: str, net: nn.Module, wanted: Sequence[str]) -> dict[str, torch.Tensor]:
    """The weights of `net` in the file `name`.safetensors of a voice folder, as fp32.

    Embeddings are rearranged for the vocabulary `wanted`. ValueError when the voice is of another architecture.
    """
    from safetensors.torch import load_file

    path, mine = voice / f"{name}.safetensors", net.state_dict()
    state = {key: value.float() if value.is_floating_point() else value for key, value in load_file(path).items()}
    if not any(key.startswith("guidance_embed.") for key in mine):  # a distilled voice, without its guidance embedding
        state = {key: value for key, value in state.items() if not key.startswith("guidance_embed.")}
    try:
        for table in EMBEDDINGS & state.keys():
            symbols = (voice / "vocab.txt").read_text(encoding="utf-8").split()
            state[table] = carry_over(state[table], symbols, mine[table], wanted)
        if {key: value.shape for key, value in state.items()} != {key: value.shape for key, value in mine.items()}:
            raise ValueError("names or shapes of its weights differ")
    except (RuntimeError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is of another architecture: {error}") from error
    return state


def half(device: str) -> torch.autocast:
    """Autocast to bf16 when the device multiplies it faster than fp32; without effect otherwise."""
    faster = device != "cpu" or multiplies_bf16() or "bf16" in cpu_flags()
    return torch.autocast(device, dtype=torch.bfloat16, enabled=faster)


def prepare(options: Options) -> torch.device:
    """Sets torch's number of threads and its seed; returns the device of a run."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    return torch.device(options.device)
