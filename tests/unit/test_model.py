"""Model configurations and checkpoints, ours and published ones, at tiny sizes."""

import builtins
import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_networks import MEL, VOCAB, tiny_config, tiny_model

from ishowtts.errors import ModelError
from ishowtts.model.checkpoint import LoadedModel, assign, load_model, read_state, save_model
from ishowtts.model.config import PRESETS, ModelConfig
from ishowtts.model.source import resolve


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
        (("dit", "backbone"), "mamba", "must be one of dit, unett"),
        (("duration",), None, "ModelConfig.duration"),
        (("duration", "kernel"), 4, "kernel must be odd"),
        (("mel", "std"), 0, "std must be positive"),
        (("nfe",), 65, "nfe must be 0 to 64"),
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


def test_a_u_net_has_two_halves():
    with pytest.raises(ModelError, match="unett needs an even depth"):
        tiny_config("padded", backbone="unett", depth=3)
    assert tiny_config("padded", backbone="unett").dit.modulation == 32


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
        (lambda s: s["proj_out.bias"].fill_(float("nan")), r"proj_out.bias holds values that are not finite"),
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
    """A checkpoint folder in the published form, named F5TTS_Base, with tiny dimensions."""
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
    """A .pt file with changed, removed and moved bytes is read or raises ModelError, whatever torch raises."""
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
    with pytest.raises(ModelError, match="must read hf://owner/repository"):
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
