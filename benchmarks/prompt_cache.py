"""What `prompt_cache` saves and costs in a step of a published architecture, with random weights of real size.

One guided step of the native backend on the frames to be made: whole rows, `short_guidance`, and after a kept
reference. Processor time, not wall time, so that other work on the machine counts less; the three take turns. Errors
are those of the velocity of the new frames, against whole rows of the same precision and of fp32. A run adds its
precisions to the file, so that a slow machine can take them one at a time.

    python benchmarks/prompt_cache.py [--model F5TTS_v1_Base] [--precision fp32,bf16,int8-dynamic] [--rounds 2]
                                      [--reference 4] [--speech 4] [--threads 2]
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import write_csv
from safetensors.torch import save_file
from torch import Tensor

from ishowtts._native import Native
from ishowtts.model.config import PRESETS, ModelConfig
from ishowtts.model.dit import DiT
from ishowtts.model.native import native_json
from ishowtts.model.source import ModelSource
from ishowtts.model.vocos import Vocos

CFG, SYMBOLS, RATE, REACH = 2.0, 2545, 24000 / 256, 12
SYMBOLS_PER_SECOND = 15
TIMES = (0.0, 0.25, 0.7)


def raw(tensor: Tensor) -> memoryview:
    """Its memory."""
    return memoryview(tensor.numpy()).cast("B")


def weights(config: ModelConfig, folder: Path) -> ModelSource:
    """Random weights, none of which is zero, in a folder."""
    torch.manual_seed(0)
    dit, vocos = DiT(config.dit), Vocos(config.vocos, config.mel)
    for name, weight in dit.named_parameters():
        if bool((weight == weight.flatten()[0]).all()):
            torch.nn.init.normal_(weight, std=0.03 if name.startswith("proj_out") else 0.2)
    save_file({k: v for k, v in dit.state_dict().items() if "inv_freq" not in k}, folder / "dit.safetensors")
    save_file(vocos.state_dict(), folder / "vocos.safetensors")
    (folder / "vocab.txt").write_text("\n".join(str(i) for i in range(SYMBOLS)) + "\n", encoding="utf-8")
    return ModelSource(config, folder / "dit.safetensors", folder / "vocos.safetensors", folder / "vocab.txt", None, ())


class Rows:
    """One voice and text in a backend; `reference` and `new`: their frames."""

    def __init__(self, native: Native, config: ModelConfig, reference: int, new: int) -> None:
        make = torch.Generator().manual_seed(1)
        self.native, self.reference, self.frames = native, reference, reference + new
        spoken, said = (round(n / RATE * SYMBOLS_PER_SECOND) for n in (reference, new))
        tokens = torch.zeros(self.frames, dtype=torch.int64)
        tokens[: spoken + said] = torch.randint(1, SYMBOLS + 1, (spoken + said,), generator=make)
        alone = tokens[:reference].clone()
        alone[spoken:] = 0
        cond = torch.zeros(self.frames, config.mel.n_mels)
        cond[:reference] = torch.randn(reference, config.mel.n_mels, generator=make)
        self.h, self.h_alone = torch.empty(2, self.frames, config.dit.dim), torch.empty(2, reference, config.dit.dim)
        native.encode(raw(tokens), raw(cond), None, None, reference, self.frames, *map(raw, self.h))
        native.encode(raw(alone), raw(cond[:reference]), None, None, reference, reference, *map(raw, self.h_alone))
        self.cond = cond[:reference].clone()
        self.x = torch.randn(self.frames, config.mel.n_mels, generator=make)
        self.noise = self.x[:reference].clone()
        self.live = torch.zeros(reference, dtype=torch.uint8)
        self.live[max(spoken - REACH, 0) : spoken + said + REACH] = 1
        self.live[-REACH:] = 1
        self.mods = torch.empty(len(TIMES), config.dit.modulation)
        native.modulate(raw(torch.tensor(TIMES)), raw(torch.zeros(len(TIMES))), raw(self.mods))

    def at(self, i: int) -> tuple[dict[str, Callable[[], Tensor]], Callable[[], Tensor]]:
        """The velocity of the new frames at TIMES[i] in three ways, and what keeps the reference."""
        t, mod, n = TIMES[i], self.mods[i].contiguous(), self.reference
        x = self.x.clone()
        x[:n] = (1 - t) * self.noise + t * self.cond

        def move(
            frames: int, state: Tensor, h: Tensor, other: Tensor | None, *known: tuple[memoryview, memoryview]
        ) -> Tensor:
            out = state.clone()
            row = (
                raw(out),
                raw(h),
                None if other is None else raw(other),
                raw(mod),
                1.0,
                CFG if other is not None else 0.0,
            )
            self.native.step([(*row, frames, *known)])
            return (out - state)[-(self.frames - n) :]

        def unconditional() -> Tensor:
            return move(self.frames - n, x[n:].contiguous(), self.h[1][n:].contiguous(), None)

        def guided(v: Tensor) -> Tensor:
            return v + CFG * (v - unconditional())

        kept = torch.empty(self.native.prompt_bytes(n), dtype=torch.uint8)

        def keep() -> Tensor:
            self.native.prompt(*map(raw, (self.cond, self.noise, self.h_alone[0], mod)), t, raw(kept))
            return kept

        ways = {
            "whole": lambda: move(self.frames, x, self.h[0], self.h[1]),
            "short guidance": lambda: guided(move(self.frames, x, self.h[0], None)),
            "prompt cache": lambda: guided(move(self.frames, x, self.h[0], None, (raw(kept), raw(self.live)))),
        }
        return ways, keep


def error(got: Tensor, expected: Tensor) -> float:
    """Relative to the norm."""
    return float((got - expected).norm() / expected.norm())


def main() -> None:
    """Measure, print a table, write benchmarks/results/prompt_cache.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=PRESETS, default="F5TTS_v1_Base")
    parser.add_argument("--depth", type=int, help="blocks, fewer than the model has, for a try")
    parser.add_argument("--precision", default="fp32,bf16,int8-dynamic")
    parser.add_argument("--reference", type=float, default=4.0, help="seconds")
    parser.add_argument("--speech", type=float, default=4.0, help="seconds")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    preset = PRESETS[args.model]
    dit = dataclasses.replace(preset.dit, text_num_embeds=SYMBOLS, depth=args.depth or preset.dit.depth)
    config = dataclasses.replace(preset, dit=dit)
    reference, new = (round(seconds * RATE) for seconds in (args.reference, args.speech))
    table: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as place:
        source = weights(config, Path(place))
        exact: list[Tensor] = []
        for precision in dict.fromkeys(("fp32", *args.precision.split(","))):
            rows = Rows(Native(native_json(source, precision), threads=args.threads), config, reference, new)
            errors: dict[str, list[tuple[float, ...]]] = {}
            asked = precision in args.precision.split(",")
            for i in range(len(TIMES)):
                ways, keep = rows.at(i)
                keep()
                got = {name: run() for name, run in ways.items() if asked or name == "whole"}
                if precision == "fp32":
                    exact.append(got["whole"])
                for name, value in got.items():
                    beside = (got["whole"], exact[i], got.get("short guidance", value))
                    errors.setdefault(name, []).append(tuple(error(value, other) for other in beside))
            if not asked:
                continue
            taken: dict[str, list[float]] = {}
            for _ in range(args.rounds):
                for name, run in {**ways, "keeping": keep}.items():
                    start = time.process_time()
                    run()
                    taken.setdefault(name, []).append(time.process_time() - start)
            whole = statistics.median(taken["whole"])
            for name, seconds in taken.items():
                pair = errors.get(name, [])
                own, fp32, short = (statistics.mean(p[k] for p in pair) if pair else None for k in range(3))
                middle = statistics.median(seconds)
                shown = " ".join(f"{value or 0:.4f}" for value in (own, fp32, short))
                print(f"{precision:13} {name:15} {middle:7.3f} s  {whole / middle:5.2f}x  {shown}")
                table.append({
                    "run": f"{args.model}, {precision}, {args.reference:g} s + {args.speech:g} s", "model": args.model,
                    "depth": dit.depth, "precision": precision, "way": name, "reference_frames": reference,
                    "new_frames": new, "threads": args.threads, "cpu_seconds": round(middle, 4),
                    "times_whole": round(whole / middle, 3),
                    "error_to_whole": "" if own is None else f"{own:.3e}",
                    "error_to_fp32": "" if fp32 is None else f"{fp32:.3e}",
                    "error_to_short_guidance": "" if short is None else f"{short:.3e}",
                    "megabytes_per_time": round(rows.native.prompt_bytes(reference) / 1e6, 1),
                })  # fmt: skip
            del rows
    write_csv("prompt_cache", table, by="run")


if __name__ == "__main__":
    main()
