"""Voices: an id, a reference clip and its words.

The voices of a model folder are listed in `voice.toml`, in the form of the configuration. A folder without that file
has one voice, with the model's name, if it holds `reference.flac` or `reference.wav`, and the words in `reference.txt`.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import VoiceError
from .text.tokens import SPEAKER

if TYPE_CHECKING:
    from .model.source import ModelSource

VOICE_ID = r"^[A-Za-z0-9._-]{1,64}$"
_CLIPS = ("reference.flac", "reference.wav")


@dataclass(frozen=True)
class Voice:
    """A voice.

    `audio`: a clip of 1 to 30 s of clean speech, None: there is none. `text`: the words of the clip, "" where they are
    not known and the model does not need them. `language`: a BCP 47 tag, None: guessed from each text. `speaker`: the
    model was trained on the voice and knows it by its id, so the clip is not needed to speak.
    """

    id: str
    audio: Path | None
    text: str
    language: str | None = None
    speaker: bool = False

    @property
    def prompt(self) -> Path | None:
        """The clip that the model needs to speak in this voice; None: it needs none."""
        return None if self.speaker else self.audio

    def to_dict(self) -> dict[str, str | bool | None]:
        """The fields for JSON, the path of the clip absolute."""
        audio = None if self.audio is None else str(self.audio.absolute())
        return {
            "id": self.id, "audio": audio, "text": self.text, "language": self.language, "speaker": self.speaker,
        }  # fmt: skip


def _resolved(model: str) -> ModelSource:
    from .model.source import resolve

    return resolve(model)


def model_voices(model: str) -> list[Voice]:
    """The voices that come with a model, which is any reference that `ishowtts.model.source.resolve` takes.

    ModelError: there is no such model; VoiceError: `voice.toml` or a voice in it cannot be used.
    """
    source = _resolved(model)
    folder = source.vocab_path.parent
    listed = folder / "voice.toml"
    if not listed.is_file():
        clip = next((folder / name for name in _CLIPS if (folder / name).is_file()), None)
        name = re.sub(r"[^A-Za-z0-9._-]", "-", source.config.name)[:64]
        return [] if clip is None else [checked_voice(name, str(clip), None, None, model)]
    try:
        entries = tomllib.loads(listed.read_text(encoding="utf-8"))["voices"]
        made = [(e["id"], e.get("audio"), e.get("text"), e.get("language")) for e in entries]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise VoiceError(f"{listed} cannot be read: {error}.", status="EFORMAT") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise VoiceError(f"{listed} must be a list of [[voices]], each with an id.", status="EFORMAT") from error
    voices = [
        checked_voice(name, audio and str(folder / audio), text, language, model)
        for name, audio, text, language in made
    ]
    return [replace(voice, speaker=SPEAKER + voice.id in source.speakers) for voice in voices]


def checked_voice(name: str, audio: str | None, text: str | None, language: str | None, model: str) -> Voice:
    """A voice whose id and files were checked; `text` None: the words are in the clip's file with the suffix .txt.

    `model` says whether they may be missing. VoiceError: the id has other characters or is too long, a file is missing
    or unreadable, or there are no words; ModelError: there is no such model.
    """
    if not re.fullmatch(VOICE_ID[1:-1], name):
        raise VoiceError(
            f"{name!r} cannot be a voice's id: use letters, digits, '.', '_' and '-', at most 64.", field="id"
        )
    clip = None if audio is None else Path(audio).expanduser()
    if clip is not None and not clip.is_file():
        raise VoiceError(f"Voice {name}: there is no file {clip}.", status="ENOTFOUND", field="audio")
    if text is None:
        if clip is None:
            raise VoiceError(f"Voice {name} has neither audio nor text.", field="text")
        beside = clip.with_suffix(".txt")
        try:
            text = beside.read_text(encoding="utf-8")
        except FileNotFoundError:
            if not _resolved(model).config.clip_needs_text:
                return Voice(name, clip, "", language)
            raise VoiceError(f"Voice {name} has no text, and there is no {beside}.", field="text") from None
        except (OSError, UnicodeDecodeError) as error:
            raise VoiceError(f"Voice {name}: {beside} cannot be read: {error}.", status="EIO", field="text") from None
    if not (text := " ".join(text.split())):
        raise VoiceError(f"Voice {name}: the text of its clip is empty.", field="text")
    return Voice(name, clip, text, language)
