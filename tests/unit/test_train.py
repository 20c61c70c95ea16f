"""Training on a synthetic voice: tiny networks, a few steps, everything that a long run relies on."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

import ishowtts
from ishowtts.model import sampler as model_sampler
from ishowtts.model.config import DiTConfig, DurationConfig, MelConfig, ModelConfig, VocosConfig
from ishowtts.model.dit import DiT
from ishowtts.model.sampler import time_grid
from ishowtts.model.vocos import Vocos
from ishowtts.text import phones as front_end
from ishowtts.train import data as datasets
from ishowtts.train import distil, dit, duration, export, made, main, vocos
from ishowtts.train.align import (
    HOP,
    SAMPLE_RATE,
    Clip,
    audible_span,
    lay_out,
    read_alignment,
    read_metadata,
)
from ishowtts.train.data import Batches, index_and_phase, log_mel
from ishowtts.train.loop import AVERAGE_EVERY, Options, Run
from ishowtts.train.speaking import predict_frames, quick_score, sample
from ishowtts.train.vocabulary import ANYONE, VOCABULARY, borrow, carry_over, with_speakers
from ishowtts.voices import model_voices

torch.set_num_threads(1)

DIT = DiTConfig(
    dim=32, depth=1, heads=1, dim_head=32, ff_mult=2, text_dim=16, conv_layers=1,
    text_num_embeds=len(with_speakers(["tone"])), speakers=2, text_layout="aligned",
)  # fmt: skip
VOCOS = VocosConfig(dim=16, intermediate_dim=32, num_layers=1, head="source_filter")
DURATION = DurationConfig(dim=16, layers=1, kernel=3)
PHONES = ["pau", "hh", "ay1", "y", "uw1", "."]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder with 40 aligned clips: tones whose pitch is their phone."""
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(0)
    clips = []
    for k in range(40):
        frames = rng.integers(4, 12, size=len(PHONES))
        total = int(frames.sum())
        pitch = np.repeat(100.0 * (1 + np.arange(len(PHONES))), frames)
        phase = np.cumsum(np.repeat(pitch, HOP)[: (total - 1) * HOP]) / SAMPLE_RATE
        wave = 0.1 * np.sin(2 * np.pi * phase) + 0.001 * rng.standard_normal(len(phase))
        path = folder / f"clip{k}.wav"
        soundfile.write(path, wave, SAMPLE_RATE)
        clips.append(
            Clip(
                path.stem,
                "tone",
                "en",
                str(path),
                f"sentence {'ab'[k % 2] * k}",
                0,
                len(wave),
                1.0,
                PHONES,
                frames.tolist(),
            )
        )
    (folder / "align.jsonl").write_text("".join(json.dumps(asdict(c)) + "\n" for c in clips))
    return folder


def options(work: Path, folder: Path, steps: int, **more: object) -> Options:
    """A run in `folder` over the data of `work`."""
    for name in ("align.jsonl", "data.npz"):
        if (work / name).is_file() and not (folder / name).exists():
            (folder / name).symlink_to(work / name)
    return Options(folder, steps=steps, **more)  # type: ignore[arg-type]


