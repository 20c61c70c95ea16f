"""Times and noise as arrays, and the states of all steps, beside the sampler in Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import encodings, make, open_engine

from ishowtts import ConfigError, Engine, IshowError
from ishowtts.model.checkpoint import load_model
from ishowtts.model.sampler import sample, time_grid

TEXT = "The quick brown fox."
TIMES = [0.0, 0.1, 0.25, 0.7, 1.0]
NOISE = np.random.default_rng(4).standard_normal((900, 100), np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def engine(model: Path) -> Iterator[Engine]:
    with open_engine(model, precision="fp32", backend="native") as engine:
        yield engine


@pytest.mark.parametrize("backend", ["eager", "native"])
@pytest.mark.parametrize("solver", ["euler", "midpoint"])
def test_the_engine_is_the_sampler(model: Path, backend: str, solver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = encodings(monkeypatch)
    options: Any = {"times": TIMES, "noise": NOISE, "trajectory": True, "solver": solver}
    with open_engine(model, precision="fp32") as eager:
        (whole,) = eager.speak(TEXT, **options).trajectories
    if backend == "native":
        with open_engine(model, precision="fp32", backend="native") as native:
            (whole,) = native.speak(TEXT, **options).trajectories
    [(tokens, cond, index, phase, reference, frames)] = encoded
    loaded, states = load_model(model), []
    mean, std = loaded.config.mel.mean, loaded.config.mel.std
    end = sample(
        loaded.dit, (cond.view(1, frames, -1) - mean) / std, tokens[None], [reference], [frames],
        torch.from_numpy(NOISE[None, :frames]), times=torch.tensor(TIMES), cfg=2.0, solver=solver,
        index=index[None], phase=phase[None], watch=lambda _, x: states.append(x[0].clone()),
    )  # fmt: skip
    assert whole.ref_frames == reference and whole.states.shape == (len(TIMES), frames, 100)
    np.testing.assert_array_equal(whole.times, np.float32(TIMES))
    np.testing.assert_array_equal(whole.states[0], NOISE[:frames])
    for ours, theirs in zip(whole.states, states, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)
    np.testing.assert_allclose(whole.mel, end[0, reference:] * std + mean, atol=5e-4)


def test_the_grid_and_the_seed_as_arrays_change_nothing(engine: Engine) -> None:
    plain = engine.speak(TEXT, seed=3, nfe=5, trajectory=True)
    way = plain.trajectories[0]
    np.testing.assert_allclose(way.times, time_grid(5, -1.0), atol=1e-6)
    given: Any = {"times": way.times, "noise": way.states[0]}
    np.testing.assert_array_equal(engine.speak(TEXT, seed=9, **given).samples, plain.samples)
    assert engine.speak(TEXT, seed=3, nfe=5).trajectories == ()


def test_streams_have_trajectories_of_what_is_finished(engine: Engine) -> None:
    stream = engine.stream(" ".join([TEXT] * 20), nfe=2, trajectory=True)
    next(stream)
    assert len(stream.trajectories) >= 1
    parts = sum(1 for _ in stream) and stream.trajectories
    assert len(parts) == stream.timings["chunks"] > 1


@pytest.mark.parametrize(
    ("options", "field", "said"),
    [
        ({"times": [[0, 1]]}, "times", "2 dimensions"),
        ({"times": ["a"]}, "times", "numbers"),
        ({"times": [0, 0.5, 0.4, 1]}, "times", "increase"),
        ({"noise": np.zeros(100)}, "noise", "frames, mels"),
        ({"noise": np.zeros((900, 99))}, "noise", "100 values a frame"),
        ({"noise": np.zeros((3, 100))}, "noise", "noise has 3 frames"),
    ],
)
def test_wrong_arrays_name_their_fault(engine: Engine, options: Any, field: str, said: str) -> None:
    with pytest.raises(IshowError, match=said) as caught:
        engine.speak(TEXT, **options)
    assert caught.value.field == field and (caught.value.status == "EINVAL" or isinstance(caught.value, ConfigError))


def test_the_sampler_makes_its_tensors_where_the_noise_is(model: Path) -> None:
    """With another default device a tensor made without a device would not mix with the inputs."""
    dit = load_model(model).dit
    tokens, index, phase = torch.tensor([[3, 4, 5]]), torch.arange(12)[None] // 4, torch.full((1, 12), 0.5)
    given = (dit, torch.zeros(1, 4, 100), tokens, [4], [12], torch.randn(1, 12, 100))
    options: Any = {"nfe": 3, "cfg": 2.0, "sway": -1.0, "index": index, "phase": phase}
    expected = sample(*given, **options)
    with torch.device("meta"):
        for solver in ("euler", "midpoint"):
            for short in (False, True):
                made = sample(*given, **options, solver=solver, short_guidance=short)
                assert made.device.type == "cpu" and bool(torch.isfinite(made).all())
    assert torch.equal(sample(*given, **options), expected)
