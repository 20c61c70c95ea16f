"""The native backend compared with PyTorch, graph by graph."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ishowtts._native import Native
from ishowtts._runtime import native_model
from ishowtts.errors import ModelError
from ishowtts.model import native
from ishowtts.model.backend import TorchBackend
from ishowtts.model.checkpoint import BACKBONES, load_model, save_model
from ishowtts.model.config import DiTConfig, DurationConfig, MelConfig, ModelConfig, VocosConfig
from ishowtts.model.duration import DurationPredictor
from ishowtts.model.native import native_json, why_not
from ishowtts.model.source import resolve
from ishowtts.model.source_filter import F0_BINS
from ishowtts.model.tensor_names import IGNORED, IGNORED_PREFIXES
from ishowtts.model.vocos import Vocos

FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
FRAMES = 83
LAYOUTS = {
    "padded": {},
    "padded, no mask": {"text_mask_padding": False},
    "padded, positions on one head": {"pe_attn_head": 1},
    "average": {"text_layout": "average"},
    "aligned": {"text_layout": "aligned"},
    "no text blocks": {"conv_layers": 0},
    "guidance embedded": {"text_layout": "aligned", "guidance_max": 4.0},
    "speakers named": {"text_layout": "aligned", "speakers": 12},
    "source-filter vocoder": {"head": "source_filter"},
    "frames of its own": {"head": "source_filter", "frames": (1200, 300)},
    "spectrum of more frames": {"frames": (640, 160)},
    "U-Net": {"backbone": "unett", "depth": 4, "conv_layers": 0, "pe_attn_head": 1},
    "U-Net, aligned, guidance embedded": {"backbone": "unett", "text_layout": "aligned", "guidance_max": 4.0},
}
# Largest difference to fp32 PyTorch, relative to a result's largest value: exact, then for quantised weights.
TOLERANCE = {"fp32": 2e-5, "bf16": 0.05, "int8-dynamic": 0.15}


def _model(folder, dim=64, depth=2, heads=2, mels=20, head="spectrum", frames=(0, 0), **changes):
    dit = DiTConfig(
        dim, depth, heads, **{"dim_head": 32, "text_dim": 32, "conv_layers": 2, "text_num_embeds": 40, **changes}
    )
    aligned = dit.text_layout == "aligned"
    durations = DurationConfig(16, 2, 3) if aligned else None
    config = ModelConfig(
        "small", dit, MelConfig(n_mels=mels, mean=-0.5, std=1.5), VocosConfig(48, 96, 2, head, *frames), durations
    )
    torch.manual_seed(3)
    parts = [
        BACKBONES[dit.backbone](dit, mels),
        Vocos(config.vocos, config.mel),
        DurationPredictor(durations, 40, dit.speakers) if durations else None,
    ]
    for part in parts:
        for name, weight in part.named_parameters() if part is not None else ():
            torch.nn.init.normal_(
                weight, std=0.02 if "head" in name or "guidance" in name else 0.15 * (64 / dim) ** 0.5
            )
    if head == "source_filter":  # voiced, at a pitch whose bin rounding does not change
        with torch.no_grad():
            parts[1].head.out.bias[-F0_BINS - 1 + 50] = 30
            parts[1].head.out.bias[-1] = 5
    save_model(folder, config, *parts, vocab=[f"symbol{i}" for i in range(40)], storage="fp32")
    return folder


def _bytes(tensor):
    return memoryview(tensor.numpy()).cast("B")


def _results(backend, config, frames=FRAMES):
    make = torch.Generator().manual_seed(frames)
    layout, dim, mels = config.dit.text_layout, config.dit.dim, config.mel.n_mels
    n = frames // 5 if layout == "aligned" else frames
    tokens = torch.randint(1, config.dit.text_num_embeds + 1, (n,), generator=make)
    if layout != "aligned":
        tokens[frames // 2 :] = 0
    cond = torch.randn(frames, mels, generator=make)
    index = torch.arange(frames) * n // frames
    phase = torch.rand(frames, generator=make)
    h = torch.empty(2, frames, dim)
    backend.encode(
        _bytes(tokens), _bytes(cond), None if layout == "padded" else _bytes(index),
        _bytes(phase) if layout == "aligned" else None,
        frames // 3, frames, _bytes(h[0]), _bytes(h[1]),
    )  # fmt: skip
    mod = torch.empty(3, config.dit.modulation)
    backend.modulate(_bytes(torch.tensor([0.0, 0.31, 0.9])), _bytes(torch.tensor([0.0, 2.0, 0.7])), _bytes(mod))
    x = torch.randn(frames, mels, generator=make)
    before = x.clone()
    backend.step(
        [
            (
                _bytes(x),
                _bytes(h[0].contiguous()),
                _bytes(h[1].contiguous()),
                _bytes(mod[1].contiguous()),
                0.5,
                2.0,
                frames,
            )
        ]
    )
    n_fft, hop = config.vocos.frames(config.mel)
    spectrum = torch.empty(2, -(-(frames - 1) * config.mel.hop // hop) + 1, n_fft // 2 + 1)
    backend.vocode(_bytes(before), frames, _bytes(spectrum[0]), _bytes(spectrum[1]))
    results = {"h": h, "modulation": mod, "velocity": (x - before) / 0.5, "spectrum": spectrum}
    if config.duration is not None:
        results["durations"] = torch.empty(n)
        backend.durations(_bytes(tokens), _bytes(results["durations"]))
    return results


def _kernels():
    """Instruction sets of this machine."""
    return [name for name in ("generic", "avx2", "avx512", "amx") if _has(name)]


def _has(name):
    try:
        Native("{}", kernels=name)
    except ValueError as error:
        return "no kernels" not in str(error)
    raise AssertionError("an empty description was opened")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_graph_is_the_models(tmp_path, layout):
    source = resolve(_model(tmp_path / "model", **LAYOUTS[layout]))
    assert why_not(source) is None
    expected = _results(TorchBackend(load_model(source), "fp32"), source.config)
    for precision, tolerance in TOLERANCE.items():
        for kernels in _kernels():
            got = _results(Native(native_json(source, precision), threads=2, kernels=kernels), source.config)
            for name, value in expected.items():
                error = float((got[name] - value).abs().max() / value.abs().max())
                print(f"{layout}, {precision}, {kernels}, {name}: {error:.1e}")
                assert error <= tolerance, (precision, kernels, name)


@pytest.mark.parametrize(("backbone", "refusal"), [("dit", "another shape"), ("unett", "wider than the kernels")])
def test_the_widest_network(tmp_path, backbone, refusal):
    """The products of a U-Net's skips have rows of twice its width; a DiT has none."""
    description = json.loads(native_json(resolve(_model(tmp_path / "model")), "fp32"))
    description["dit"] |= {"dim": 16384, "ff_mult": 1, "backbone": backbone}
    with pytest.raises(ValueError, match=refusal):
        Native(json.dumps(description), threads=1)


