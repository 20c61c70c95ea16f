"""Model configuration, checkpoints, graphs and the backend that C calls, at tiny sizes."""

import builtins
import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ishowtts.errors import ModelError
from ishowtts.model.backend import TorchBackend
from ishowtts.model.checkpoint import LoadedModel, assign, load_model, read_state, save_model
from ishowtts.model.compile import examples
from ishowtts.model.config import PRESETS, DiTConfig, DurationConfig, MelConfig, ModelConfig, VocosConfig
from ishowtts.model.dit import DiT
from ishowtts.model.duration import DurationPredictor
from ishowtts.model.graphs import build
from ishowtts.model.sampler import average_index, sample, time_grid
from ishowtts.model.source import resolve
from ishowtts.model.vocos import Vocos

VOCAB = tuple([" ", *"abcdefghij"])
MEL = MelConfig(n_fft=64, hop=16, n_mels=10, mean=-2.0, std=1.5)


def tiny_config(layout: str = "aligned", **changes) -> ModelConfig:
    dit = DiTConfig(
        dim=32, depth=2, heads=2, dim_head=16, ff_mult=2, text_dim=16, conv_layers=1, text_num_embeds=len(VOCAB),
        text_layout=layout, **changes,
    )  # fmt: skip
    duration = DurationConfig(8, 2, 3) if layout == "aligned" else None
    return ModelConfig("tiny", dit, MEL, VocosConfig(16, 32, 2), duration, "phones" if duration else "pinyin")


def tiny_model(layout: str = "aligned", **changes) -> LoadedModel:
    config = tiny_config(layout, **changes)
    torch.manual_seed(4)
    duration = DurationPredictor(config.duration, len(VOCAB)) if config.duration else None
    model = LoadedModel(config, DiT(config.dit, MEL.n_mels), Vocos(config.vocos, MEL), duration, VOCAB, "0" * 64)
    for module in (model.dit, model.vocos, duration):
        if module is not None:
            for parameter in module.eval().requires_grad_(False).parameters():
                torch.nn.init.normal_(parameter, std=0.12)
    return model


def save(model: LoadedModel, folder, storage="fp32"):
    save_model(folder, model.config, model.dit, model.vocos, model.duration, model.vocab, storage)
    return folder


# Configuration


@pytest.mark.parametrize("config", [*PRESETS.values(), tiny_config(), tiny_config("average")])
def test_config_round_trip(config, tmp_path):
    config.save(tmp_path / "model.json")
    assert ModelConfig.load(tmp_path / "model.json") == config


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("dit", "dim"), "wide", "dit: dim must be of type int"),
        (("dit", "dim"), True, "dit: dim must be of type int"),
        (("dit", "dim"), -64, "DiTConfig.dim must be positive"),
        (("dit", "dim"), 24, "must divide by 16"),
        (("dit", "colour"), 1, "unknown field colour"),
        (("dit", "text_layout"), "diagonal", "must be one of padded, average, aligned"),
        (("dit", "pe_attn_head"), 5, "pe_attn_head"),
        (("duration",), None, "ModelConfig.duration"),
        (("duration", "kernel"), 4, "kernel must be odd"),
        (("mel", "std"), 0, "std must be positive"),
    ],
)
def test_config_names_the_field(path, value, message):
    data = json.loads(tiny_config().to_json())
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ModelError, match=message):
        ModelConfig.from_json(json.dumps(data))


def test_config_missing_field_and_no_json():
    data = json.loads(tiny_config().to_json())
    del data["dit"]["depth"]
    with pytest.raises(ModelError, match="field depth is missing"):
        ModelConfig.from_json(json.dumps(data))
    with pytest.raises(ModelError, match="is not JSON"):
        ModelConfig.from_json("{")
    with pytest.raises(ModelError, match="expected an object"):
        ModelConfig.from_json("[]")


# Checkpoints


def test_folder_round_trip(tmp_path):
    model = tiny_model()
    loaded = load_model(save(model, tmp_path))
    assert loaded.config == model.config and loaded.vocab == VOCAB and len(loaded.content_hash) == 64
    for mine, theirs in ((model.dit, loaded.dit), (model.vocos, loaded.vocos), (model.duration, loaded.duration)):
        for key, value in mine.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[key]), key


