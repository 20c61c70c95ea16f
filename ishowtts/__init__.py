"""iShowTTS: text in a chosen voice, by F5-TTS models on a C core.

    from ishowtts import Engine

    with Engine.load("demo") as engine:
        speech = engine.speak("Hello there.")

Names are imported at their first use, so `import ishowtts` loads neither the C core nor numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import Engine, Speech, SpeechStream
    from .errors import ConfigError, IshowError, ModelError, TextError, VoiceError

    __version__: str

__all__ = [
    "ConfigError",
    "Engine",
    "IshowError",
    "ModelError",
    "Speech",
    "SpeechStream",
    "TextError",
    "VoiceError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("._engine", __name__).VERSION
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "errors" if name.endswith("Error") else "engine"
    return getattr(importlib.import_module(f".{home}", __name__), name)