def test_the_embedded_voice():
    source = resolve("demo")
    expected = _results(TorchBackend(load_model(source), "fp32"), source.config, 150)
    # The fixed ranges of int8-static are those of speech: 1.1 % there, more on these random values.
    for precision, tolerance in {"fp32": 1e-4, "bf16": 0.02, "int8-dynamic": 0.02, "int8-static": 0.06}.items():
        got = _results(Native(native_json(source, precision)), source.config, 150)
        v, reference = got["velocity"], expected["velocity"]
        error = float((v - reference).norm() / reference.norm())
        print(f"{precision}: relative error of the velocity {error:.1e}")
        assert error <= tolerance


@pytest.mark.parametrize("precision", TOLERANCE)
def test_without_the_other_branch_as_with_strength_zero(tmp_path, precision):
    source = resolve(_model(tmp_path / "model"))
    for kernels in _kernels():
        native = Native(native_json(source, precision), threads=2, kernels=kernels)
        make = torch.Generator().manual_seed(1)
        h, mod = torch.randn(2, FRAMES, 64, generator=make), torch.randn(source.config.dit.modulation, generator=make)
        x = torch.randn(FRAMES, 20, generator=make)
        one, two, guided = x.clone(), x.clone(), x.clone()
        for out, uncond, cfg in (
            (one, None, 0.0),
            (two, _bytes(h[1].contiguous()), 0.0),
            (guided, _bytes(h[1].contiguous()), 2.0),
        ):
            native.step([(_bytes(out), _bytes(h[0].contiguous()), uncond, _bytes(mod), 0.5, cfg, FRAMES)])
        # 8-bit attention outputs are more exact where there is one branch
        largest = 0.02 if precision == "int8-dynamic" else 0.0
        assert float((one - two).norm() / (one - x).norm()) <= largest and not torch.equal(one, x)
        assert not torch.equal(one, guided)


