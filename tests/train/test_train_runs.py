"""Runs of tiny networks: exact resume, learning, and the moving average."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from training import DIT, DURATION, options, weights

from ishowtts.model.dit import DiT
from ishowtts.train import data as datasets
from ishowtts.train import dit, duration
from ishowtts.train.loop import AVERAGE_EVERY, Options, Run
from ishowtts.train.speaking import predict_frames, quick_score, sample

CHILD = """
import sys
from pathlib import Path
from ishowtts.model.config import DiTConfig
from ishowtts.train import dit, loop
loop.SAVE_EVERY = 0.0  # after every step
dit.train(loop.Options(Path(sys.argv[1]), steps=int(sys.argv[2])), config=DiTConfig(**eval(sys.argv[3])))
"""


def test_dit_resumes_exactly_after_a_kill(work: Path, tmp_path: Path) -> None:
    """Training that is killed and resumed gives the same weights, bit for bit, as training without interruption."""
    steps, whole, parts = 40, tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    straight = dit.train(options(work, whole, steps), config=DIT)
    begun = options(work, parts, steps)
    command = [sys.executable, "-c", CHILD, str(parts), str(steps), repr(asdict(DIT))]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as child:
        checkpoint = parts / "dit" / "checkpoint.pt"
        while not checkpoint.is_file() or torch.load(checkpoint, weights_only=True)["step"] < 5:
            assert child.poll() is None, "the training ended by itself"
            time.sleep(0.01)
        child.kill()
        assert child.wait() == -signal.SIGKILL
    assert 5 <= torch.load(checkpoint, weights_only=True)["step"] < steps
    resumed = dit.train(begun, config=DIT)
    assert resumed.step == straight.step == steps
    assert resumed.ema is not None and straight.ema is not None
    assert torch.equal(weights(resumed.modules["dit"]), weights(straight.modules["dit"]))
    assert torch.equal(weights(resumed.ema), weights(straight.ema))
    assert dit.train(begun, config=DIT).step == steps  # the budget is spent


def test_dit_learns(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dit, "CURVE_EVERY", 10)
    monkeypatch.setattr(dit, "VALIDATE_EVERY", 40)
    monkeypatch.setattr("ishowtts.train.loop.WARM_UP", 5)
    run = dit.train(options(work, tmp_path, 40, seed=1), config=DIT)
    with (tmp_path / "dit" / "curves.csv").open() as file:
        rows = [(int(r[0]), r[2], float(r[3])) for r in csv.reader(file)]
    losses = [v for _, name, v in rows if name == "loss"]
    assert len(losses) == 4
    assert losses[-1] < 0.92 * losses[0]
    assert [r[0] for r in rows if r[1] == "held_out"] == [40]
    assert run.fraction == 1


def test_the_average_follows_at_its_rate(tmp_path: Path) -> None:
    """After k updates the average has the value of the formula: a smaller decay in early steps, then the given one."""
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(net.weight)
    run = Run(tmp_path, Options(tmp_path, steps=40), {"net": net}, {}, "net", decay=0.8)
    expected = 0.0
    for step in run.steps():
        with torch.no_grad():
            net.weight += 1.0
        done = step + 1
        if done % AVERAGE_EVERY == 0:
            decay = min(0.8, (1 + done) / (10 + done)) ** AVERAGE_EVERY
            expected = decay * expected + (1 - decay) * done
    assert run.ema is not None
    assert run.ema.weight.item() == pytest.approx(expected, rel=1e-5) and 0 < expected < 40


def test_duration_learns_and_is_calibrated(work: Path, tmp_path: Path) -> None:
    run = duration.train(options(work, tmp_path, 60), config=DURATION)
    data = datasets.load(tmp_path)
    tokens, frames = duration.rows_of(data, [[k] for k in data.train])
    assert run.ema is not None
    with torch.no_grad():
        predicted = run.ema(tokens, frames > 0).exp() * (frames > 0)
    assert predicted.sum() / frames.sum() == pytest.approx(1, abs=0.01)
    whole = predict_frames(run.ema, tokens[0].numpy())  # type: ignore[arg-type]
    assert whole.min() >= 1
    assert whole.sum() == pytest.approx(float(predicted[0].clamp(min=1).sum()), abs=2)


def test_sampling_is_seeded_and_shaped() -> None:
    torch.manual_seed(0)
    net = DiT(DIT).eval()
    torch.nn.init.normal_(net.proj_out.weight, std=0.1)
    tokens, frames = np.array([1, 2, 3]), np.array([4, 5, 6])
    one, same = (sample(net, tokens, frames, seed=5, nfe=2) for _ in range(2))
    assert one.shape == (15, 100)
    assert torch.equal(one, same)
    assert not torch.equal(one, sample(net, tokens, frames, seed=6, nfe=2))


def test_quick_score_of_a_model_that_says_nothing(work: Path) -> None:
    rates = quick_score(DiT(DIT), datasets.load(work), count=2)
    assert set(rates) == {"wer tone", "cer tone"}
    assert rates["wer tone"] >= 0.5


def test_embeddings_learn_faster_than_other_weights() -> None:
    optimizers = dit.optimizers_of(DiT(DIT))
    rates = {group["lr"]: len(group["params"]) for group in optimizers["adamw"].param_groups}
    assert rates[dit.EMBEDDING_RATE] == 1 and max(rates) == dit.EMBEDDING_RATE
