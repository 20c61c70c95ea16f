"""Voices: who speaks, and the clip that shows how.

A model folder brings its own voices: `voice.toml` lists them as a configuration does, and a folder without it that
holds a `reference.flac` (or .wav) with its words in `reference.txt`, which is what training writes, has one voice of
its name.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .errors import VoiceError

VOICE_ID = r"^[A-Za-z0-9._-]{1,64}$"
_CLIPS = ("reference.flac", "reference.wav")


@dataclass(frozen=True)
class Voice:
    """`audio`: 1 to 30 s of clean speech, None where the model takes no prompt. `text`: its words. `language`: BCP 47."""

    id: str
    audio: Path | None
    text: str
    language: str | None = None

    def to_dict(self) -> dict[str, str | None]:
        """Plain data, the path absolute."""
        audio = None if self.audio is None else str(self.audio.absolute())
        return {"id": self.id, "audio": audio, "text": self.text, "language": self.language}


def model_voices(model: str) -> list[Voice]:
    """Voices that come with a model (see `ishowtts.model.source.resolve`); ModelError when there is no such model."""
    from .model.source import resolve

    source = resolve(model)
    folder = source.vocab_path.parent
    listed = folder / "voice.toml"
    if not listed.is_file():
        clip = next((folder / name for name in _CLIPS if (folder / name).is_file()), None)
        name = re.sub(r"[^A-Za-z0-9._-]", "-", source.config.name)[:64]
        return [] if clip is None else [checked_voice(name, str(clip), None, None)]
    try:
        entries = tomllib.loads(listed.read_text(encoding="utf-8"))["voices"]
        made = [(e["id"], e.get("audio"), e.get("text"), e.get("language")) for e in entries]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise VoiceError(f"{listed} cannot be read: {error}.", status="EFORMAT") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise VoiceError(f"{listed} must be a list of [[voices]], each with an id.", status="EFORMAT") from error
    return [checked_voice(name, audio and str(folder / audio), text, language) for name, audio, text, language in made]


def checked_voice(name: str, audio: str | None, text: str | None, language: str | None) -> Voice:
    """One checked voice; without `text` the file beside `audio` that ends in .txt is read."""
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
            raise VoiceError(f"Voice {name} has no text, and there is no {beside}.", field="text") from None
        except (OSError, UnicodeDecodeError) as error:
            raise VoiceError(f"Voice {name}: {beside} cannot be read: {error}.", status="EIO", field="text") from None
    if not (text := " ".join(text.split())):
        raise VoiceError(f"Voice {name}: the text of its clip is empty.", field="text")
    return Voice(name, clip, text, language)
