"""Recognisers: where a Whisper model is found, its arguments, and languages that it does not know."""

from __future__ import annotations

import argparse
import sys
import types
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from sentences import RECORDING

from ishowtts import IshowError, cli
from ishowtts.options import Parser
from ishowtts.quality import listeners
from ishowtts.quality.clips import Clip
from ishowtts.quality.intelligibility import errors
from ishowtts.quality.listeners import Unheard, chosen, default, identity, listener
from ishowtts.quality.measure import Judges, Scorer
from ishowtts.train.listen import Listener


class Recorder:
    """A double of faster_whisper.WhisperModel: records its arguments, and always gives the same text."""

    asked: ClassVar[list[dict[str, Any]]] = []
    supported_languages = ("en", "de", "zh")

    def __init__(self, folder: str, **options: Any) -> None:
        assert Path(folder, "model.bin").is_file() and options["local_files_only"]

    def transcribe(self, wave: np.ndarray, **options: Any) -> tuple[Any, None]:
        self.asked.append({"n": len(wave), **options})
        return (types.SimpleNamespace(text=text) for text in (" Größe", " 38.")), None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like a model's in an otherwise empty cache, with faster-whisper replaced."""
    package = types.ModuleType("faster_whisper")
    package.WhisperModel = Recorder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "faster_whisper", package)
    monkeypatch.setenv("ISHOWTTS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ISHOWTTS_WHISPER", raising=False)
    monkeypatch.setattr(Recorder, "asked", [])
    place = tmp_path / "model"
    place.mkdir()
    (place / "model.bin").write_bytes(b"weights")
    return place


def options(*arguments: str) -> argparse.Namespace:
    p = Parser(prog="test")
    listeners.add_options(p)
    return p.parse_args(arguments)


def test_where_the_model_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default() == chosen(options()) == "pocketsphinx"
    with pytest.raises(IshowError, match="there is no Whisper model: name one with --whisper or ISHOWTTS_WHISPER"):
        chosen(options("--listener", "whisper"))
    cached = folder.parent / "cache" / "whisper"
    cached.parent.mkdir()
    cached.symlink_to(folder)
    assert default() == chosen(options()) == chosen(options("--listener", "whisper")) == f"whisper={cached}"
    monkeypatch.setenv("ISHOWTTS_WHISPER", str(folder))
    assert default() == Judges().listener == f"whisper={folder}"
    assert chosen(options("--listener", "pocketsphinx")) == "pocketsphinx"
    assert chosen(options("--whisper", "/mine")) == "whisper=/mine"
    monkeypatch.setenv("ISHOWTTS_WHISPER", str(folder.parent))
    with pytest.raises(IshowError, match=r"ISHOWTTS_WHISPER: there is no model\.bin"):
        default()


def test_without_the_package_pocketsphinx_listens(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISHOWTTS_WHISPER", str(folder))
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    assert default() == "pocketsphinx"
    with pytest.raises(IshowError, match="needs the package faster_whisper: "):
        listener.__wrapped__(f"whisper={folder}")


def test_how_whisper_is_called(folder: Path) -> None:
    listen = listener(f"whisper={folder}")
    wave = np.zeros(48000, np.float32)
    assert listen(wave, 24000, "de-DE") == "Größe 38."
    listen(wave, 24000, "zh")
    german, chinese = Recorder.asked
    assert german["n"] == 32000 and german["language"] == "de" and german["temperature"] == 0.0
    assert german["initial_prompt"] is None and "普通话" in chinese["initial_prompt"]
    assert german["max_new_tokens"] == 40, "bounded by the length of the clip"
    with pytest.raises(Unheard, match="word error rate in tlh"):
        listen(wave, 24000, "tlh")


def test_a_model_has_one_name_in_any_folder(folder: Path) -> None:
    other = folder.parent / "other"
    other.mkdir()
    (other / "model.bin").write_bytes(b"weights")
    assert identity(f"whisper={folder}") == identity(f"whisper={other}") != "pocketsphinx" == identity("pocketsphinx")
    (folder.parent / "third").mkdir()
    (folder.parent / "third" / "model.bin").write_bytes(b"other weights")
    assert identity(f"whisper={folder.parent}/third") != identity(f"whisper={folder}")


def test_the_scorer_listens_in_the_language_of_the_texts(folder: Path) -> None:
    clip = Clip("one", np.zeros(24000, np.float32), 24000, "Größe 38")
    judges = Judges(listener=f"whisper={folder}")
    row = Scorer(["intelligibility"], judges, "de")(clip)
    assert (row["wer"], row["cer"], row["listener"]) == (0, 0, identity(judges.listener))
    assert Recorder.asked[-1]["language"] == "de"
    assert Scorer(["intelligibility"], judges)(clip)["wer"] == 0 and Recorder.asked[-1]["language"] == "en"
    Scorer(["intelligibility"], judges)(Clip("two", clip.samples, 24000, "你好"))
    assert Recorder.asked[-1]["language"] == "zh"


def test_unknown_languages_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judges, said = (
        Judges(listener="pocketsphinx"),
        "PocketSphinx recognises English only; --whisper DIR recognises more",
    )
    with pytest.raises(Unheard, match=f"word error rate in de: {said}"):
        Scorer(["intelligibility"], judges, "de")
    assert "intelligibility" in Scorer(None, judges, "zh").missing
    scorer = Scorer(["intelligibility"], judges)
    row = scorer(Clip("one", np.zeros(24000, np.float32), 24000, "你好"))
    assert "wer" not in row and said in scorer.missing["intelligibility"]
    with pytest.raises(Unheard):
        Listener("zh", ["你好"], "pocketsphinx")
    with pytest.raises(IshowError, match=r"no model\.bin of faster-whisper in /nowhere; scripts/judge makes"):
        listener("whisper=/nowhere")
    command = ["quality", str(RECORDING), "--whisper", str(tmp_path), "--measure", "intelligibility"]
    assert cli.main(command) == 2
    assert capsys.readouterr().err.startswith("ishowtts quality: whisper: there is no model.bin")


@pytest.mark.parametrize("name", ["nobody", "whisper", "whisper="])
def test_an_unknown_listener_is_named(name: str) -> None:
    with pytest.raises(IshowError, match=f"listener must be .*{name!r}"):
        listener(name)


def test_whisper_understands_a_recording_and_the_voices(recording: Clip, spoken: list[Clip]) -> None:
    pytest.importorskip("faster_whisper")
    place = listeners.whisper_folder()
    if place is None:
        pytest.skip("there is no Whisper model here: scripts/judge makes the folder")
    listen = listener(f"whisper={place}")
    text = RECORDING.with_suffix(".txt").read_text()
    assert errors(text, listen(recording.samples, recording.rate, "en"), "en")[0] <= 0.2
    made = [errors(clip.text or "", listen(clip.samples, clip.rate, "en"), "en")[0] for clip in spoken[:4]]
    assert np.mean(made) <= 0.2
    again = listen(recording.samples, recording.rate, "en")
    assert again == listen(recording.samples, recording.rate, "en"), "nothing is drawn"
    assert errors(text, listen(recording.samples[::-1].copy(), recording.rate, "en"), "en")[0] > 0.5