def weights(net: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


# ---- alignment and data -------------------------------------------------------------------------


def test_layout_of_pauses_and_marks() -> None:
    symbols = [("pau", -1), ("hh", 0), ("ay1", 0), ("pau", -1), ("y", 1), ("uw1", 1), (".", -1)]
    words = [
        ("a", [(20, 10), (30, 10)]),
        ("<sil>", [(40, 20)]),
        ("b", [(60, 10), (70, 10)]),
        ("<sil>", [(80, 9)]),
    ]
    phones, frames = lay_out(symbols, words, 90)
    assert phones == ["pau", "hh", "ay1", "pau", "y", "uw1", "."]
    assert sum(frames) == 90
    assert frames[0] == 19 and frames[3] == 18
    close = [("a", [(20, 10), (30, 10)]), ("b", [(41, 10), (51, 10)])]
    assert lay_out(symbols, close, 60)[0] == ["pau", "hh", "ay1", "y", "uw1", "."]


def test_layout_keeps_a_frame_for_every_phone() -> None:
    symbols = [("pau", -1), ("t", 0), ("iy1", 0), (".", -1)]
    phones, frames = lay_out(symbols, [("a", [(10, 1), (11, 30)])], 38)
    assert len(phones) == 4 and min(frames) >= 1 and sum(frames) == 38


def test_a_glottal_stop_is_the_first_part_of_its_vowel() -> None:
    symbols = [("de_pau", -1), ("de_q", 0), ("de_i1", 0), ("de_ch", 0), ("de_.", -1)]
    phones, frames = lay_out(symbols, [("ich", [(20, 30), (50, 10)])], 80)
    assert phones == ["de_pau", "de_q", "de_i1", "de_ch", "de_."]
    assert frames[1] == 3 and sum(frames[1:3]) == round(50 * 0.9375) - frames[0]


def test_clips_of_two_speakers_are_never_joined(work: Path) -> None:
    data = datasets.load(work)
    for k, clip in enumerate(data.clips):
        object.__setattr__(clip, "speaker", "ab"[k % 2])
    batches = Batches(data, data.train, 800, 0)
    rows = [row for epoch in range(4) for _, group in batches._plan(epoch) for row in group]
    assert any(len(row) > 1 for row in rows)
    assert all(len({k % 2 for k in row}) == 1 for row in rows)


def test_audible_span_trims_and_refuses_silence() -> None:
    wave = np.zeros(40 * HOP, np.float32)
    wave[20 * HOP : 25 * HOP] = 0.3
    assert audible_span(wave) == (12 * HOP, 36 * HOP)
    with pytest.raises(ValueError, match="silent"):
        audible_span(np.zeros(SAMPLE_RATE, np.float32))


def test_a_recording_is_aligned_and_a_wrong_text_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voice = Path(ishowtts.__file__).parent / "voices" / "demo"
    text = (voice / "reference.txt").read_text().strip()
    (tmp_path / "good.flac").symlink_to(voice / "reference.flac")
    (tmp_path / "bad.flac").symlink_to(voice / "reference.flac")
    (tmp_path / "metadata.csv").write_text(f"good|{text}\nbad|...\n")
    work = tmp_path / "work"
    assert main(["align", "--data", str(tmp_path), "--work", str(work)]) == 0
    assert "1 clips aligned, 1 left out\n  bad: the text has nothing" in capsys.readouterr().out
    (clip,) = read_alignment(work / "align.jsonl")
    assert clip.id == "good" and clip.phones[0] == "pau" and clip.phones[-1] == "."
    assert [p for p in clip.phones if p != "pau"] == [p for p in front_end.symbols(text) if p != "pau"]
    assert sum(clip.frames) == (clip.end - clip.start) // HOP + 1
    datasets.build_cache(work / "align.jsonl", work / "data.npz")
    assert datasets.load(work).length(0) == sum(clip.frames)


def test_metadata_errors_name_the_line(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("a|One.\nb|Two.\n")
    (tmp_path / "wavs").mkdir()
    for folder, name in ((tmp_path, "a"), (tmp_path / "wavs", "b")):
        soundfile.write(folder / f"{name}.wav", np.zeros(100), SAMPLE_RATE)
    assert [(r[0], r[2]) for r in read_metadata(tmp_path)] == [("a", "One."), ("b", "Two.")]
    (tmp_path / "metadata.csv").write_text("a|One.\nnothing\n")
    with pytest.raises(ValueError, match=r"metadata\.csv:2"):
        read_metadata(tmp_path)
    (tmp_path / "metadata.csv").write_text("gone|One.\n")
    with pytest.raises(FileNotFoundError, match="gone"):
        read_metadata(tmp_path)


def test_takes_of_a_sentence_stay_together(work: Path) -> None:
    texts = [f"Sentence number {k}!" for k in range(300)]
    clips = [
        Clip(str(i), "tone", "en", "", t, 0, 0, 1, [], [])
        for i, t in enumerate([*texts, *(t.lower()[:-1] for t in texts)])
    ]
    train, held = datasets.split(clips)
    assert {k % 300 for k in train}.isdisjoint({k % 300 for k in held})
    assert 300 / 24 / 3 < len(held) / 2 < 300 / 24 * 3


def test_index_and_phase() -> None:
    index, phase = index_and_phase(np.array([2, 0, 3]))
    assert index.tolist() == [0, 0, 2, 2, 2]
    np.testing.assert_allclose(phase, [0.25, 0.75, 1 / 6, 0.5, 5 / 6], atol=1e-6)


def test_log_mel_is_the_reference_formula() -> None:
    wave = 0.1 * np.random.default_rng(0).standard_normal(6000)
    padded = np.pad(wave, 512, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    pieces = np.stack([padded[i : i + 1024] * window for i in range(0, 6000 + 1, 256)])
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 12000 / 700), 102) / 2595) - 1)
    bins = np.arange(513) * 24000 / 1024
    bank = np.stack([np.interp(bins, corners[i : i + 3], [0, 1, 0]) for i in range(100)], axis=1)
    expected = np.log(np.maximum(np.abs(np.fft.rfft(pieces)) @ bank, 1e-5))
    made = log_mel(torch.from_numpy(wave.astype(np.float32))[None], MelConfig())[0].numpy()
    np.testing.assert_allclose(made, expected, atol=5e-3)


