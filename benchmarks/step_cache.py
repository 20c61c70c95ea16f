"""Step caches tried on the embedded voice: what some calls leave out and take from the call before, beside fewer steps.

`blocks a-b`: of the transformer's blocks these are not computed; what they added at the last whole call is added again
(Chen et al. 2024, "Δ-DiT", section 3.2). `difference`: the unconditional branch is not computed; v_c - v_u of the last
whole call serves again (Lyu et al. 2024, "FasterCache", section 3.3). A prototype in PyTorch: `work` is the share of
block evaluations that seven calls with both branches take, whatever the network can do without them.

    python benchmarks/step_cache.py [--sentences 30] [--threads 1]       # writes benchmarks/results/step_cache.csv
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from common import write_csv
from torch import Tensor
from torch.nn import functional as F

from ishowtts.model.checkpoint import load_model
from ishowtts.model.dit import DiT
from ishowtts.model.sampler import time_grid
from ishowtts.quality import mos, sources
from ishowtts.quality.intelligibility import rates
from ishowtts.text import phones
from ishowtts.train.data import index_and_phase
from ishowtts.train.listen import Listener, interval
from ishowtts.train.speaking import predict_frames, speak
from ishowtts.train.vocabulary import token_ids

NFE, CFG, SWAY = 7, 2.0, -1.0


@dataclass(frozen=True)
class Way:
    """`reuse`: model calls that reuse results of the call before; `blocks`: of which blocks, None: of the v_uncond."""

    name: str
    nfe: int = NFE
    reuse: tuple[int, ...] = ()
    blocks: tuple[int, int] | None = None

    def work(self, depth: int) -> float:
        """Block evaluations, of those that NFE calls with both branches take."""
        saved = 0.5 if self.blocks is None else (self.blocks[1] - self.blocks[0]) / depth
        return (self.nfe - saved * len(self.reuse)) / NFE


WAYS = [
    Way("7 calls"),
    Way("6 calls", 6),
    Way("5 calls", 5),
    *(
        Way(f"blocks {a}-{b - 1} of calls {list(calls)}", reuse=calls, blocks=(a, b))
        for a, b in ((1, 5), (2, 6), (3, 6))
        for calls in ((2, 4, 6), (3, 5))
    ),
    *(
        Way(f"difference at calls {list(calls)}", reuse=calls)
        for calls in ((2, 4, 6), (1, 3, 5), (2, 3, 5, 6), (3, 4, 5, 6))
    ),
]


def velocity(dit: DiT, x: Tensor, h: Tensor, mod: Tensor, way: Way, again: bool, kept: dict[str, Tensor]) -> Tensor:
    """`DiT.velocity` of rows without padding, with the blocks of `way` taken from `kept` where `again`."""
    proj, dim, frames = dit.input_embed.proj, dit.config.dim, x.shape[1]
    x = h + F.linear(x, proj.weight[:, : dit.n_mels])
    x = x + dit.input_embed.conv_pos_embed(x, None)
    cos, sin = (table[:frames, None] for table in (dit.rotary_embed.cos, dit.rotary_embed.sin))
    first, last = way.blocks or (0, 0)
    for i, block in enumerate(dit.blocks):
        if again and first <= i < last:
            continue
        if i == first:
            before = x
        x = block(x, mod[:, 6 * dim * i : 6 * dim * (i + 1)], cos, sin, None)
        if i == last - 1:
            kept["blocks"] = x - before
        if again and i == first - 1:
            x = x + kept["blocks"]
    scale, shift = mod[:, None, -2 * dim :].chunk(2, dim=-1)
    normal = F.layer_norm(x, (dim,), eps=1e-6)
    out: Tensor = dit.proj_out(normal * (1 + scale) + shift)
    return out


def sample(dit: DiT, h: Tensor, noise: Tensor, way: Way) -> Tensor:
    """Standardised mel [T,mel]; h [2,T,D]: both branches."""
    times, x = time_grid(way.nfe, SWAY), noise[None]
    kept: dict[str, Tensor] = {}
    for call in range(way.nfe):
        again = call in way.reuse
        mod = dit.modulation(times[call : call + 1])
        if again and way.blocks is None:
            conditional = velocity(dit, x, h[:1], mod, way, False, {})
        else:
            both = velocity(dit, torch.cat((x, x)), h, mod.expand(2, -1), way, again, kept)
            conditional, kept["difference"] = both[:1], both[:1] - both[1:]
        x = x + (times[call + 1] - times[call]) * (conditional + CFG * kept["difference"])
    return x[0]


@torch.no_grad()
def main() -> None:
    """Speak, judge, print a table, write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = load_model("demo")
    dit, config, durations = model.dit, model.config.mel, model.duration
    assert durations is not None
    texts = list(sources.texts().values())[: args.sentences]
    inputs: list[tuple[Tensor, Tensor]] = []
    for seed, said in enumerate(texts):
        tokens = token_ids(phones.symbols(said, "en"))
        frames = predict_frames(durations, tokens)
        index, phase = (torch.from_numpy(array)[None] for array in index_and_phase(frames))
        text = dit.spread(dit.embed_text(torch.from_numpy(tokens)[None]), index, phase)
        silence = torch.zeros(2, index.shape[1], dit.n_mels)
        h = dit.condition(silence, torch.cat((text, torch.zeros_like(text))))
        inputs.append((h, torch.randn(index.shape[1], dit.n_mels, generator=torch.Generator().manual_seed(seed))))

    listener, whole = Listener("en", texts), np.zeros(0)
    rows: list[dict[str, object]] = []
    for way in WAYS:
        waves = [speak(model.vocos, sample(dit, h, noise, way), config) for h, noise in inputs]
        opinions = np.array([mos.opinion(wave, config.sample_rate) for wave in waves])
        whole = opinions if not rows else whole
        wer = rates(listener.errors(texts, waves, config.sample_rate))["wer"][0]
        lost, low, high = interval(opinions - whole)
        row: dict[str, object] = {
            "way": way.name, "work": round(way.work(dit.config.depth), 3), "mos": round(float(opinions.mean()), 3),
            "difference": round(lost, 3), "low": round(low, 3), "high": round(high, 3), "wer": round(wer, 4),
            "sentences": len(texts),
        }  # fmt: skip
        print(row, flush=True)
        rows.append(row)
    write_csv("step_cache", rows)


if __name__ == "__main__":
    main()
