"""The sampler, the graphs and the backend that C calls, at tiny sizes: rows of a batch are independent."""

import pytest
import torch
from tiny_networks import MEL, VOCAB, tiny_model

from ishowtts.errors import ModelError
from ishowtts.model.backend import TorchBackend
from ishowtts.model.compile import examples
from ishowtts.model.graphs import build
from ishowtts.model.sampler import average_index, sample, time_grid


def test_average_index():
    assert average_index(3, 8).tolist() == [0, 0, 1, 1, 1, 2, 2, 2]
    assert average_index(4, 4).tolist() == [0, 1, 2, 3]


def arguments(layout: str, frames: int, phones: int, seed: int):
    make = torch.Generator().manual_seed(seed)
    count = phones if layout == "aligned" else frames
    tokens = torch.randint(1, len(VOCAB) + 1, (1, count), generator=make)
    if layout != "aligned":
        tokens[:, phones:] = 0
    index = (torch.arange(frames) * phones // frames)[None] if layout != "padded" else None
    phase = torch.rand(1, frames, generator=make) if layout == "aligned" else None
    mel = torch.randn(1, frames, MEL.n_mels, generator=make)
    return tokens, mel, index, phase, torch.randn(1, frames, MEL.n_mels, generator=make)


@pytest.mark.parametrize(
    ("layout", "backbone"), [("padded", "dit"), ("padded", "unett"), ("average", "dit"), ("aligned", "dit")]
)
def test_rows_do_not_depend_on_the_batch(layout, backbone):
    dit = tiny_model(layout, backbone=backbone).dit
    sizes = ((40, 9), (23, 6), (31, 5))
    singles, padded = [], []
    for k, (frames, phones) in enumerate(sizes):
        tokens, mel, index, phase, noise = arguments(layout, frames, phones, k)
        given = {"nfe": 5, "cfg": 2.0, "sway": -1.0}
        singles.append(sample(dit, mel[:, :8], tokens, [8], [frames], noise, index=index, phase=phase, **given))
        grow = 40 - frames
        long = torch.nn.functional.pad
        padded.append(
            (
                long(tokens, (0, (9 if layout == "aligned" else 40) - tokens.shape[1])),
                mel[:, :8],
                None if index is None else long(index, (0, grow)),
                None if phase is None else long(phase, (0, grow)),
                long(noise, (0, 0, 0, grow)),
            )
        )
    tokens, mel, index, phase, noise = (
        None if part[0] is None else torch.cat(part) for part in zip(*padded, strict=True)
    )
    both = sample(dit, mel, tokens, [8] * 3, [40, 23, 31], noise, index=index, phase=phase, **given)
    for row, single, (frames, _) in zip(both, singles, sizes, strict=True):
        assert torch.allclose(row[:frames], single[0], atol=1e-5)
        assert not bool(row[frames:].any())


@pytest.mark.parametrize("layout", ["padded", "average", "aligned"])
def test_training_rows_do_not_depend_on_the_batch(layout):
    """The forward pass of training as well, with text blocks and with conditions dropped in some rows."""
    dit = tiny_model(layout).dit
    t, drop = torch.tensor([0.3, 0.8]), torch.tensor([False, True])
    rows = [arguments(layout, frames, phones, frames) for frames, phones in ((30, 7), (19, 4))]
    mask = torch.arange(30) < torch.tensor([[30], [19]])
    batch = []
    for part, width in zip(range(5), (7 if layout == "aligned" else 30, 30, 30, 30, 30), strict=True):
        tensors = [row[part] for row in rows]
        if tensors[0] is None:
            batch.append(None)
            continue
        pads = [[0, 0, 0, width - x.shape[1]] if x.dim() == 3 else [0, width - x.shape[1]] for x in tensors]
        batch.append(torch.cat([torch.nn.functional.pad(x, pad) for x, pad in zip(tensors, pads, strict=True)]))
    tokens, mel, index, phase, noise = batch
    both = dit(noise, mel, tokens, t, index=index, phase=phase, mask=mask, drop_cond=drop, drop_text=drop)
    for k, (tokens, mel, index, phase, noise) in enumerate(rows):
        flag = drop[k : k + 1]
        alone = dit(noise, mel, tokens, t[k : k + 1], index=index, phase=phase, drop_cond=flag, drop_text=flag)
        assert torch.allclose(both[k, : noise.shape[1]], alone[0], atol=1e-5)


def view(tensor: torch.Tensor) -> memoryview:
    return memoryview(tensor.contiguous().numpy()).cast("B")


def drive(backend: TorchBackend, layout: str, frames: int, phones: int, seed: int, nfe: int = 5):
    """Does what the C engine does for a row before its steps; returns the tensors of the row."""
    tokens, mel, index, phase, noise = arguments(layout, frames, phones, seed)
    dim, width = backend.info["dim"], backend.info["mod_width"]
    h = torch.full((2, frames, dim), 7.0)
    raw = mel * MEL.std + MEL.mean
    raw[:, 8:] = float("nan")  # frames behind the reference are ignored
    places = [None if part is None else view(part) for part in (index, phase)]
    backend.encode(view(tokens), view(raw), *places, 8, frames, view(h[0]), view(h[1]))
    times = time_grid(nfe, -1.0)
    mods = torch.zeros(nfe, width)
    backend.modulate(view(times[:-1].clone()), view(torch.zeros(len(times) - 1)), view(mods))
    return noise[0].clone(), h, mods, times, sample(
        tiny_model(layout).dit, mel[:, :8], tokens, [8], [frames], noise, nfe=nfe, cfg=2.0, sway=-1.0, index=index,
        phase=phase
    )[0]  # fmt: skip


def test_rows_without_guidance_in_any_batch():
    """A row without guidance gives the same result alone, with one branch, and in a padded batch with guided rows."""
    backend = TorchBackend(tiny_model("padded"), "fp32")
    rows = [drive(backend, "padded", frames, phones, 3) for frames, phones in ((40, 9), (23, 6))]
    (x, h, mods, _, _), (y, g, others, _, _) = rows
    for guided, expected in ((2.0, None), (0.0, 0.0)):
        alone, beside, neighbour = x.clone(), x.clone(), y.clone()
        backend.step([(view(alone), view(h[0]), None if expected is None else view(h[1]), view(mods[1]), 0.3, 0.0, 40)])
        other = (view(neighbour), view(g[0]), view(g[1]) if guided else None, view(others[2]), 0.2, guided, 23)
        backend.step([(view(beside), view(h[0]), None, view(mods[1]), 0.3, 0.0, 40), other])
        assert torch.allclose(alone, beside, atol=1e-5) and not torch.allclose(alone, x, atol=1e-2)
        plain = y.clone()
        backend.step([(view(plain), *other[1:])])
        assert torch.allclose(plain, neighbour, atol=1e-5)


@pytest.mark.parametrize("layout", ["padded", "average", "aligned"])
def test_backend_equals_sampler_in_any_batch(layout):
    backend = TorchBackend(tiny_model(layout), "fp32")
    rows = [drive(backend, layout, frames, phones, 3) for frames, phones in ((40, 9), (23, 6), (40, 5))]
    alone = [row[0].clone() for row in rows]
    for k, (_, h, mods, times, _) in enumerate(rows):
        for i in range(5):
            x, dt = alone[k], float(times[i + 1] - times[i])
            backend.step([(view(x), view(h[0]), view(h[1]), view(mods[i]), dt, 2.0, len(x))])
    # Row 1 joins a step late and leaves a step late: mixed lengths and mixed times in one forward.
    starts = (0, 1, 0)
    for tick in range(6):
        work = []
        for (x, h, mods, times, _), start in zip(rows, starts, strict=True):
            i = tick - start
            if 0 <= i < 5:
                work.append(
                    (view(x), view(h[0]), view(h[1]), view(mods[i]), float(times[i + 1] - times[i]), 2.0, len(x))
                )
        backend.step(work)
    for (x, *_rest, expected), single in zip(rows, alone, strict=True):
        assert torch.allclose(x, single, atol=1e-5)
        assert torch.allclose(x[8:], expected[8:], atol=1e-5)


def test_backend_vocoder_and_durations():
    model = tiny_model()
    backend = TorchBackend(model, "fp32")
    mel = torch.randn(33, MEL.n_mels)
    real, imag = torch.zeros(33, 33), torch.zeros(33, 33)
    backend.vocode(view(mel), 33, view(real), view(imag))
    expected = model.vocos((mel * MEL.std + MEL.mean).T[None])
    sound = torch.istft(torch.complex(real, imag).T[None], 64, 16, window=torch.hann_window(64), center=True)
    assert sound.shape == (1, 32 * 16) and torch.allclose(sound, expected, atol=1e-5)
    tokens = torch.tensor([3, 1, 4, 1, 5])
    out = torch.zeros(5)
    backend.durations(view(tokens), view(out))
    assert bool((out > 0).all()) and torch.allclose(out, model.duration(tokens[None])[0].exp(), rtol=1e-5)
    padded = torch.zeros(7)
    backend.durations(view(torch.tensor([3, 1, 4, 1, 5, 0, 0])), view(padded))
    assert torch.allclose(padded[:5], out, rtol=1e-5)


def test_backend_refuses_wrong_sizes():
    backend = TorchBackend(tiny_model(), "fp32")
    with pytest.raises(RuntimeError):
        backend.vocode(view(torch.zeros(5, 10)), 6, view(torch.zeros(6, 33)), view(torch.zeros(6, 33)))
    with pytest.raises(RuntimeError):
        backend.modulate(view(torch.zeros(2)), view(torch.zeros(2)), view(torch.zeros(3)))
    with pytest.raises(ModelError, match="precision must be one of fp32, bf16"):
        TorchBackend(tiny_model(), "fp8")


def test_backend_info_is_what_c_reads():
    info = TorchBackend(tiny_model(), "fp32", threads=1).info
    assert info["text_layout"] == "aligned" and info["predicts_durations"] and info["uses_prompt"]
    assert info["mod_width"] == (6 * 2 + 2) * 32 and info["backend"] == "eager" and info["max_rows"] >= 1
    assert info["nfe"] == 0  # nor how many steps suffice for it
    assert info["chunk_frames"] == 0  # the tiny model states no maximum length of a chunk
    assert info["max_frames"] == 8192 and info["precision"] == "fp32" and info["n_mels"] == 10


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("layout", ["padded", "average", "aligned"])
def test_graphs_of_16_bits_stay_close(layout, precision):
    model = tiny_model(layout)
    exact, short = build(model, "fp32"), build(model, precision)
    given = examples(model.config, 50, 12)
    for name in exact:
        a, b = exact[name](*given[name]), short[name](*given[name])
        assert b.dtype == torch.float32 and a.shape == b.shape
        assert float((a - b).abs().max()) < (0.05 if precision == "bf16" else 0.01) * float(a.abs().max()), name
        if name in ("step", "vocode"):
            assert not torch.equal(a, b), f"{name} ran in fp32"
    assert torch.equal(model.dit.proj_out.weight, tiny_model(layout).dit.proj_out.weight), (
        "the model itself was rounded"
    )