def test_batches_depend_on_seed_and_step_alone(work: Path) -> None:
    data = datasets.load(work)
    one, other = Batches(data, data.train, 800, 3), Batches(data, data.train, 800, 3)
    for _ in range(5):
        other(0)
    for step in (0, 7, one.per_epoch + 1):
        torch.testing.assert_close(one(step).mel, other(step).mel)
    assert any(len(set(one(s).tokens[0].tolist()) - {0}) and (one(s).frames > 70).any() for s in range(8))
    different = Batches(data, data.train, 800, 4)
    assert any(one(s).mel.shape != different(s).mel.shape or (one(s).mel != different(s).mel).any() for s in range(4))


# ---- runs ---------------------------------------------------------------------------------------


CHILD = """
import sys
from pathlib import Path
from ishowtts.model.config import DiTConfig
from ishowtts.train import dit, loop
loop.SAVE_EVERY = 0.0  # after every step
dit.train(loop.Options(Path(sys.argv[1]), steps=int(sys.argv[2])), config=DiTConfig(**eval(sys.argv[3])))
"""


def test_dit_resumes_exactly_after_a_kill(work: Path, tmp_path: Path) -> None:
    """A process that trains is killed by SIGKILL in the middle: resumed, the run ends where an undisturbed one does, bit for bit."""
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
    assert dit.train(begun, config=DIT).step == steps  # there is nothing left to do


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
    """After k updates the average is what the formula says: early steps count less, later ones by the decay."""
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


