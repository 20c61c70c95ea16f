"""Time grids, noise and the step scheduler of the C core, from Python."""

import gc
import itertools
import weakref

import numpy as np
import pytest
import torch

from ishowtts import _flow

EPSS = {
    5: [0, 2, 4, 8, 16, 32],
    6: [0, 2, 4, 6, 8, 16, 32],
    7: [0, 2, 4, 6, 8, 16, 24, 32],
    10: [0, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32],
    12: [0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32],
    16: [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32],
}


def torch_grid(nfe: int, kind: str, sway: float) -> torch.Tensor:
    """The grid in plain torch float32."""
    pruned = kind == "epss" and nfe in EPSS
    t = torch.tensor(EPSS[nfe]) / 32 if pruned else torch.linspace(0, 1, nfe + 1)
    return t + sway * (torch.cos(torch.pi / 2 * t) - 1 + t)


@pytest.mark.parametrize("nfe", EPSS)
def test_epss_table(nfe: int) -> None:
    assert _flow.grid(nfe, "epss", 0.0) == [k / 32 for k in EPSS[nfe]]


@pytest.mark.parametrize("kind", ["epss", "uniform"])
@pytest.mark.parametrize("sway", [-1.0, -0.5, 0.0, 0.5])
def test_grids_are_torchs(kind: str, sway: float) -> None:
    for nfe in range(1, 65):
        expected = torch_grid(nfe, kind, sway)
        np.testing.assert_allclose(_flow.grid(nfe, kind, sway), expected, rtol=0, atol=2e-7)


def test_grids_are_the_samplers() -> None:
    from ishowtts.model.sampler import time_grid

    for nfe in (1, 4, 5, 6, 7, 10, 12, 16, 32, 64):
        np.testing.assert_allclose(_flow.grid(nfe), time_grid(nfe, -1.0), rtol=0, atol=2e-7)


@pytest.mark.parametrize(
    ("args", "word"),
    [((0,), "nfe_step"), ((65,), "64"), ((7, "cosine"), "cosine"), ((7, "epss", -2.0), "sway_sampling_coef")],
)
def test_grid_refuses(args: tuple, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        _flow.grid(*args)


def test_noise_is_by_seed_and_position() -> None:
    long = np.asarray(_flow.noise(2**64 - 1, 1000))
    assert long.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(_flow.noise(2**64 - 1, 997)), long[:997])
    assert not np.array_equal(np.asarray(_flow.noise(1, 1000)), long)
    big = np.asarray(_flow.noise(3, 400_000))
    assert abs(big.mean()) < 0.01
    assert abs(big.std() - 1) < 0.01
    with pytest.raises(OverflowError):
        _flow.noise(-1, 4)
    with pytest.raises(ValueError, match="n must be"):
        _flow.noise(1, -4)


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10 in plain Python."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & 0xFFFFFFFF, a >> 32 ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def test_noise_is_philox_and_box_muller() -> None:
    seed, expected = 0x1234_5678_9ABC_DEF0, []
    for block in range(5):
        bits = philox([block, 0, 0, 0], [seed & 0xFFFFFFFF, seed >> 32])
        for u, v in (bits[:2], bits[2:]):
            radius, angle = np.sqrt(-2 * np.log((u + 0.5) / 2**32)), 2 * np.pi * (v + 0.5) / 2**32
            expected += [radius * np.cos(angle), radius * np.sin(angle)]
    np.testing.assert_allclose(np.asarray(_flow.noise(seed, 20)), expected, rtol=1e-6, atol=1e-7)


class Toy:
    """A linear velocity towards a target, row by row."""

    def __init__(self, rows_per_step: int, max_rows: int = 4) -> None:
        self.x: dict[int, np.ndarray] = {}
        self.calls: list[list[int]] = []
        self.poison: int | None = None
        self.scheduler = _flow.Scheduler(self.step, 3, max_rows=max_rows, rows_per_step=rows_per_step)

    def step(self, rows: list[tuple[int, int, float, float]]) -> None:
        self.calls.append([row[0] for row in rows])
        for row, _, dt, cfg in rows:
            if row == self.poison:
                raise RuntimeError("poisoned row")
            x = self.x[row]
            x += np.float32(dt) * (np.float32(cfg) * np.tanh(x) - x)

    def add(self, seed: int, nfe: int, frames: int = 6, **options: float) -> int:
        x = np.asarray(_flow.noise(seed, frames * 3)).copy().reshape(frames, 3)
        row = self.scheduler.add(x, _flow.grid(nfe), **options)
        self.x[row] = x
        return row

    def drain(self) -> dict[int, tuple[str, int, str]]:
        left = {}
        while self.scheduler.rows:
            left.update({row: (outcome, steps, why) for row, outcome, steps, why in self.scheduler.step()})
        return left


