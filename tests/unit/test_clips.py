"""A clip without its words: its row, how much of it is used, and voices with and without one in a model.

That all backends compute such rows alike is tested by test_engine_backends.py, test_trajectory.py and
test_prompt_cache.py, whose voice is a clip.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tiny import encodings, letters, make

from ishowtts import Engine, IshowError
from ishowtts.model.checkpoint import load_model
from ishowtts.text.frontend import Frontend

RATE, HOP = 24000, 256
TEXT = "Hello there, how are you?"
Wave = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("model") / "tiny", speakers=("", "anna"))


def voice(seconds: float, *pauses: tuple[float, float]) -> Wave:
    """A tone that varies, silent in the pauses."""
    at = np.arange(int(seconds * RATE)) / RATE
    wave = 0.2 * np.sin(2 * np.pi * 220 * at) * (1 + 0.5 * np.sin(2 * np.pi * 4 * at))
    for begin, end in pauses:
        wave[(at >= begin) & (at < end)] = 0
    return wave.astype(np.float32)


def test_the_row_of_a_clip(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token without a name lasts for the clip; the text has the durations that are predicted behind that token."""
    encoded = encodings(monkeypatch)
    frontend, loaded = Frontend(str(model)), load_model(model)
    said = frontend.normalize(TEXT)
    with Engine.load(model, backend="eager", precision="fp32", threads=1) as engine:
        engine.add_voice("anna", voice(3), sample_rate=RATE)
        engine.speak(TEXT, "anna", nfe=1, seed=1)
        engine.add_voice("anna", None)
        engine.speak(TEXT, "anna", nfe=1, seed=1)
    ((tokens, cond, index, phase, reference, frames), (named, own, _, _, no_reference, own_frames)) = encoded
    assert loaded.duration is not None
    for got, ref_text, n_ref in ((tokens, "", 1), (named, None, 0)):
        ids, found, _, _ = frontend.tokenize(ref_text, said, voice="anna")
        assert got.tolist() == [i + 1 for i in ids] and found == n_ref
        with torch.inference_mode():
            predicted = loaded.duration(got[None])[0].exp()[n_ref:].sum()
        assert (frames - reference if n_ref else own_frames) == pytest.approx(float(predicted), abs=1)
    assert tokens[0] != named[0] and torch.equal(tokens[1:], named[1:])
    assert reference == 3 * RATE // HOP + 1 and no_reference == 0
    assert (index[:reference] == 0).all() and index[reference] == 1 and index[-1] == len(tokens) - 1
    assert torch.allclose(phase[:reference], (torch.arange(reference) + 0.5) / reference)
    mels = cond.view(frames, -1)
    assert mels[:reference].abs().max() > 0 and not own.any() and not mels[reference:].any()


def seconds_used(engine: Engine, clip: Wave, text: str = "") -> float:
    engine.add_voice("clip", clip, text, sample_rate=RATE)
    (found,) = (one["seconds"] for one in engine.voices if one["id"] == "clip")
    return found


def test_a_long_clip_is_cut_in_its_last_pause(model: Path, tmp_path: Path) -> None:
    with Engine.load(model, backend="native", threads=1) as engine:
        assert seconds_used(engine, voice(7.9)) == pytest.approx(7.9, abs=0.06)
        assert 5 <= seconds_used(engine, voice(20)) <= 8
        pauses = ((2.0, 2.3), (5.5, 5.8), (6.7, 7.0), (8.5, 9.0))
        assert seconds_used(engine, voice(20, *pauses)) == pytest.approx(6.75, abs=0.02), "50 ms of the pause are kept"
        led = np.concatenate((np.zeros(2 * RATE, np.float32), voice(20, *pauses)))
        assert seconds_used(engine, led) == pytest.approx(6.8, abs=0.02), "silence before the speech does not count"
    with Engine.load(letters(tmp_path / "letters"), backend="native", threads=1) as engine:
        assert seconds_used(engine, voice(20), "Its words must fit it.") == pytest.approx(20, abs=0.06)
        with pytest.raises(IshowError, match="exact text") as raised:
            engine.add_voice("me", voice(3), sample_rate=RATE)
        assert raised.value.field == "text" and engine.info["clip_needs_text"]
        with pytest.raises(IshowError, match="must last"):
            engine.add_voice("me", None, "Words.")


def test_voices_with_and_without_a_clip_do_not_change_one_another(model: Path) -> None:
    options: Any = {"seed": 5, "nfe": 3}
    with Engine.load(model, backend="native", threads=1) as engine:
        assert engine.info["uses_prompt"] and not engine.info["clip_needs_text"]
        nobody = engine.speak(TEXT, **options).samples
        engine.add_voice("anna", None)
        anna = engine.speak(TEXT, "anna", **options).samples
        engine.add_voice("me", voice(2), sample_rate=RATE)
        engine.add_voice("you", voice(2)[::-1].copy() * 0.5, sample_rate=RATE, text="Any words at all.")
        me, you = (engine.speak(TEXT, name, **options).samples for name in ("me", "you"))
        np.testing.assert_array_equal(engine.speak(TEXT, "anna", **options).samples, anna)
        np.testing.assert_array_equal(engine.speak(TEXT, "me", **options).samples, me)
    assert not np.array_equal(anna, nobody) and not np.array_equal(me, you)
    assert me.shape == you.shape, "the text takes its own time, whatever the clip"
