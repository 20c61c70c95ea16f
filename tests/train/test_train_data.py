"""Alignment, metadata, batches and vocabularies of training data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from training import PHONES

import ishowtts
from ishowtts.model.config import MelConfig
from ishowtts.text import phones as front_end
from ishowtts.train import data as datasets
from ishowtts.train import dit, main
from ishowtts.train.align import (
    HOP,
    SAMPLE_RATE,
    Clip,
    audible_span,
    lay_out,
    read_alignment,
    read_metadata,
)
from ishowtts.train.data import (
    Batches,
    divided,
    index_and_phase,
    log_mel,
    whole,
)
from ishowtts.train.vocabulary import ANYONE, TONES, VOCABULARY, borrow, carry_over, tone_vectors, with_speakers


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
    assert all(len({part.clip % 2 for part in row}) == 1 for row in rows)


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


def test_unseen_symbols_borrow_a_relative() -> None:
    seen = {VOCABULARY.index(p) + 1 for p in (".", "ow1", "ax0", "sh")}
    table = torch.arange(len(VOCABULARY) + 1.0)[:, None].clone()
    borrow(table, seen)
    pairs = (("?", "."), ("!", "."), ("ow0", "ow1"), ("ah1", "ax0"), ("zh", "sh"))
    for symbol, source in pairs:
        assert table[VOCABULARY.index(symbol) + 1] == VOCABULARY.index(source) + 1
    assert table[VOCABULARY.index("b") + 1] == VOCABULARY.index("b") + 1


def test_the_tones_of_a_final_begin_apart() -> None:
    """Finals that begin as an English vowel differ by the vector of their tone, the same for every final."""
    width = 16
    tones = tone_vectors(width)
    torch.testing.assert_close(tones @ tones.T, torch.diag(torch.tensor([0.0, *[width / 4] * TONES])))
    seen = {VOCABULARY.index(p) + 1 for p in ("aa1", "ow1", "iy1", "zh_an2")}
    table = torch.randn(len(VOCABULARY) + 1, width, generator=torch.Generator().manual_seed(1))
    before = table.clone()
    borrow(table, seen)

    def row(symbol: str) -> torch.Tensor:
        return table[VOCABULARY.index(symbol) + 1]

    torch.testing.assert_close(row("zh_a3") - row("zh_a1"), tones[3] - tones[1])
    torch.testing.assert_close(row("zh_i3") - row("zh_i1"), tones[3] - tones[1])
    torch.testing.assert_close(row("zh_an4") - row("zh_an2"), tones[4] - tones[2])
    assert torch.equal(row("zh_an2"), before[VOCABULARY.index("zh_an2") + 1]), "what was learnt stays"


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


def test_long_clips_are_cut_to_parts_of_whole_phones(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part begins with the speaker, and its mel is that of its phones."""
    data = datasets.load(work)
    most = int(np.median([data.length(k) for k in data.train])) // 2
    monkeypatch.setattr("ishowtts.train.data.WINDOW", most)
    rng = np.random.default_rng(0)
    long = [k for k in data.train if data.length(k) > 1.5 * most]
    starts = set()
    for k in long[:8] * 20:
        part = datasets.window(data, k, rng)
        starts.add((k, part.start))
        assert part.tokens[0] == data.tokens[k][0]
        assert part.length == part.frames.sum() <= most or len(part.tokens) == 2
        assert len(part.tokens) == len(part.frames)
        assert (part.frames > 0).all()
        ends = np.cumsum(data.frames[k])
        assert part.start + part.length in ends
        last = int(np.searchsorted(ends, part.start + part.length)) + 1
        assert list(part.tokens[1:]) == list(data.tokens[k][last - len(part.tokens) + 1 : last])
    assert len(starts) > len(long[:8])
    monkeypatch.setattr("ishowtts.train.data.WHOLE", 0.0)
    monkeypatch.setattr("ishowtts.train.data.PROMPTED", 0.0)
    monkeypatch.setattr("ishowtts.train.data.PAIRED", 0.0)
    batches = Batches(data, data.train, 800, 0, windows=True)
    assert max(int(batches(step).frames.max()) for step in range(10)) < max(map(data.length, data.train))


@pytest.fixture
def short_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts that fit into the clips of these tests."""
    monkeypatch.setattr("ishowtts.train.data.PROMPT", (8, 40))
    monkeypatch.setattr("ishowtts.train.data.BEHIND_PROMPT", 8)


@pytest.mark.usefixtures("short_prompts")
def test_a_prompt_belongs_to_the_unnamed_speaker(work: Path) -> None:
    """Its frames have the token ANYONE alone; the phones behind it have their frames, and no speaker of their own."""
    data = datasets.load(work)
    k = data.train[0]
    prompt, rest = divided(whole(data, k), np.random.default_rng(0))
    assert prompt.tokens.tolist() == [ANYONE] and 8 <= prompt.length == prompt.frames.sum()
    assert rest.start == prompt.length and rest.length == rest.frames.sum() >= 8
    assert prompt.length + rest.length == data.length(k)
    assert rest.tokens.tolist() == data.tokens[k][-len(rest.tokens) :].tolist() and ANYONE not in rest.tokens
    batch = datasets.collate(data, [[prompt, rest], [whole(data, k)]], data.length(k), 64)
    assert batch.prompt.tolist() == [prompt.length, 0]
    assert batch.index[0].tolist() == sorted(batch.index[0].tolist()) and (batch.index[0] == 0).sum() == prompt.length
    assert torch.equal(batch.mel[0], batch.mel[1]), "the sound is the same"
    short = datasets.Part(k, 0, 15, data.tokens[k][:3], np.array([1, 7, 7]))
    assert divided(short, np.random.default_rng(0)) == [short], "too short for both"


@pytest.mark.usefixtures("short_prompts")
def test_clips_of_unnamed_speakers_are_divided_and_not_joined(work: Path) -> None:
    data = datasets.load(work)
    data.clips = [dataclasses.replace(clip, speaker="") for clip in data.clips]
    batches = Batches(data, data.train, 800, 0, windows=True)
    prompts = [int(n) for step in range(12) for n in batches(step).prompt]
    assert sum(n > 0 for n in prompts) > len(prompts) / 2
    for rows in (rows for _, rows in batches._plan(0)):
        assert all(len({part.clip for part in row}) == 1 for row in rows), "each clip is of another speaker"


def test_speakers_with_less_speech_are_repeated(work: Path) -> None:
    """The shares of two speakers follow the square roots of what they have."""
    data = datasets.load(work)
    one, other = data.train[::4], data.train[1::4]
    for k in other:
        data.clips[k] = dataclasses.replace(data.clips[k], speaker="another")
    for k in one:
        data.clips[k] = dataclasses.replace(data.clips[k], speaker="one")
    few = other[: len(other) // 4]
    drawn = datasets.balanced(data, [*one, *few])
    assert set(drawn) == {*one, *few}
    seconds = [sum(map(data.length, [k for k in drawn if k in set(own)])) for own in (one, few)]
    ratio = sum(map(data.length, one)) / sum(map(data.length, few))
    assert seconds[0] / seconds[1] == pytest.approx(ratio**0.5, rel=0.25)
