"""Voices of a configuration and of a model folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import make

from ishowtts import config
from ishowtts.errors import ModelError, VoiceError
from ishowtts.model.config import PRESETS
from ishowtts.voices import checked_voice, model_voices


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    PRESETS["F5TTS_v1_Small"].save(tmp_path / "model.json")
    (tmp_path / "vocab.txt").write_text(" \na\n", encoding="utf-8")
    for name in ("dit.safetensors", "vocos.safetensors", "clip.wav"):
        (tmp_path / name).touch()
    return tmp_path


def test_the_embedded_model_has_a_voice_with_an_existing_clip() -> None:
    first = model_voices("demo")[0]
    assert first.audio is not None and first.audio.is_file() and len(first.text.split()) > 2


def test_a_folder_lists_its_voices(folder: Path) -> None:
    assert model_voices(str(folder)) == []
    (folder / "voice.toml").write_text(
        "[[voices]]\nid = 'a'\naudio = 'clip.wav'\ntext = ' Hello   there '\nlanguage = 'en'\n"
        "[[voices]]\nid = 'b'\ntext = 'x'\n",
        encoding="utf-8",
    )
    first, second = model_voices(str(folder))
    assert (first.id, first.audio, first.text, first.language) == ("a", folder / "clip.wav", "Hello there", "en")
    assert (second.id, second.audio) == ("b", None)
    assert config.load(None, [f"model.name={folder}"]).load_voices() == [first, second]


def test_a_folder_as_training_writes_it_has_one_voice(folder: Path) -> None:
    (folder / "reference.wav").touch()
    (folder / "reference.txt").write_text("What is said.\n", encoding="utf-8")
    (made,) = model_voices(str(folder))
    assert (made.id, made.audio, made.text) == ("F5TTS_v1_Small", folder / "reference.wav", "What is said.")


def test_broken_lists_and_missing_models_are_refused(folder: Path) -> None:
    for text in ("[[voices]\n", "id = 'a'\n", "voices = 3\n", "[[voices]]\ntext = 'a'\n"):
        (folder / "voice.toml").write_text(text, encoding="utf-8")
        with pytest.raises(VoiceError, match=r"voice\.toml"):
            model_voices(str(folder))
    with pytest.raises(ModelError):
        model_voices(str(folder / "none"))


def test_voices_at_fault_are_refused_with_the_reason(folder: Path) -> None:
    clip = str(folder / "clip.wav")
    for name, audio, text, field, words in [
        ("a/b", clip, "x", "id", "id"),
        ("", clip, "x", "id", "id"),
        ("a\n", clip, "x", "id", "id"),
        ("a", str(folder / "none.wav"), "x", "audio", "none.wav"),
        ("a", clip, " \n", "text", "empty"),
        ("a", clip, None, "text", "clip.txt"),
        ("a", None, None, "text", "neither"),
    ]:
        with pytest.raises(VoiceError, match=words) as raised:
            checked_voice(name, audio, text, None, str(folder))
        assert raised.value.field == field


def test_the_text_may_lie_beside_the_clip(folder: Path) -> None:
    (folder / "clip.txt").write_text("Said here.\n", encoding="utf-8")
    assert checked_voice("a", str(folder / "clip.wav"), None, None, str(folder)).text == "Said here."


def test_a_model_that_needs_no_words_has_voices_of_clips_alone(folder: Path) -> None:
    model = str(make(folder / "tiny", speakers=("", "anna")))
    assert checked_voice("me", str(folder / "clip.wav"), None, None, model).text == ""
    (folder / "clip.txt").write_text("Said here.\n", encoding="utf-8")
    assert checked_voice("me", str(folder / "clip.wav"), None, None, model).text == "Said here."
    with pytest.raises(VoiceError, match="neither"):
        checked_voice("me", None, None, None, model)


def test_the_models_own_voices_are_known_by_their_ids(folder: Path) -> None:
    model = make(folder / "tiny", speakers=("", "anna"))
    (folder / "clip.wav").rename(model / "clip.wav")
    lines = (f"[[voices]]\nid = '{name}'\naudio = 'clip.wav'\ntext = 'x'\n" for name in ("anna", "bernd"))
    (model / "voice.toml").write_text("".join(lines), encoding="utf-8")
    anna, bernd = model_voices(str(model))
    assert anna.speaker and anna.audio is not None and anna.prompt is None, "its clip is only to be listened to"
    assert not bernd.speaker and bernd.prompt == bernd.audio
    own = config.load(None, [f"model.name={model}", "voices=[{id='anna', audio='%s'}]" % (model / "clip.wav")])
    (voice,) = own.load_voices()
    assert voice.prompt == model / "clip.wav", "a clip that is configured is spoken from"
