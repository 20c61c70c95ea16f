"""The flow transformer and its sampler beside the official package: shared random weights and noise, fp32."""

import dataclasses

import pytest
import torch
from official import flow_network

from ishowtts.model.checkpoint import BACKBONES, assign
from ishowtts.model.config import PRESETS, DiTConfig
from ishowtts.model.sampler import sample, time_grid

SYMBOLS, FRAMES, REFERENCE, TEXT = 80, 48, 18, 27
TINY = DiTConfig(dim=128, depth=3, heads=2, ff_mult=2, text_dim=64, conv_layers=2, text_num_embeds=SYMBOLS)


def shallow(name: str, depth: int) -> DiTConfig:
    return dataclasses.replace(PRESETS[name].dit, depth=depth, text_num_embeds=SYMBOLS)


CONFIGS = {
    "F5TTS_v1_Base": shallow("F5TTS_v1_Base", 2),
    "F5TTS_Base": shallow("F5TTS_Base", 2),
    "F5TTS_v1_Small": shallow("F5TTS_v1_Small", 2),
    "F5TTS_Small": shallow("F5TTS_Small", 2),
    "E2TTS_Base": shallow("E2TTS_Base", 4),
    "E2TTS_Small": shallow("E2TTS_Small", 2),
    "qk_norm": dataclasses.replace(TINY, qk_norm="rms_norm"),
    "long_skip": dataclasses.replace(TINY, long_skip_connection=True),
    "average": dataclasses.replace(TINY, text_layout="average"),
    "two rope heads": dataclasses.replace(TINY, heads=4, dim_head=32, pe_attn_head=2, qk_norm="rms_norm"),
    "no text blocks": dataclasses.replace(TINY, conv_layers=0),
}


def pair(official, randomise, config: DiTConfig, masked: bool = False):
    """The official network with random weights, and ours with the same ones."""
    torch.manual_seed(1)
    theirs = flow_network(official, config, masked).requires_grad_(False)
    randomise(theirs)
    ours = BACKBONES[config.backbone](config).eval().requires_grad_(False)
    assert set(ours.state_dict()) == set(theirs.state_dict())
    state = {key: value for key, value in theirs.state_dict().items() if key != "rotary_embed.inv_freq"}
    assign(ours, state, "the official network")
    return theirs, ours


def watch(module, store: list) -> None:
    module.register_forward_hook(lambda _module, _inputs, output: store.append(output.detach().clone()))


def inputs(config: DiTConfig, seed: int = 2):
    make = torch.Generator().manual_seed(seed)
    x, cond = torch.randn(1, FRAMES, 100, generator=make), torch.randn(1, FRAMES, 100, generator=make)
    cond[:, REFERENCE:] = 0
    text = torch.randint(0, config.text_num_embeds, (1, TEXT), generator=make)
    return x, cond, text


def padded(text: torch.Tensor, frames: int) -> torch.Tensor:
    return torch.nn.functional.pad(text + 1, (0, frames - text.shape[1]))


