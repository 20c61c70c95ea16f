"""Distillation of guidance into one call of the network."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from training import DIT, DURATION, VOCOS, options, weights

from ishowtts.model import sampler as model_sampler
from ishowtts.model.config import ModelConfig
from ishowtts.model.dit import DiT
from ishowtts.model.sampler import time_grid
from ishowtts.train import data as datasets
from ishowtts.train import distil, dit, duration, export, main, vocos
from ishowtts.train.data import Batches
from ishowtts.train.loop import Run


def test_only_guided_rows_learn_a_strength() -> None:
    """Rows that learn one branch have no strength, and those of the unconditional branch no conditions."""
    rows, frames, mels = 400, 3, 2
    torch.manual_seed(2)
    tensors = {
        name: torch.randn(rows, frames, mels) for name in ("x", "cond", "conditional", "unconditional", "guided")
    }
    batch = datasets.Batch(*(torch.zeros(rows, frames) for _ in fields(datasets.Batch)))
    strength = 1 + torch.rand(rows)
    point = distil.Point(
        batch, tensors["cond"], torch.zeros(rows, dtype=torch.bool), torch.ones(rows, frames, dtype=torch.bool),
        tensors["x"], 0.5,
        strength, tensors["conditional"], tensors["unconditional"], tensors["guided"],
    )  # fmt: skip
    seen: dict[str, torch.Tensor] = {}

    def net(
        *inputs: torch.Tensor,
        guidance: torch.Tensor,
        drop_text: torch.Tensor,
        drop_cond: torch.Tensor,
        **_: torch.Tensor,
    ) -> torch.Tensor:
        seen.update(guidance=guidance, drop_text=drop_text, drop_cond=drop_cond)
        guided, alone = (guidance > 0)[:, None, None], drop_text[:, None, None]
        return torch.where(guided, point.guided, torch.where(alone, point.unconditional, point.conditional))

    assert float(distil.distillation_loss(net, point, datasets.generator(0, 0))) < 1e-4, (
        "each row learns the velocity of what it is given"
    )
    guided = seen["guidance"] > 0
    assert torch.equal(seen["guidance"][guided], strength[guided]) and not seen["guidance"][~guided].any()
    assert abs(float(guided.float().mean()) - distil.GUIDED) < 0.1
    assert not (seen["drop_text"] & guided).any() and torch.equal(seen["drop_text"], seen["drop_cond"])
    assert abs(float(seen["drop_text"].float().mean()) - (1 - distil.GUIDED - distil.CONDITIONAL)) < 0.1


def test_guidance_is_distilled(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network learns the guided velocity and keeps both branches; an interrupted run gives the same weights."""

    def prepare() -> None:
        monkeypatch.setattr("ishowtts.train.loop.WARM_UP", 5)
        monkeypatch.setattr(distil, "LEARNING_RATE", 5e-3)
        for module, config in ((dit, DIT), (vocos, VOCOS), (duration, DURATION)):
            monkeypatch.setattr(module, "architecture", lambda *data, config=config: config)

    prepare()
    data = datasets.load(work)
    torch.manual_seed(4)
    random = DiT(DIT)
    for weight in random.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        (folder / "dit").mkdir(parents=True)
        torch.save({"ema": random.state_dict()}, folder / "dit" / "checkpoint.pt")
    teacher = export.load_models(whole, data, distilled=False)[0]
    before = weights(teacher).clone()
    run = distil.train(options(work, whole, 60), teacher, data)
    assert torch.equal(weights(teacher), before)

    paths = distil.Paths(teacher, Batches(data, data.held_out, 800, 1), 1, torch.device("cpu"))
    raw, net = DiT(replace(DIT, guidance_max=distil.GUIDANCE_MAX)), run.modules["dit"]
    raw.load_state_dict(raw.state_dict() | teacher.state_dict())
    for share, plain in (((1.0, 0.0), False), ((0.0, 1.0), True), ((0.0, 0.0), True)):  # guided; v_c; v_u
        monkeypatch.setattr(distil, "GUIDED", share[0])
        monkeypatch.setattr(distil, "CONDITIONAL", share[1])
        start, end = distil.validation_loss(raw, paths), distil.validation_loss(net, paths)
        assert start < 1e-9 if plain else end < 0.5 * start, (share, start, end)
    monkeypatch.undo()

    prepare()
    monkeypatch.setattr(
        Run, "fraction", property(lambda self: self.step / 60 if self.step < self.options.steps else 1.0)
    )
    for steps in (distil.NFE + 3, 60):  # ends in the middle of a path
        again = distil.train(options(work, parts, steps), teacher, data)
    assert torch.equal(weights(again.modules["dit"]), weights(net))

    voice, other = tmp_path / "voice", tmp_path / "other"
    export.export(whole, voice, data)
    other.mkdir()
    options(work, other, 1)
    export.export(other, tmp_path / "again", data, base=export.BaseVoice(voice))  # without training
    for folder in (voice, tmp_path / "again"):
        config, state = ModelConfig.load(folder / "model.json"), load_file(folder / "dit.safetensors")
        assert config.dit.guidance_max == distil.GUIDANCE_MAX
        learnt = run.ema.state_dict()["guidance_embed.time_mlp.2.weight"]  # type: ignore[union-attr]
        torch.testing.assert_close(state["guidance_embed.time_mlp.2.weight"].float(), learnt, atol=1e-3, rtol=1e-3)
    assert not export.load_models(whole, data, distilled=False)[0].config.guidance_max
    torch.save({"ema": DiT(DIT).state_dict()}, whole / "dit" / "checkpoint.pt")
    with pytest.raises(ValueError, match="is of another transformer than"):
        export.load_models(whole, data)
    assert main(["distil", "--work", str(other), "--steps", "2"]) == 1  # without a transformer
    torch.save({"ema": teacher.state_dict()}, whole / "dit" / "checkpoint.pt")
    before = load_file(voice / "dit.safetensors")
    doubled = {key: 2 * value if value.is_floating_point() else value for key, value in before.items()}
    save_file(doubled, voice / "dit.safetensors")
    mixed = export.load_models(whole, data, export.BaseVoice(voice, {"distil": 0.5}))[0].state_dict()
    for key in ("guidance_embed.time_mlp.2.weight", "proj_out.weight"):  # the mean of the student and twice of it
        torch.testing.assert_close(mixed[key], 1.5 * before[key].float(), atol=1e-3, rtol=1e-3)
    save_file(before, voice / "dit.safetensors")
    third = tmp_path / "third"  # distilled again, from a distilled voice
    third.mkdir()
    options(work, third, 1)
    assert main(["distil", "--work", str(third), "--steps", "2", "--finetune", str(voice)]) == 0
    assert torch.load(third / "distil" / "checkpoint.pt", weights_only=True)["step"] == 2
    further = dit.train(
        options(work, other, 1, finetune=voice), data
    )  # starts with the weights of the branches, without the guidance embedding
    assert not any(name.startswith("guidance_embed") for name in further.modules["dit"].state_dict())