def test_guidance_does_not_multiply_the_errors_of_eight_bits(tmp_path):
    """Errors of branches that are nearly alike are alike: c + 2 (c - u) has about that of c, not 3.6 times it."""
    source = resolve(_model(tmp_path / "model", depth=4))
    make = torch.Generator().manual_seed(1)
    h, mod = torch.randn(2, FRAMES, 64, generator=make), torch.randn(source.config.dit.modulation, generator=make)
    x = torch.randn(FRAMES, 20, generator=make)
    h[1] = h[0] + 0.02 * h[1]

    def velocities(native):
        for uncond, cfg in ((None, 0.0), (_bytes(h[1]), 2.0)):
            out = x.clone()
            native.step([(_bytes(out), _bytes(h[0]), uncond, _bytes(mod), 1.0, cfg, FRAMES)])
            yield out - x

    for kernels in _kernels():
        eight, exact = (
            velocities(Native(native_json(source, precision), threads=2, kernels=kernels))
            for precision in ("int8-dynamic", "fp32")
        )
        one, guided = (float((a - b).norm() / b.norm()) for a, b in zip(eight, exact, strict=True))
        print(f"{kernels}: one branch {one:.1e}, guided {guided:.1e}")
        assert guided < 1.7 * one


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("precision", TOLERANCE)
def test_threads_do_not_change_a_bit(tmp_path, precision, backbone):
    """Each number of threads divides the rows into other blocks."""
    source = resolve(_model(tmp_path / "model", backbone=backbone))
    text = native_json(source, precision)
    for kernels in _kernels():
        for frames in (FRAMES, 130):
            one, three = (_results(Native(text, threads=n, kernels=kernels), source.config, frames) for n in (1, 3))
            for name, value in one.items():
                assert torch.equal(value, three[name]), (kernels, frames, name)


def test_convolutions_as_wide_as_the_published_ones(tmp_path):
    """Convolutions over 32 channels and a vocoder over 32 mels, as kernels of three-part products need them."""
    source = resolve(_model(tmp_path / "model", dim=512, depth=1, heads=8, mels=32))
    expected = _results(TorchBackend(load_model(source), "fp32"), source.config)
    for kernels in _kernels():
        got = _results(Native(native_json(source, "fp32"), kernels=kernels), source.config)
        for name, value in expected.items():
            error = float((got[name] - value).abs().max() / value.abs().max())
            assert error <= TOLERANCE["fp32"], (kernels, name, error)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_lengths_change_from_call_to_call(tmp_path, backbone):
    source = resolve(_model(tmp_path / "model", backbone=backbone))
    text = native_json(source, "bf16")
    used = Native(text, threads=2)
    for frames in (2, 300, 13, 12, 97):
        fresh = _results(Native(text, threads=2), source.config, frames)
        for name, value in _results(used, source.config, frames).items():
            assert torch.equal(value, fresh[name]), (name, frames)


def test_inputs_that_do_not_fit_are_refused(tmp_path):
    source = resolve(_model(tmp_path / "model", text_layout="aligned"))
    native = Native(native_json(source, "fp32"))
    x, h, mod = torch.zeros(8, 20), torch.zeros(8, 64), torch.zeros(source.config.dit.modulation)
    with pytest.raises(ValueError, match="h_cond holds"):
        native.step([(_bytes(x), _bytes(h[:4].contiguous()), _bytes(h), _bytes(mod), 0.1, 2.0, 8)])
    with pytest.raises(ValueError, match="1 frames"):
        native.step(
            [
                (
                    _bytes(x[:1].contiguous()),
                    _bytes(h[:1].contiguous()),
                    _bytes(h[:1].contiguous()),
                    _bytes(mod),
                    0.1,
                    2.0,
                    1,
                )
            ]
        )
    with pytest.raises(ValueError, match="Token 99 is not one of this model's 41"):
        native.durations(_bytes(torch.tensor([1, 99])), _bytes(torch.zeros(2)))
    index = torch.tensor([0] * 7 + [2])
    with pytest.raises(ValueError, match="Frame 7 belongs to token 2 of 2"):
        native.encode(
            _bytes(torch.tensor([1, 2])),
            _bytes(x),
            _bytes(index),
            _bytes(torch.rand(8)),
            0,
            8,
            _bytes(h),
            _bytes(h.clone()),
        )