@pytest.mark.parametrize("name", CONFIGS)
def test_every_tensor(official, randomise, table, name):
    config = CONFIGS[name]
    theirs, ours = pair(official, randomise, config)
    x, cond, text = inputs(config)
    time = torch.tensor([0.37])
    index = None
    if config.text_layout == "average":
        from ishowtts.model.sampler import average_index

        index = average_index(TEXT, FRAMES)[None]
    tokens = padded(text, FRAMES)
    for drop in (False, True):
        branch = "uncond" if drop else "cond"
        embedded = theirs.text_embed(text, FRAMES, drop_text=drop)
        own = ours.spread(ours.embed_text(tokens, torch.tensor([drop])), index)
        if config.text_mask_padding or not drop:
            table.add(name, f"{branch} text embedding", own, embedded)
        seen: dict[str, tuple[list, list]] = {}
        hooks = ["time_embed", "input_embed.conv_pos_embed"]
        hooks += [f"text_embed.text_blocks.{i}" for i in range(config.conv_layers)]
        if config.backbone == "dit":
            hooks += [f"transformer_blocks.{i}" for i in range(config.depth)]
        else:
            hooks += [f"layers.{i}.{part}" for i in range(config.depth) for part in range(1, 5)]
            hooks += [f"layers.{i}.0" for i in range(config.depth // 2, config.depth)]
        for key in hooks:
            seen[key] = ([], [])
            watch(ours.get_submodule(key), seen[key][0])
            watch(theirs.get_submodule(key), seen[key][1])
        flag = torch.tensor([drop])
        got = ours(x, cond, text + 1, time, index=index, drop_cond=flag, drop_text=flag)
        expected = theirs(x, cond, text, time, drop_audio_cond=drop, drop_text=drop)
        for key, (mine, yours) in seen.items():
            table.add(name, f"{branch} {key}", mine[0], yours[0])
        table.add(name, f"{branch} velocity", got, expected)
    vc, vu = theirs(x, cond, text, time, cfg_infer=True).chunk(2)
    h = [
        ours.condition(cond * (not drop), ours.spread(ours.embed_text(tokens, torch.tensor([drop])), index))
        for drop in (False, True)
    ]
    mod = ours.modulation(time).expand(2, -1)
    oc, ou = ours.velocity(torch.cat((x, x)), torch.cat(h), mod).chunk(2)
    table.add(name, "guided velocity", oc + (oc - ou) * 2, vc + (vc - vu) * 2)


def run_both(official, theirs, ours, config: DiTConfig, steps: int, seed: int = 5, solver: str = "euler"):
    """Trajectories and results of both samplers from one noise."""
    _, cond, text = inputs(config)
    cfm = official.CFM(theirs, num_channels=100, odeint_kwargs={"method": solver})
    expected, path = cfm.sample(
        cond[:, :REFERENCE], text, FRAMES, steps=steps, cfg_strength=2.0, sway_sampling_coef=-1.0, seed=seed
    )
    torch.manual_seed(seed)
    noise = torch.randn(FRAMES, 100)[None]
    states: list[torch.Tensor] = []
    got = sample(
        ours, cond[:, :REFERENCE], text + 1, [REFERENCE], [FRAMES], noise, nfe=steps, cfg=2.0, sway=-1.0, solver=solver,
        watch=lambda _step, state: states.append(state),
    )  # fmt: skip
    return got, expected, states, path


@pytest.mark.parametrize("steps", [5, 6, 7, 10, 12, 16, 32])
def test_every_step(official, randomise, table, steps):
    config = CONFIGS["F5TTS_v1_Small"]
    theirs, ours = pair(official, randomise, config)
    got, expected, states, path = run_both(official, theirs, ours, config, steps)
    assert len(states) == len(path) == steps + 1
    for i, (mine, yours) in enumerate(zip(states, path, strict=True)):
        table.add("F5TTS_v1_Small", f"NFE {steps}, x after step {i}", mine, yours)
    table.add("F5TTS_v1_Small", f"NFE {steps}, whole sample", got, expected)


@pytest.mark.parametrize("steps", [3, 7, 16])
def test_every_midpoint_step(official, randomise, table, steps):
    config = CONFIGS["F5TTS_v1_Small"]
    theirs, ours = pair(official, randomise, config)
    got, expected, states, path = run_both(official, theirs, ours, config, steps, solver="midpoint")
    for i, (mine, yours) in enumerate(zip(states, path, strict=True)):
        table.add("F5TTS_v1_Small", f"midpoint, NFE {steps}, x after step {i}", mine, yours)
    table.add("F5TTS_v1_Small", f"midpoint, NFE {steps}, whole sample", got, expected)


@pytest.mark.parametrize("name", ["F5TTS_Base", "E2TTS_Base", "qk_norm", "long_skip", "average"])
def test_sample_of_each_architecture(official, randomise, table, name):
    theirs, ours = pair(official, randomise, CONFIGS[name])
    got, expected, _, _ = run_both(official, theirs, ours, CONFIGS[name], 7)
    table.add(name, "NFE 7, whole sample", got, expected)


def test_full_depth(official, randomise, table):
    config = shallow("F5TTS_v1_Base", PRESETS["F5TTS_v1_Base"].dit.depth)
    theirs, ours = pair(official, randomise, config)
    blocks: tuple[list, list] = ([], [])
    for net, store in zip((ours, theirs), blocks, strict=True):
        for block in net.transformer_blocks:
            watch(block, store)
    got, expected, states, path = run_both(official, theirs, ours, config, 5)
    for i in range(config.depth):
        table.add("F5TTS_v1_Base, 22", f"first step, block {i}", blocks[0][i], blocks[1][i])
    for i, (mine, yours) in enumerate(zip(states, path, strict=True)):
        table.add("F5TTS_v1_Base, 22", f"NFE 5, x after step {i}", mine, yours)
    table.add("F5TTS_v1_Base, 22", "NFE 5, whole sample", got, expected)


def test_masked_batch(official, randomise, table):
    """A batch of rows of different lengths with masked attention; no text blocks, whose official norm sees padding."""
    config = CONFIGS["no text blocks"]
    theirs, ours = pair(official, randomise, config, masked=True)
    make = torch.Generator().manual_seed(8)
    x, cond = torch.randn(2, FRAMES, 100, generator=make), torch.randn(2, FRAMES, 100, generator=make)
    text = torch.randint(0, SYMBOLS, (2, TEXT), generator=make)
    mask = torch.arange(FRAMES) < torch.tensor([[FRAMES], [41]])
    time = torch.tensor([0.2, 0.7])
    expected = theirs(x, cond, text, time, mask=mask)
    got = ours(x, cond, text + 1, time, mask=mask)
    table.add("no text blocks", "velocity of a masked batch", got[mask], expected[mask])


@pytest.mark.parametrize("steps", [1, 3, 5, 6, 7, 8, 10, 12, 16, 32, 64])
@pytest.mark.parametrize("sway", [-1.0, 0.4, None])
def test_time_grid(official, steps, sway):
    from f5_tts.model.utils import get_epss_timesteps

    t = get_epss_timesteps(steps, device="cpu", dtype=torch.float32)
    if sway is not None:
        t = t + sway * (torch.cos(torch.pi / 2 * t) - 1 + t)
    assert torch.equal(time_grid(steps, sway), t)
    assert bool((time_grid(steps, sway).diff() > 0).all())