def test_points_lie_on_the_teachers_guided_paths(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = datasets.load(work)
    torch.manual_seed(4)
    teacher = DiT(DIT).eval()
    for weight in teacher.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    monkeypatch.setattr(distil, "jittered", lambda noise: time_grid(distil.NFE, -1.0).tolist())
    batches = Batches(data, data.train, 800, 1)
    points = [distil.Paths(teacher, batches, 3, torch.device("cpu"))(step) for step in range(distil.NFE)]
    alone = points[0].drop_cond.nonzero().flatten().tolist()  # rows without surrounding speech, as in sampling
    assert alone
    for row in alone:
        frames, batch = int(points[0].batch.frames[row]), points[0].batch
        visited: list[torch.Tensor] = []
        whole_path = model_sampler.sample(
            teacher, torch.zeros(1, 0, 100), batch.tokens[row : row + 1], [0], [frames],
            points[0].x[row : row + 1, :frames],
            nfe=distil.NFE, cfg=float(points[0].strength[row]), sway=-1.0, index=batch.index[row : row + 1, :frames],
            phase=batch.phase[row : row + 1, :frames], watch=lambda i, x, seen=visited: seen.append(x.clone()),
        )  # fmt: skip
        assert len(whole_path) == 1
        for point, x in zip(points, visited, strict=False):
            torch.testing.assert_close(point.x[row, :frames], x[0], rtol=0.02, atol=0.05)  # products in bf16
