"""Recipes: a format for each product of a transformer's blocks, and the rounding of weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from ishowtts import Engine, ModelError, cli
from ishowtts._native import Native
from ishowtts.model import recipe
from ishowtts.model.native import native_json
from ishowtts.model.source import resolve

FRAMES = 60


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("model") / "tiny")


def velocity(model: Path, precision: str) -> torch.Tensor:
    """Of one step with both branches."""
    source = resolve(str(model))
    native, dit = Native(native_json(source, precision), threads=1), source.config.dit
    make = torch.Generator().manual_seed(2)
    x = torch.randn(FRAMES, 100, generator=make)
    h = torch.randn(2, FRAMES, dit.dim, generator=make)
    mod = 0.3 * torch.randn(dit.modulation, generator=make)
    moved = x.clone()
    views = [memoryview(part.contiguous().numpy()).cast("B") for part in (moved, h[0], h[1], mod)]
    native.step([(*views, 1.0, 2.0, FRAMES)])
    return torch.frombuffer(bytearray(views[0]), dtype=torch.float32).view(FRAMES, 100) - x


def precision(folder: Path, patterns: dict[str, str]) -> str:
    path = folder / f"{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(patterns))
    return f"recipe:{path}"


def error(one: torch.Tensor, exact: torch.Tensor) -> float:
    return float((one - exact).norm() / exact.norm())


def test_a_recipe_of_one_format_is_the_precision(model: Path, tmp_path: Path) -> None:
    assert torch.equal(velocity(model, precision(tmp_path, {"*": "int8"})), velocity(model, "int8-dynamic"))


def test_each_product_has_its_format(model: Path, tmp_path: Path) -> None:
    plain = precision(tmp_path, {"*": "fp32"})
    exact, seen = velocity(model, plain), []
    for block in range(2):
        for name in recipe.PRODUCTS:
            seen.append(velocity(model, precision(tmp_path, {"*": "fp32", f"{block}.{name}": "int4/16"})))
    assert all(1e-4 < error(one, exact) < 0.5 for one in seen)
    assert all(not torch.equal(one, other) for i, one in enumerate(seen) for other in seen[:i])
    few = {"*": "int8", "0.*": "bf16"}
    assert error(velocity(model, precision(tmp_path, few)), exact) < error(velocity(model, "int8-dynamic"), exact)


@pytest.mark.parametrize(("bits", "group"), [(4, 32), (8, 24), (2, 1000)])
def test_weights_are_rounded_in_groups(model: Path, tmp_path: Path, bits: int, group: int) -> None:
    """The model with weights that were rounded here is the model whose weights are rounded when it is loaded."""
    rounded = tmp_path / "rounded"
    rounded.mkdir()
    for path in model.iterdir():
        (rounded / path.name).write_bytes(path.read_bytes())
    weights = load_file(rounded / "dit.safetensors")
    for name, weight in weights.items():
        if name.startswith("transformer_blocks") and ".attn_norm." not in name and weight.ndim == 2:
            parts = []
            for part in weight.split(group, dim=1):
                low, high = part.amin(1, keepdim=True), part.amax(1, keepdim=True)
                scale = (high - low) / (2**bits - 1)
                parts.append(low + scale * ((part - low) / scale).round())
            weights[name] = torch.cat(parts, 1)
    save_file(weights, rounded / "dit.safetensors")
    made = velocity(model, precision(tmp_path, {"*": f"int{bits}/{group}"}))
    plain = velocity(model, precision(tmp_path, {"*": "bf16"}))
    expected = velocity(rounded, precision(tmp_path, {"*": "bf16"}))
    assert error(made, expected) < 0.3 * error(made, plain)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ("[]", "object from patterns to formats"),
        ('{"*": "int9/64"}', "must be fp32, bf16, int8 or intN/GROUP such as int4/64, not 'int9/64'"),
        ('{"*": 4}', "not 4"),
        ('{"*": "int8", "9.ff1": "bf16"}', "9.ff1 matches no product: they are 0.qkv to 1.ff2"),
        ('{"0.*": "int8"}', "no format for 1.qkv"),
    ],
)
def test_a_wrong_recipe_is_refused(model: Path, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(text)
    with pytest.raises(ModelError) as caught:
        Engine.load(model, precision=f"recipe:{path}", backend="native")
    assert said in str(caught.value) and caught.value.field == "precision"
    with pytest.raises(ModelError, match="cannot be read"):
        Engine.load(model, precision="recipe:/no/such.json", backend="native")


def test_the_command_writes_and_measures_a_recipe(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISHOWTTS_CACHE_DIR", str(tmp_path / "cache"))
    settings, path, clip = tmp_path / "own.toml", tmp_path / "recipe.json", Path(cli.__file__).parent / "voices/demo"
    settings.write_text(
        f'[model]\nname = "{model}"\n[[voices]]\nid = "me"\nlanguage = "en"\naudio = "{clip}/reference.flac"\n'
    )
    wanted = ["quantize", "--config", str(settings), "--recipe", str(path), "--layers", "--threads", "1"]
    assert cli.main([*wanted, "--weights", "4", "--group", "32", "--skip", "0.*", "--skip", "*.out"]) == 0
    assert json.loads(path.read_text()) == {"*": "int4/32", "0.*": "bf16", "*.out": "bf16"}
    said = capsys.readouterr().out
    assert all(f"int4/32 in {name}" in said for name in ("none", "*.qkv", "*.ff2", "0.*", "1.*")), said
    with Engine.load(model, precision=f"recipe:{path}", voices=False) as engine:
        assert engine.info["precision"] == "recipe" and engine.info["backend"] == "native"
        assert engine.info["content_hash"] != resolve(str(model)).content_hash()
