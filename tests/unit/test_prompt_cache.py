"""Steps without the reference's frames: the native kernels beside PyTorch, and an engine that keeps references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TONE, make
from torch import Tensor
from torch.nn import functional as F

from ishowtts import Engine
from ishowtts._native import Native
from ishowtts.model.checkpoint import BACKBONES, load_model, save_model
from ishowtts.model.config import DiTConfig, MelConfig, ModelConfig, VocosConfig
from ishowtts.model.dit import normalise
from ishowtts.model.flow_network import FlowNetwork, rotate
from ishowtts.model.native import native_json
from ishowtts.model.source import resolve
from ishowtts.model.unett import UNetT
from ishowtts.model.vocos import Vocos

FRAMES, REFERENCE, MELS, DIM, TIME, DT = 131, 83, 20, 128, 0.31, 0.5
KERNELS = ("generic", "avx2", "avx512", "amx")
TOLERANCE = {"fp32": 2e-5, "bf16": 0.03, "int8-dynamic": 0.08}
"""Largest error of the velocity, relative to its norm."""
LIVE = {"none": (), "text inside": (range(20, 45),), "beginning and end": (range(9), range(71, REFERENCE))}


@pytest.fixture(scope="module", params=BACKBONES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "small"
    text = {"text_dim": 32, "conv_layers": 1, "text_num_embeds": 9}
    dit = DiTConfig(DIM, 4, 4, dim_head=32, pe_attn_head=2, backbone=request.param, **text)
    config = ModelConfig("small", dit, MelConfig(n_mels=MELS, mean=-0.5, std=1.5), VocosConfig(16, 32, 1))
    torch.manual_seed(3)
    nets = BACKBONES[dit.backbone](dit, MELS), Vocos(config.vocos, config.mel)
    for net in nets:
        for weight in net.parameters():
            torch.nn.init.normal_(weight, std=0.1)
    save_model(folder, config, *nets, None, vocab=list("abcdefghi"), storage="fp32")
    return folder


def part(network: FlowNetwork, layer: int, mod: Tensor) -> tuple:
    """Of a block: attention, its norm and gate; feed-forward, its norm and gate."""
    if isinstance(network, UNetT):
        _, norm, attn, norm_ff, ff = network.layers[layer]
        return (attn, norm, 1.0), (ff, norm_ff, 1.0)
    shift, scale, gate, shift_ff, scale_ff, gate_ff = mod[6 * DIM * layer : 6 * DIM * (layer + 1)].chunk(6)
    block = network.blocks[layer]
    return (
        (block.attn, lambda x: normalise(x) * (1 + scale) + shift, gate),
        (block.ff, lambda x: normalise(x) * (1 + scale_ff) + shift_ff, gate_ff),
    )


def layers(network: FlowNetwork, x: Tensor, mod: Tensor, at: Tensor, known: list | None) -> tuple[Tensor, list]:
    """Rows x [R,D] at positions `at` through all blocks, and keys and values; `known`: of the leading positions."""
    depth = network.config.depth
    seen, inputs = [], []
    for i in range(depth):
        (own, norm, gate), (ff, norm_ff, gate_ff) = part(network, i, mod)
        inputs.append(x)
        if isinstance(network, UNetT) and i >= depth // 2:
            x = network.layers[i][0](torch.cat((x, inputs[depth - 1 - i]), -1))
        q, k, v = (to(norm(x)).unflatten(-1, (own.heads, -1)) for to in (own.to_q, own.to_k, own.to_v))
        cos, sin = (table[at, None] for table in (network.rotary_embed.cos, network.rotary_embed.sin))
        turn = own.rope_heads or own.heads
        q, k = (torch.cat((rotate(u[None, :, :turn], cos, sin)[0], u[:, turn:]), 1) for u in (q, k))
        seen.append((k, v))
        if known is not None:
            whole = [
                torch.cat((kept, kept.new_zeros(int(at[-1]) + 1 - len(kept), *kept.shape[1:]))) for kept in known[i]
            ]
            whole[0][at], whole[1][at] = k, v
            k, v = whole
        out = F.scaled_dot_product_attention(*(u.transpose(0, 1) for u in (q, k, v))).transpose(0, 1).flatten(1)
        x = x + gate * own.to_out[0](out)
        x = x + gate_ff * ff(norm_ff(x))
    return x, seen


@torch.no_grad()
def velocity(
    network: FlowNetwork, x: Tensor, reference: Tensor, h: Tensor, h_alone: Tensor, mod: Tensor, live: Tensor
) -> Tensor:
    """Of the frames after the reference, whose keys and values come from itself alone except where it is `live`."""
    timed = isinstance(network, UNetT)

    def entered(x: Tensor, h: Tensor) -> Tensor:
        return network.enter(x[None], h[None], None)[0]

    def run(x: Tensor, at: Tensor, known: list | None) -> tuple[Tensor, list]:
        if timed:  # the time is at position 0
            x, at = torch.cat((mod[None], x)), torch.cat((torch.zeros(1, dtype=torch.long), at + 1))
        return layers(network, x, mod, at, known)

    known = run(entered(reference, h_alone), torch.arange(REFERENCE), None)[1]
    at = torch.cat((live.nonzero()[:, 0], torch.arange(REFERENCE, FRAMES)))
    y, _ = run(entered(torch.cat((reference, x[REFERENCE:])), h)[at], at, known)
    if timed:
        return network.proj_out(network.norm_out(y))[-(FRAMES - REFERENCE) :]
    scale, shift = mod[-2 * DIM :].chunk(2)
    return network.proj_out(normalise(y) * (1 + scale) + shift)[-(FRAMES - REFERENCE) :]


def raw(tensor: Tensor) -> memoryview:
    return memoryview(tensor.numpy()).cast("B")


def natives(model: Path, precision: str) -> list[Native]:
    text, found = native_json(resolve(model), precision), []
    for kernels in KERNELS:
        try:
            found.append(Native(text, threads=2, kernels=kernels))
        except ValueError as error:
            assert "no kernels" in str(error)
    return found


def drawn(model: Path) -> dict[str, Tensor]:
    torch.manual_seed(5)
    dit = load_model(model).dit
    return {
        "cond": torch.randn(REFERENCE, MELS), "noise": torch.randn(REFERENCE, MELS), "x": torch.randn(FRAMES, MELS),
        "h": torch.randn(FRAMES, DIM), "alone": torch.randn(REFERENCE, DIM),
        "mod": dit.modulation(torch.tensor([TIME]))[0].detach(),
    }  # fmt: skip


def kept_of(native: Native, given: dict[str, Tensor]) -> Tensor:
    kept = torch.empty(native.prompt_bytes(REFERENCE), dtype=torch.uint8)
    native.prompt(*(raw(given[key]) for key in ("cond", "noise", "alone", "mod")), TIME, raw(kept))
    return kept


@pytest.mark.parametrize("live", LIVE)
@pytest.mark.parametrize("precision", TOLERANCE)
def test_a_step_after_a_kept_reference(model: Path, precision: str, live: str) -> None:
    given, mask = drawn(model), torch.zeros(REFERENCE, dtype=torch.uint8)
    for part in LIVE[live]:
        mask[part.start : part.stop] = 1
    reference = (1 - TIME) * given["noise"] + TIME * (given["cond"] + 0.5) / 1.5
    dit = load_model(model).dit
    expected = velocity(dit, given["x"], reference, given["h"], given["alone"], given["mod"], mask)
    for native in natives(model, precision):
        x = given["x"].clone()
        row = (
            raw(x),
            raw(given["h"]),
            None,
            raw(given["mod"]),
            DT,
            0.0,
            FRAMES,
            (raw(kept_of(native, given)), raw(mask)),
        )
        native.step([row])
        assert torch.equal(x[:REFERENCE], given["x"][:REFERENCE])
        v = (x - given["x"])[REFERENCE:] / DT
        error = float((v - expected).norm() / expected.norm())
        print(f"{precision}, {live}: relative error of the velocity {error:.1e}")
        assert error <= TOLERANCE[precision]


@pytest.mark.parametrize("precision", TOLERANCE)
def test_a_reference_computed_all_the_same_is_the_whole_row(model: Path, precision: str) -> None:
    given = drawn(model)
    for native in natives(model, precision):
        kept, mask = kept_of(native, given), torch.ones(REFERENCE, dtype=torch.uint8)
        reference = kept[: REFERENCE * MELS * 4].view(torch.float32).view(REFERENCE, MELS)
        whole = torch.cat((reference, given["x"][REFERENCE:]))
        x = whole.clone()
        shared = (raw(given["h"]), None, raw(given["mod"]), DT, 0.0, FRAMES)
        native.step([(raw(whole), *shared)])
        native.step([(raw(x), *shared, (raw(kept), raw(mask)))])
        assert torch.equal(x[REFERENCE:], whole[REFERENCE:])


def test_bad_prompts_are_refused(model: Path) -> None:
    given = drawn(model)
    native = natives(model, "fp32")[0]
    kept, mask = kept_of(native, given), torch.ones(REFERENCE, dtype=torch.uint8)
    head = (raw(given["x"]), raw(given["h"]))
    with pytest.raises(ValueError, match="2 branches"):
        native.step([(*head, raw(given["h"]), raw(given["mod"]), DT, 2.0, FRAMES, (raw(kept), raw(mask)))])
    with pytest.raises(ValueError, match="kept holds"):
        native.step([(*head, None, raw(given["mod"]), DT, 0.0, FRAMES, (raw(kept), raw(mask[1:])))])
    with pytest.raises(TypeError, match="tuple of two buffers"):
        native.step([(*head, None, raw(given["mod"]), DT, 0.0, FRAMES, raw(kept))])


TEXTS = ("The quick brown fox jumps over the lazy dog.", "Hello there, how do you do?")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8-dynamic"])
def test_an_engine_keeps_references(tmp_path: Path, precision: str) -> None:
    """The same samples with a cold, a warm and a small cache; near those of the whole computation."""
    model = make(tmp_path / "tiny")

    def said(engine: Engine, text: str, **options: bool) -> np.ndarray:
        return engine.speak(text, seed=5, **options).samples  # type: ignore[arg-type]

    def opened(**sizes: int) -> Engine:
        engine = Engine.load(model, backend="native", precision=precision, threads=1, **sizes)  # type: ignore[arg-type]
        engine.add_voice("tone", TONE, "A steady tone.", "en", sample_rate=24000)
        return engine

    with opened() as engine:
        cold = [said(engine, text, prompt_cache=True) for text in TEXTS]
        hits = engine.stats["cache_hits"]
        warm = [said(engine, text, prompt_cache=True) for text in reversed(TEXTS)][::-1]
        assert engine.stats["cache_hits"] >= hits + 14
        short = [said(engine, text, short_guidance=True) for text in TEXTS]
        whole = [said(engine, text) for text in TEXTS]
        kept = engine.stats["cache_bytes"]
    with opened(cache_bytes=kept // 3) as engine:
        assert all(
            np.array_equal(said(engine, text, prompt_cache=True), w) for text, w in zip(TEXTS, whole, strict=True)
        )
    for one, again, near, exact in zip(cold, warm, short, whole, strict=True):
        assert np.array_equal(one, again) and not np.array_equal(one, exact) and not np.array_equal(one, near)
        error = np.linalg.norm(one - exact) / np.linalg.norm(exact)
        print(f"{precision}: difference to the whole computation {error:.3f}, of short guidance "
              f"{np.linalg.norm(near - exact) / np.linalg.norm(exact):.3f}")  # fmt: skip


def test_a_backend_that_keeps_nothing_computes_whole_rows(tmp_path: Path) -> None:
    with Engine.load(make(tmp_path / "tiny"), backend="eager", precision="fp32", threads=1) as engine:
        engine.add_voice("tone", TONE, "A steady tone.", "en", sample_rate=24000)
        one, other = (engine.speak(TEXTS[0], seed=5, prompt_cache=on).samples for on in (False, True))
        assert np.array_equal(one, other)