@pytest.mark.parametrize("width", [1, 2, 4])
def test_other_rows_do_not_change_a_bit(width: int) -> None:
    alone = {}
    for seed, nfe in ((1, 7), (2, 5), (3, 16)):
        toy = Toy(1)
        row = toy.add(seed, nfe)
        toy.drain()
        alone[seed] = toy.x[row]
    toy = Toy(width)
    rows = {1: toy.add(1, 7)}
    toy.scheduler.step()
    rows[3] = toy.add(3, 16)
    toy.scheduler.step()
    rows[2] = toy.add(2, 5)
    assert {outcome for outcome, _, _ in toy.drain().values()} == {"done"}
    for seed, row in rows.items():
        np.testing.assert_array_equal(toy.x[row], alone[seed])


@pytest.mark.parametrize("interval", [(0.0, 1.0), (0.2, 0.7), (0.5, 0.5)])
@pytest.mark.parametrize("solver", ["euler", "midpoint"])
@pytest.mark.parametrize("short", [False, True])
def test_the_scheduler_is_the_sampler(short: bool, solver: str, interval: tuple[float, float]) -> None:
    """The C scheduler and the readable twin, over one network."""
    from ishowtts.model.config import DiTConfig
    from ishowtts.model.dit import DiT
    from ishowtts.model.sampler import sample

    torch.manual_seed(0)
    dit = DiT(DiTConfig(dim=64, depth=1, heads=1, text_dim=32, conv_layers=0, text_num_embeds=9), 10).eval()
    for parameter in dit.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    cond, tokens, noise = torch.randn(1, 20, 10), torch.randint(1, 10, (1, 20)), torch.randn(1, 20, 10)
    expected = sample(
        dit, cond[:, :6], tokens, [6], [20], noise, nfe=6, cfg=2.0, sway=-1.0, solver=solver,
        guidance_interval=interval,
        short_guidance=short,
    )  # fmt: skip
    given = cond.clone()
    given[:, 6:] = 0
    with torch.no_grad():
        text = [dit.spread(dit.embed_text(tokens, torch.tensor([drop])), None) for drop in (False, True)]
        h = [dit.condition(given, text[0]), dit.condition(torch.zeros_like(given), text[1])]
    times = _flow.grid(6)
    places = [t for a, b in itertools.pairwise(times) for t in ((a, a + (b - a) / 2) if solver == "midpoint" else (a,))]
    x = noise[0].numpy().copy()
    branches = []

    @torch.no_grad()
    def step(rows: list[tuple[int, int, float, float]]) -> None:
        [(_, call, dt, cfg)] = rows
        mod, state = dit.modulation(torch.tensor(places[call])[None]), torch.from_numpy(x)[None]
        v = dit.velocity(state, h[0], mod)
        if cfg:
            seen = slice(6 if short else 0, None)
            v[:, seen] += cfg * (v[:, seen] - dit.velocity(state[:, seen], h[1][:, seen], mod))
        branches.append(2 if cfg else 1)
        x[:] = (state + dt * v)[0].numpy()

    scheduler = _flow.Scheduler(step, 10)
    scheduler.add(x, times, solver=solver, guidance_interval=interval)
    while not (left := scheduler.step()):
        pass
    assert left[0][1:3] == ("done", len(places))
    assert branches == [2 if interval[0] <= t < interval[1] else 1 for t in places]
    np.testing.assert_allclose(x[6:], expected[0, 6:], atol=1e-4 * float(expected.abs().max()))


def test_a_python_exception_fails_only_its_row() -> None:
    toy = Toy(2)
    bad, good = toy.add(1, 7), toy.add(2, 7)
    toy.poison = bad
    left = toy.drain()
    assert left[bad] == ("failed", 0, "RuntimeError: poisoned row")
    assert left[good][:2] == ("done", 7)


def test_cancel_priority_and_capacity() -> None:
    toy = Toy(1, max_rows=2)
    low, high = toy.add(1, 7), toy.add(2, 7, priority=1)
    with pytest.raises(ValueError, match="inside"):
        toy.add(3, 7)
    for _ in range(3):
        toy.scheduler.step()
    assert toy.calls == [[high]] * 3
    toy.scheduler.cancel(high)
    left = toy.drain()
    assert left[high] == ("cancelled", 3, "")
    assert left[low][:2] == ("done", 7)
    with pytest.raises(KeyError):
        toy.scheduler.cancel(high)


def test_wrong_buffers_are_refused() -> None:
    toy = Toy(1)
    for x in (np.zeros((4, 3)), np.zeros((4, 2), np.float32), np.zeros(12, np.float32)):
        with pytest.raises(ValueError, match="float32"):
            toy.scheduler.add(x, [0.0, 1.0])
    with pytest.raises(ValueError, match="solver must be euler or midpoint"):
        toy.scheduler.add(np.zeros((4, 3), np.float32), [0.0, 1.0], solver="heun")
    with pytest.raises(ValueError, match="times"):
        toy.scheduler.add(np.zeros((4, 3), np.float32), [0.0])
    assert toy.scheduler.rows == 0


def test_the_scheduler_is_collected_with_its_cycle() -> None:
    toy = Toy(1)
    toy.add(1, 7)
    gone = weakref.ref(toy)
    del toy
    gc.collect()
    assert gone() is None