def test_only_guided_rows_learn_a_strength() -> None:
    """A row that learns one branch alone is given no strength, and the unconditional one no conditions."""
    rows, frames, mels = 400, 3, 2
    torch.manual_seed(2)
    tensors = {
        name: torch.randn(rows, frames, mels) for name in ("x", "cond", "conditional", "unconditional", "guided")
    }
    batch = datasets.Batch(*(torch.zeros(rows, frames) for _ in fields(datasets.Batch)))
    strength = 1 + torch.rand(rows)
    point = distil.Point(
        batch, tensors["cond"], torch.zeros(rows, dtype=torch.bool), torch.ones(rows, frames, dtype=torch.bool), tensors["x"], 0.5,
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
    """The network learns what both branches give together, keeps both, and ends the same whether it was interrupted or not."""

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
    teacher = export.load_models(whole, data, told=False)[0]
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
    export.export(other, tmp_path / "again", data, kept=export.Kept(voice))  # nothing was trained again
    for folder in (voice, tmp_path / "again"):
        config, state = ModelConfig.load(folder / "model.json"), load_file(folder / "dit.safetensors")
        assert config.dit.guidance_max == distil.GUIDANCE_MAX
        learnt = run.ema.state_dict()["guidance_embed.time_mlp.2.weight"]  # type: ignore[union-attr]
        torch.testing.assert_close(state["guidance_embed.time_mlp.2.weight"].float(), learnt, atol=1e-3, rtol=1e-3)
    assert not export.load_models(whole, data, told=False)[0].config.guidance_max
    torch.save({"ema": DiT(DIT).state_dict()}, whole / "dit" / "checkpoint.pt")
    with pytest.raises(ValueError, match="is of another transformer than"):
        export.load_models(whole, data)
    assert main(["distil", "--work", str(other), "--steps", "2"]) == 1  # no transformer
    third = tmp_path / "third"  # distilled again, from a voice that has been
    third.mkdir()
    options(work, third, 1)
    assert main(["distil", "--work", str(third), "--steps", "2", "--finetune", str(voice)]) == 0
    assert torch.load(third / "distil" / "checkpoint.pt", weights_only=True)["step"] == 2
    further = dit.train(
        options(work, other, 1, finetune=voice), data
    )  # begins with the branches and without the strength
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
    alone = (
        points[0].drop_cond.nonzero().flatten().tolist()
    )  # rows without speech around what is made, as the sampler has them
    assert alone
    for row in alone:
        frames, batch = int(points[0].batch.frames[row]), points[0].batch
        visited: list[torch.Tensor] = []
        whole_path = model_sampler.sample(
            teacher, torch.zeros(1, 0, 100), batch.tokens[row : row + 1], [0], [frames], points[0].x[row : row + 1, :frames],
            nfe=distil.NFE, cfg=float(points[0].strength[row]), sway=-1.0, index=batch.index[row : row + 1, :frames],
            phase=batch.phase[row : row + 1, :frames], watch=lambda i, x, seen=visited: seen.append(x.clone()),
        )  # fmt: skip
        assert len(whole_path) == 1
        for point, x in zip(points, visited, strict=False):
            torch.testing.assert_close(point.x[row, :frames], x[0], rtol=0.02, atol=0.05)  # products in bf16


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


def test_vocos_learns_with_and_without_judges(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocos, "CURVE_EVERY", 6)
    monkeypatch.setattr(vocos, "ROWS", 2)
    monkeypatch.setattr(vocos, "SPECTRAL_PART", 0.7)
    monkeypatch.setattr("ishowtts.train.loop.WARM_UP", 5)
    vocos.train(options(work, tmp_path, 24), config=VOCOS)
    with (tmp_path / "vocos" / "curves.csv").open() as file:
        rows = [(int(r[0]), r[2], float(r[3])) for r in csv.reader(file)]
    mel = [v for _, name, v in rows if name == "mel"]
    assert mel[-1] < mel[0]
    assert min(step for step, name, _ in rows if name == "fooled") == 18


def test_the_transformer_makes_a_share_of_the_clips(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = datasets.load(work)
    torch.manual_seed(0)
    net = DiT(DIT).eval()
    torch.nn.init.normal_(net.proj_out.weight, std=0.1)
    first = made.make(net, data, 0.5, tmp_path / "made.npz")
    assert len(first.clips) == round(0.5 * len(data.train)) and first.clips <= set(data.train)
    assert first.mels.shape == data.mels.shape and np.isfinite(first.mels).all()
    for k in range(len(data.clips)):
        rows = slice(data.mel_at[k], data.mel_at[k + 1])
        assert np.array_equal(first.mels[rows], data.mels[rows]) == (k not in first.clips)
    # a transformer that leaves x_t as it is leaves noise; at the last step it is nearly gone
    still, t = DiT(DIT).eval(), 0.29
    made_of_noise = made.make(still, data, 1.0, tmp_path / "still.npz")
    assert made_of_noise.clips == set(data.train)
    k = data.train[0]
    x, y = (m[data.mel_at[k] : data.mel_at[k + 1]].astype(np.float64).ravel() for m in (data.mels, made_of_noise.mels))
    assert np.cov(x, y)[0, 1] / x.var() == pytest.approx(t, abs=0.1)

    monkeypatch.setattr(made, "sample", None)
    again = made.make(net, data, 0.5, tmp_path / "made.npz")  # from the file
    assert again.clips == first.clips and np.array_equal(again.mels, first.mels)
    for other, share in ((still, 0.5), (net, 0.25)):
        with pytest.raises(TypeError):  # it has to be made again
            made.make(other, data, share, tmp_path / "made.npz")


def test_the_vocoder_hears_what_was_made(work: Path) -> None:
    data = datasets.load(work)
    mels = np.full_like(data.mels, 1.5)
    plain, mixed = vocos.segments(data, 0, 3), vocos.segments(data, 0, 3, made.Made(mels, frozenset(data.train)))
    assert torch.equal(mixed.sound, plain.sound) and torch.equal(plain.mel, log_mel(plain.sound, data.config))
    assert torch.equal(plain.heard, plain.mel) and torch.equal(
        mixed.mel, plain.mel
    )  # what it is to sound like stays the recording's
    for wave, rows in zip(plain.sound, mixed.heard, strict=True):
        heard = rows[
            (rows - rows[0, 0]).abs().amax(dim=1) < 1e-3
        ]  # of clips shorter than a segment the rest is silence
        assert len(heard) >= 20 and 1.5 - 0.7 <= float(heard[0, 0]) <= 1.5 + 0.4, wave
    levels = {round(float(rows[0, 0]), 4) for rows in mixed.heard}
    assert len(levels) == vocos.ROWS  # each at its own level, as the sound
    none = vocos.segments(data, 0, 3, made.Made(mels, frozenset()))
    assert torch.equal(none.heard, plain.heard)


def test_the_vocoder_learns_the_teachers_pulses(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pitch that a teacher wrote beside its sound is what the pulses of the same segment have."""
    folder = tmp_path / "taught"
    folder.mkdir()
    lines = (work / "align.jsonl").read_text().splitlines()
    clips = [json.loads(line) for line in lines]
    for clip in clips:
        sound = folder / Path(clip["path"]).name
        time = np.arange(clip["end"]) / SAMPLE_RATE
        soundfile.write(sound, sum(0.05 * np.cos(2 * np.pi * 150 * h * time) for h in range(1, 9)), SAMPLE_RATE)
        np.savez(sound.with_suffix(".npz"), pitch=np.full(clip["end"] // 300 + 2, 150.0, np.float32), pitch_hop=300)
        clip["path"] = str(sound)
    (folder / "align.jsonl").write_text("".join(json.dumps(clip) + "\n" for clip in clips))
    data = datasets.load(folder)
    pitch = data.pitch[0]
    assert pitch is not None
    cycles, hz = pitch.at(3000)
    assert np.allclose(hz, 150) and np.allclose(
        np.diff(np.unwrap(2 * np.pi * cycles[1000:2000])), 2 * np.pi * 150 / SAMPLE_RATE, atol=1e-4
    )
    piece = vocos.segments(data, 0, 3)
    assert piece.known.all() and (piece.f0[:, 3:10] == 150).all()
    monkeypatch.setattr(vocos, "CURVE_EVERY", 10)
    monkeypatch.setattr(vocos, "ROWS", 2)
    monkeypatch.setattr("ishowtts.train.loop.WARM_UP", 5)
    vocos.train(Options(folder, steps=40), config=VOCOS)
    with (folder / "vocos" / "curves.csv").open() as file:
        rows = [(r[1 + 1], float(r[3])) for r in csv.reader(file)]
    for loss in ("pitch", "complex", "mel"):
        values = [value for name, value in rows if name == loss]
        assert values[-1] < values[0], loss


@pytest.mark.usefixtures("small")
def test_judges_learn_alone_when_a_vocoder_is_tuned(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocos, "ROWS", 2)
    monkeypatch.setattr(vocos, "JUDGES_ALONE", 0.5)
    monkeypatch.setattr(vocos, "CURVE_EVERY", 2)
    start, tuned = tmp_path / "start", tmp_path / "tuned"
    tuned.mkdir()
    options(work, tmp_path, 1)
    assert main(["export", "--work", str(tmp_path), "--out", str(start)]) == 0
    before = load_file(start / "vocos.safetensors")["head.out.weight"].float()
    chosen = options(work, tuned, 8, finetune=start)
    half_way = vocos.train(Options(tuned / "a", steps=0, finetune=start), data=datasets.load(work)).modules["vocos"]
    torch.testing.assert_close(half_way.head.out.weight, before)  # type: ignore[union-attr]
    run = vocos.train(chosen)
    with (tuned / "vocos" / "curves.csv").open() as file:
        rows = [(int(r[0]), r[2]) for r in csv.reader(file)]
    assert {step for step, name in rows if name == "judges"} == {2, 4, 6, 8}
    assert {step for step, name in rows if name in ("mel", "fooled")} == {6, 8}
    assert not torch.equal(run.modules["vocos"].head.out.weight, before)  # type: ignore[union-attr]


# ---- voices -------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dit, "architecture", lambda data: DIT)
    monkeypatch.setattr(vocos, "architecture", lambda: VOCOS)
    monkeypatch.setattr(duration, "architecture", lambda: DURATION)


@pytest.mark.usefixtures("small")
def test_export_then_finetune(work: Path, tmp_path: Path) -> None:
    first, second, voice = tmp_path / "a", tmp_path / "b", tmp_path / "voice"
    first.mkdir()
    second.mkdir()
    run = dit.train(options(work, first, 3))
    assert main(["export", "--work", str(first), "--out", str(voice)]) == 0
    config = ModelConfig.load(voice / "model.json")
    assert config.dit == DIT and config.prompt is False and config.mel.std > 0
    assert (voice / "vocab.txt").read_text().split("\n")[:-1] == with_speakers(["tone"])
    assert soundfile.info(voice / "tone.flac").samplerate == SAMPLE_RATE
    (listed,) = model_voices(str(voice))
    assert (listed.id, listed.language) == ("tone", "en") and listed.text.startswith("sentence")
    (second / "align.jsonl").symlink_to(work / "align.jsonl")
    assert main(["dit", "--work", str(second), "--steps", "0", "--finetune", str(voice)]) == 0
    tuned = export.averaged(second, "dit")
    assert tuned is not None and run.ema is not None
    for name, value in run.ema.state_dict().items():
        if name != "text_embed.text_embed.weight":  # symbols that were never seen borrow a relative's vector
            torch.testing.assert_close(tuned[name], value, atol=2e-3, rtol=2e-3)
    mel = datasets.load(second).config
    assert (mel.mean, mel.std) == (config.mel.mean, config.mel.std)


@pytest.mark.usefixtures("small")
def test_export_keeps_a_share_of_the_start(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start, tuned = tmp_path / "start", tmp_path / "tuned"
    tuned.mkdir()
    options(work, tmp_path, 1)
    assert main(["export", "--work", str(tmp_path), "--out", str(start)]) == 0
    dit.train(options(work, tuned, 1, seed=1))
    found = []
    for share in ("0", "0.25", "1"):
        out = tmp_path / share
        arguments = [
            "export",
            "--work",
            str(tuned),
            "--out",
            str(out),
            "--finetune",
            str(start),
            "--keep",
            f"dit={share}",
        ]
        assert main(arguments) == 0
        found.append(load_file(out / "dit.safetensors"))
    name = "input_embed.proj.weight"
    learnt, mixed, first = (state[name].float() for state in found)
    assert not torch.equal(learnt, first)
    torch.testing.assert_close(mixed, 0.75 * learnt + 0.25 * first, atol=1e-3, rtol=1e-2)
    torch.testing.assert_close(first, load_file(start / "dit.safetensors")[name].float(), atol=1e-3, rtol=1e-2)
    assert main(arguments[:-2]) == 0  # nothing of the transformer is kept; what was not trained comes from the start
    for network in ("vocos", "duration"):
        again, old = (load_file(folder / f"{network}.safetensors") for folder in (out, start))
        assert all(torch.equal(again[key], old[key]) for key in old)
    for wrong, why in (
        ("dit=1.5", "from 0 to 1"),
        ("dat=0.5", "dat=0.5"),
        ("dit", "NETWORK=SHARE"),
        ("dit=x", "NETWORK=SHARE"),
    ):
        assert main([*arguments[:-1], wrong]) == 1
        assert why in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["export", "--work", str(tuned), "--out", str(out), "--keep", "dit=0.5"])


@pytest.mark.usefixtures("small")
def test_finetune_refuses_another_architecture(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options(work, tmp_path, 1)
    assert main(["export", "--work", str(tmp_path), "--out", str(tmp_path / "voice")]) == 0
    monkeypatch.setattr(duration, "architecture", lambda: DurationConfig(dim=24, layers=1, kernel=3))
    arguments = ["duration", "--work", str(tmp_path), "--finetune", str(tmp_path / "voice")]
    assert main(arguments) == 1
    assert "another architecture" in capsys.readouterr().err


def test_unseen_symbols_borrow_a_relative() -> None:
    seen = {VOCABULARY.index(p) + 1 for p in (".", "ow1", "ax0", "sh")}
    table = torch.arange(len(VOCABULARY) + 1.0)[:, None].clone()
    borrow(table, seen)
    pairs = (("?", "."), ("!", "."), ("ow0", "ow1"), ("ah1", "ax0"), ("zh", "sh"))
    for symbol, source in pairs:
        assert table[VOCABULARY.index(symbol) + 1] == VOCABULARY.index(source) + 1
    assert table[VOCABULARY.index("b") + 1] == VOCABULARY.index("b") + 1


def test_a_longer_vocabulary_keeps_what_was_learnt() -> None:
    symbols = VOCABULARY[: VOCABULARY.index("de_b")]
    old = torch.arange(len(symbols) + 1.0)[:, None]
    wanted = with_speakers(["anna"])
    made = carry_over(old, symbols, torch.full((len(wanted) + 1, 1), -1.0), wanted)
    assert torch.equal(made[: len(old)], old)
    assert made[ANYONE] == made[ANYONE + 1] == 0, "a voice without speakers had nothing to add"
    assert made[VOCABULARY.index("de_sch") + 1] == VOCABULARY.index("sh") + 1, "a new symbol begins as its relative"
    assert (made >= 0).all()
    with pytest.raises(ValueError, match="'x'"):
        carry_over(old[:2], ["x"], made, wanted)
    with pytest.raises(ValueError, match="length"):
        carry_over(old, symbols[:-1], made, wanted)


def test_speakers_are_carried_over_by_name() -> None:
    before, wanted = with_speakers(["anna", "bernd"]), with_speakers(["bernd", "clara"])
    old = torch.arange(len(before) + 1.0)[:, None]
    made = carry_over(old, before, torch.full((len(wanted) + 1, 1), -1.0), wanted)
    assert made[ANYONE] == ANYONE and made[ANYONE + 1] == ANYONE + 2, "bernd was the second"
    assert made[ANYONE + 2] == ANYONE, "a new speaker begins as anyone"


def test_a_clip_begins_with_its_speaker(work: Path) -> None:
    data = datasets.load(work)
    for k in range(3):
        assert data.tokens[k][0] == ANYONE + 1 and data.symbols[ANYONE] == "@tone"
        assert len(data.tokens[k]) == len(data.frames[k]) == len(PHONES) + 1
        assert data.frames[k][0] == 1 and data.frames[k].sum() == data.length(k)
    tokens = torch.tensor([[ANYONE + 1, 1, 2], [ANYONE + 1, 1, 2]])
    assert dit.anonymous(tokens, torch.tensor([True, False])).tolist() == [[ANYONE, 1, 2], [ANYONE + 1, 1, 2]]


def test_half_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="big"):
        export.half({"big": torch.tensor([1e6])})


def test_command_line_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["align", "--work", str(tmp_path)])
    with pytest.raises(SystemExit):
        main(["vocos", "--work", str(tmp_path), "--made", "2"])
    assert main(["dit", "--work", str(tmp_path)]) == 1
    assert "align.jsonl" in capsys.readouterr().err


# ---- score --------------------------------------------------------------------------------------


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


def test_vocoder_distance_is_zero_only_for_itself(work: Path) -> None:
    data = datasets.load(work)
    net = Vocos(VOCOS, MelConfig())
    assert vocos.mel_distance(net, data, data.train[:2]) > 0.1