def test_half_precision_storage(tmp_path):
    model = tiny_model()
    loaded = load_model(save(model, tmp_path, "fp16"))
    weight = loaded.dit.proj_out.weight
    assert weight.dtype == torch.float32
    assert torch.allclose(weight, model.dit.proj_out.weight, atol=1e-3) and not torch.equal(
        weight, model.dit.proj_out.weight
    )
    model.dit.proj_out.bias.fill_(1e6)
    with pytest.raises(ModelError, match=r"proj_out.bias does not fit fp16"):
        save(model, tmp_path, "fp16")


def test_content_hash_follows_the_content(tmp_path):
    model = tiny_model()
    first = resolve(save(model, tmp_path)).content_hash()
    assert first == resolve(save(model, tmp_path)).content_hash()
    model.dit.proj_out.bias[0] += 1
    assert first != resolve(save(model, tmp_path)).content_hash()


def edit(path, change):
    state = load_file(path)
    change(state)
    save_file(state, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("proj_out.bias"), r"dit.safetensors: proj_out.bias is missing\."),
        (lambda s: s.update(extra=torch.zeros(1)), r"extra does not belong to this architecture"),
        (
            lambda s: s.update({"proj_out.bias": torch.zeros(3)}),
            r"proj_out.bias has shape \[3\]; the architecture needs \[10\]",
        ),
        (lambda s: s["proj_out.bias"].fill_(float("nan")), r"proj_out.bias holds values that are no finite numbers"),
        (lambda s: s.update({"proj_out.bias": torch.zeros(10, dtype=torch.int32)}), r"proj_out.bias holds values"),
    ],
)
def test_wrong_tensors_are_named(tmp_path, change, message):
    save(tiny_model(), tmp_path)
    edit(tmp_path / "dit.safetensors", change)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(tmp_path)
    assert str(tmp_path / "dit.safetensors") in str(caught.value)


def test_damaged_files(tmp_path):
    save(tiny_model(), tmp_path)
    path = tmp_path / "vocos.safetensors"
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:5], b"", b"\xff" * 100):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"vocos.safetensors cannot be read as weights"):
            load_model(tmp_path)
    path.unlink()
    with pytest.raises(ModelError, match=r"vocos.safetensors is missing"):
        load_model(tmp_path)