def _retype(path, dtype):
    """Changes the dtype of the first tensor of a file."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + length])
    table[min(name for name in table if name != "__metadata__")]["dtype"] = dtype
    text = json.dumps(table).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def _damage(folder, how):
    path = folder / "dit.safetensors"
    state = load_model(folder).dit.state_dict()
    state.pop("rotary_embed.inv_freq")
    key = "transformer_blocks.1.ff.ff.2.weight"
    if how == "cut":
        path.write_bytes(path.read_bytes()[:5000])
        return
    if how == "missing":
        del state[key]
    elif how == "more":
        state[key.replace(".1.", ".2.")] = state[key].clone()
    elif how == "shape":
        state[key] = torch.zeros(3, 3)
    elif how.startswith("dtype"):
        save_file(state, path)
        _retype(path, json.loads(how.removeprefix("dtype ")))
        return
    else:
        state[key] = state[key] * float("nan")
    save_file(state, path)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("cut", "cut off|outside the file"),
        ("missing", "ff.2.weight is missing"),
        ("more", "transformer_blocks.2.ff.ff.2.weight does not belong to this architecture"),
        ("shape", "another shape"),
        ("nan", "not finite"),
    ]
    + [(f"dtype {json.dumps(value)}", "unknown type") for value in (None, 7, 1.5, True, [], {}, ["F32"])],
)
def test_damaged_weights_are_named(tmp_path, how, says):
    folder = _model(tmp_path / "model")
    text = native_json(resolve(folder), "fp32")
    _damage(folder, how)
    with pytest.raises(ValueError, match=f"EFORMAT.*dit.safetensors.*({says})"):
        Native(text)


def test_half_precision_files_are_read(tmp_path):
    """fp16 with subnormals, bf16 and the prefixes of published checkpoints give the same tensors as torch reads."""
    folder = _model(tmp_path / "model")
    state = {f"ema_model.transformer.{k}": v for k, v in load_model(folder).dit.state_dict().items()}
    state["ema_model.transformer.proj_out.weight"] *= 1e-6
    state |= {f"ema_model.{prefix}window": torch.ones(3) for prefix in IGNORED_PREFIXES}
    state |= {f"ema_model.{name}": torch.tensor(7) for name in IGNORED}
    for dtype in (torch.float16, torch.bfloat16):
        save_file(
            {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}, folder / "dit.safetensors"
        )
        source = resolve(folder)
        expected = _results(TorchBackend(load_model(source), "fp32"), source.config)
        got = _results(Native(native_json(source, "fp32")), source.config)
        for name, value in expected.items():
            assert float((got[name] - value).abs().max() / value.abs().max()) <= 2e-5, (dtype, name)


def test_the_choice_of_a_backend(tmp_path):
    folder = str(_model(tmp_path / "model"))
    assert native_model(folder, "fp32", True) is not None
    assert '"precision": "int8-dynamic"' in (native_model(folder, "int8-dynamic", False) or "")
    with pytest.raises(ModelError, match="precision must be one of auto, fp32, bf16, int8-dynamic, int8-static"):
        native_model(folder, "int3", False)
    only_torch = str(_model(tmp_path / "other", qk_norm="rms_norm"))
    assert native_model(only_torch, "fp32", False) is None
    for precision, needed in (("fp32", True), ("int8-dynamic", False)):
        with pytest.raises(ModelError, match="qk_norm"):
            native_model(only_torch, precision, needed)


# ---- cached packed weights ----


def _kept_json(source, precision, folder):
    return json.dumps({**json.loads(native_json(source, precision)), "packed": str(folder)})


def _results_of(description, source):
    return _results(Native(description, threads=1, kernels="generic"), source.config)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("precision", TOLERANCE)
def test_packed_weights_are_mapped_at_the_second_start(tmp_path, precision, backbone):
    source = resolve(_model(tmp_path / "model", text_layout="aligned", guidance_max=4.0, backbone=backbone))
    plain = _results_of(native_json(source, precision), source)
    description, folder = _kept_json(source, precision, tmp_path / "new" / "packed"), tmp_path / "new" / "packed"
    first = _results_of(description, source)
    (file,) = folder.iterdir()
    assert file.name == f"{source.content_hash()}-{precision}-generic.packed" and file.stat().st_size > 100_000
    written = file.stat().st_mtime_ns
    second = _results_of(description, source)
    assert file.stat().st_mtime_ns == written, "a start that changes nothing writes nothing"
    for name, value in plain.items():
        assert torch.equal(first[name], value) and torch.equal(second[name], value), name

    state = load_file(source.dit)  # the same description with other large weights, which are not read
    state["layers.1.0.weight" if backbone == "unett" else "transformer_blocks.0.ff.ff.2.weight"] += 1
    save_file(state, source.dit)
    assert torch.equal(_results_of(description, source)["velocity"], plain["velocity"])
    file.unlink()
    assert not torch.equal(_results_of(description, source)["velocity"], plain["velocity"])


@pytest.mark.parametrize("damage", ["cut", "end", "name", "matrix", "empty"])
def test_packed_weights_that_are_damaged_are_made_again(tmp_path, damage):
    source = resolve(_model(tmp_path / "model", text_layout="aligned"))
    description, folder = _kept_json(source, "fp32", tmp_path / "packed"), tmp_path / "packed"
    expected = _results_of(description, source)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    broken = bytearray(whole)
    if damage == "cut":
        del broken[len(broken) // 2 :]
    elif damage == "end":
        broken[-64:] = bytes(64)
    elif damage == "name":
        broken[8:12] = b"0000" if whole[8:12] != b"0000" else b"1111"
    elif damage == "matrix":
        broken[256:264] = (7).to_bytes(8, "little")  # the type in the first record
    else:
        broken.clear()
    file.write_bytes(bytes(broken))
    for _ in range(
        2
    ):  # a wrong record is noticed while loading: the file is removed, and written again at the next start
        got = _results_of(description, source)
        assert all(torch.equal(got[name], value) for name, value in expected.items())
    assert file.read_bytes() == whole
    assert [path.name for path in folder.iterdir()] == [file.name]


def test_what_a_killed_process_left_of_packed_weights_is_overwritten(tmp_path):
    source = resolve(_model(tmp_path / "model"))
    folder = tmp_path / "packed"
    name = f"{source.content_hash()}-fp32-generic.packed"
    folder.mkdir()
    (folder / f"{name}.partial").write_bytes(b"x" * 10_000_000)
    _results_of(_kept_json(source, "fp32", folder), source)
    assert [path.name for path in folder.iterdir()] == [name]
    assert 100_000 < (folder / name).stat().st_size < 10_000_000


def test_packed_weights_are_written_by_one_process_at_a_time(tmp_path):
    source = resolve(_model(tmp_path / "model"))
    folder = tmp_path / "packed"
    folder.mkdir()
    partial = folder / f"{source.content_hash()}-fp32-generic.packed.partial"
    with partial.open("w") as other:
        other.write("of another process")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_EX)
        _results_of(_kept_json(source, "fp32", folder), source)
        assert partial.read_text() == "of another process" and list(folder.iterdir()) == [partial]


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")
def test_packing_says_how_far_it_is(tmp_path):
    """Each microsecond of this clock is a second, so that a small model takes as long as a large one."""
    source = resolve(_model(tmp_path / "model"))
    code = (
        "import sys; from ishowtts import _engine; from ishowtts._native import Native\n"
        "_engine.log_to_stderr('info'); Native(sys.argv[1], threads=1, kernels='generic')"
    )

    def said():
        clock = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": "+0 x1000000"}
        command = [sys.executable, "-c", code, _kept_json(source, "fp32", tmp_path / "packed")]
        done = subprocess.run(command, env=os.environ | clock, capture_output=True, text=True, check=True)
        return re.findall(r"packing weights of (\S+): (\d+) %, \d+ s, about \d+ s left", done.stderr)

    reports = [int(share) for path, share in said() if path == str(source.dit)]
    assert len(reports) > 3 and reports == sorted(reports) and 0 <= reports[0] < reports[-1] <= 100
    assert not said(), "packed weights are mapped"


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path):
    source = resolve(_model(tmp_path / "model", text_layout="aligned"))
    (tmp_path / "file").write_text("")
    assert _results_of(_kept_json(source, "fp32", tmp_path / "file" / "packed"), source)
    long = tmp_path / ("x" * 200) / ("y" * 200) / ("z" * 200) / ("u" * 200) / ("v" * 200)
    assert _results_of(_kept_json(source, "fp32", long), source)


def test_small_models_keep_nothing(tmp_path, monkeypatch):
    source = resolve(_model(tmp_path / "model"))
    assert json.loads(native_json(source, "fp32"))["packed"] is None
    monkeypatch.setattr(native, "PACKED_BYTES", 1000)
    monkeypatch.setenv("ISHOWTTS_CACHE_DIR", str(tmp_path / "cache"))
    assert json.loads(native_json(source, "fp32"))["packed"] == str(tmp_path / "cache" / "packed")