def test_vocabulary_must_fit(tmp_path):
    save(tiny_model(), tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(map(str, range(40))) + "\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"has 40 symbols; the model takes 11"):
        load_model(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    with pytest.raises(ModelError, match=r"vocab.txt cannot be read"):
        load_model(tmp_path)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A checkpoint folder as it is published, under the name F5TTS_Base, with tiny dimensions."""
    model = tiny_model("padded", text_mask_padding=False, pe_attn_head=1)
    config = dataclasses.replace(model.config, name="F5TTS_Base", mel=MEL)
    monkeypatch.setitem(
        PRESETS, "F5TTS_Base", dataclasses.replace(config, dit=dataclasses.replace(config.dit, text_num_embeds=2545))
    )
    folder = tmp_path / "F5TTS_Base"
    (folder / "vocos").mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n", encoding="utf-8")
    state = {f"ema_model.transformer.{key}": value for key, value in model.dit.state_dict().items()}
    state["ema_model.mel_spec.mel_stft.mel_scale.fb"] = torch.zeros(3)
    state |= {"initted": torch.tensor(True), "step": torch.tensor(1250000)}
    vocoder = {**model.vocos.state_dict(), "head.istft.window": torch.zeros(64)}
    vocoder["feature_extractor.mel_spec.spectrogram.window"] = torch.zeros(64)
    torch.save(vocoder, folder / "vocos" / "pytorch_model.bin")
    (folder / "vocos" / "config.yaml").write_text(
        "feature_extractor:\n  init_args:\n    sample_rate: 24000\n    n_fft: 64\n    hop_length: 16\n    n_mels: 10\n"
        "    padding: center\nbackbone:\n  init_args:\n    input_channels: 10\n    dim: 16\n    intermediate_dim: 32\n"
        "    num_layers: 2\n"
        "head:\n  init_args:\n    dim: 16\n    n_fft: 64\n    hop_length: 16\n    padding: center\n",
        encoding="utf-8",
    )
    return model, folder, state


def test_published_safetensors_and_pt(published):
    model, folder, state = published
    save_file(state, folder / "model_1200000.safetensors")
    first = load_model(folder)
    assert first.config.dit == model.config.dit and first.config.text == "pinyin" and first.duration is None
    (folder / "model_1200000.safetensors").unlink()
    torch.save({"ema_model_state_dict": state, "step": 3}, folder / "model_last.pt")
    second = load_model(folder / "model_last.pt")
    for loaded in (first, second):
        assert torch.equal(loaded.dit.proj_out.weight, model.dit.proj_out.weight)
        assert torch.equal(loaded.vocos.head.out.weight, model.vocos.head.out.weight)


def test_published_pt_runs_no_code(published):
    _, folder, _ = published

    class Bomb:
        def __reduce__(self):
            return (builtins.exec, ("raise SystemExit",))

    torch.save({"ema_model_state_dict": {"a": Bomb()}}, folder / "model.pt")
    with pytest.raises(ModelError, match=r"model.pt cannot be read as weights"):
        load_model(folder)
    torch.save([1, 2], folder / "model.pt")
    with pytest.raises(ModelError, match=r"holds no named tensors"):
        load_model(folder)


@pytest.mark.filterwarnings("ignore")
def test_no_damaged_checkpoint_escapes(tmp_path):
    """Bytes of a .pt are changed, cut and moved about: whatever torch makes of them, a ModelError says so, or the file is still whole."""
    path = tmp_path / "vocos.pt"
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    torch.save({"ema_model_state_dict": module.state_dict()}, path)
    whole = path.read_bytes()
    pickled = whole.index(b"ema_model_state_dict")
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(600):
        data = bytearray(whole)
        for _ in range(int(rng.integers(1, 5))):
            at = (
                int(rng.integers(max(0, pickled - 100), pickled + 700)) % len(data)
                if rng.random() < 0.8
                else int(rng.integers(len(data)))
            )
            data[at] = int(rng.integers(256))
        if rng.random() < 0.1:
            del data[int(rng.integers(len(data))) :]
        path.write_bytes(data)
        try:
            assign(module, read_state(path), path)
        except ModelError as error:
            assert "vocos.pt" in str(error)
            refused += 1
    assert refused > 200


def test_published_architecture_must_be_known(published, tmp_path):
    _, folder, state = published
    other = tmp_path / "mine"
    folder.rename(other)
    save_file(state, other / "model.safetensors")
    with pytest.raises(ModelError, match="does not say its architecture"):
        load_model(other / "model.safetensors")
    assert load_model(f"F5TTS_Base={other / 'model.safetensors'}").config.name == "F5TTS_Base"


def test_vocoder_must_fit(published):
    _, folder, state = published
    save_file(state, folder / "model.safetensors")
    config = folder / "vocos" / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("hop_length: 16", "hop_length: 32"))
    with pytest.raises(ModelError, match="hop_length is 32; the model needs 16"):
        load_model(folder)
    config.write_text(text.replace("padding: center", "padding: same"))
    with pytest.raises(ModelError, match="padding is same"):
        load_model(folder)
    config.write_text(text.replace("    num_layers: 2\n", ""))
    with pytest.raises(ModelError, match="num_layers is missing"):
        load_model(folder)


def test_unknown_references(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="There is no model nobody") as caught:
        load_model("nobody")
    assert caught.value.status == "ENOTFOUND" and caught.value.field == "model"
    with pytest.raises(ModelError, match=r"holds neither model.json nor exactly one checkpoint"):
        load_model(tmp_path)
    with pytest.raises(ModelError, match="No weights were published for F5TTS_Small"):
        load_model("F5TTS_Small")
    with pytest.raises(ModelError, match="must read hf://owner/repository/path"):
        load_model("hf://owner")


def test_hub_without_package_and_without_network(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match="needs the package huggingface_hub: "):
        load_model("F5TTS_v1_Base")


def test_hub_without_network(monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    from huggingface_hub.errors import LocalEntryNotFoundError

    def nothing(*_args, local_files_only=False, **_kwargs):
        raise LocalEntryNotFoundError("absent") if local_files_only else ConnectionError("no route")

    monkeypatch.setattr(hub, "hf_hub_download", nothing)
    with pytest.raises(ModelError, match=r"could not be downloaded \(ConnectionError\): check the network"):
        load_model("F5TTS_v1_Base")


# Sampling and graphs


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


@pytest.mark.parametrize("layout", ["padded", "average", "aligned"])
def test_rows_do_not_depend_on_company(layout):
    dit = tiny_model(layout).dit
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
def test_training_rows_do_not_depend_on_company(layout):
    """The same for the forward that training uses, text blocks included, with dropped rows among them."""
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
    """Everything a C engine does for one row before its steps: returns the row's tensors."""
    tokens, mel, index, phase, noise = arguments(layout, frames, phones, seed)
    dim, width = backend.info["dim"], backend.info["mod_width"]
    h = torch.full((2, frames, dim), 7.0)
    raw = mel * MEL.std + MEL.mean
    raw[:, 8:] = float("nan")  # what follows the reference is ignored
    places = [None if part is None else view(part) for part in (index, phase)]
    backend.encode(view(tokens), view(raw), *places, 8, frames, view(h[0]), view(h[1]))
    times = time_grid(nfe, -1.0)
    mods = torch.zeros(nfe, width)
    backend.modulate(view(times[:-1].clone()), view(torch.zeros(len(times) - 1)), view(mods))
    return noise[0].clone(), h, mods, times, sample(
        tiny_model(layout).dit, mel[:, :8], tokens, [8], [frames], noise, nfe=nfe, cfg=2.0, sway=-1.0, index=index, phase=phase
    )[0]  # fmt: skip


def test_rows_without_guidance_in_any_company():
    """Alone they have one branch; beside guided ones, in one padded forward, the same result."""
    backend = TorchBackend(tiny_model("padded"), "fp32")
    rows = [drive(backend, "padded", frames, phones, 3) for frames, phones in ((40, 9), (23, 6))]
    (x, h, mods, _, _), (y, g, others, _, _) = rows
    for guided, expected in ((2.0, None), (0.0, 0.0)):
        alone, beside, company = x.clone(), x.clone(), y.clone()
        backend.step([(view(alone), view(h[0]), None if expected is None else view(h[1]), view(mods[1]), 0.3, 0.0, 40)])
        other = (view(company), view(g[0]), view(g[1]) if guided else None, view(others[2]), 0.2, guided, 23)
        backend.step([(view(beside), view(h[0]), None, view(mods[1]), 0.3, 0.0, 40), other])
        assert torch.allclose(alone, beside, atol=1e-5) and not torch.allclose(alone, x, atol=1e-2)
        plain = y.clone()
        backend.step([(view(plain), *other[1:])])
        assert torch.allclose(plain, company, atol=1e-5)


@pytest.mark.parametrize("layout", ["padded", "average", "aligned"])
def test_backend_equals_sampler_in_any_company(layout):
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
    assert info["chunk_frames"] == 0  # the tiny model states no longest chunk
    assert info["max_frames"] == 8192 and info["precision"] == "fp32" and info["n_mels"] == 10


@pytest.mark.parametrize("layout", ["padded", "average", "aligned"])
def test_bf16_graphs_stay_close(layout):
    model = tiny_model(layout)
    exact, short = build(model, "fp32"), build(model, "bf16")
    given = examples(model.config, 50, 12)
    for name in exact:
        a, b = exact[name](*given[name]), short[name](*given[name])
        assert b.dtype == torch.float32 and a.shape == b.shape
        assert float((a - b).abs().max()) < 0.05 * float(a.abs().max()), name
        if name in ("step", "vocode"):
            assert not torch.equal(a, b), f"{name} ran in fp32"
    assert torch.equal(model.dit.proj_out.weight, tiny_model(layout).dit.proj_out.weight), (
        "the model itself was rounded"
    )
