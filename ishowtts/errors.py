"""Errors that reach a user: one sentence, the kind of fault, and the field at fault.

`status` is the name of an `ishow_status` without its prefix, so an error keeps its kind across C: the bridge turns an
exception of this module into that status, and `ishowtts._engine` raises a failed status as one of these classes.
"""

from __future__ import annotations

from typing import ClassVar


class IshowError(Exception):
    """`message`: one sentence for the user; `status`: the kind of fault; `field`: the input at fault, or ""."""

    default_status: ClassVar[str] = "EINTERNAL"

    def __init__(self, message: str, *, status: str | None = None, field: str = "") -> None:
        super().__init__(message)
        self.status = status or self.default_status
        self.field = field


class ConfigError(IshowError):
    """A configuration file, environment variable or option is malformed or out of range."""

    default_status = "EINVAL"


class ModelError(IshowError):
    """A model, its files or its surroundings cannot be used, or the model failed."""

    default_status = "EFORMAT"


class TextError(IshowError):
    """A text cannot be spoken."""

    default_status = "EINVAL"


class VoiceError(IshowError):
    """A voice is unknown, or its reference cannot be used."""

    default_status = "EINVAL"


def from_status(status: str, field: str, message: str) -> IshowError:
    """The exception for a failed status of the C core."""
    kind: type[IshowError] = IshowError
    if field in ("model", "precision") or (status in ("EMODEL", "EFORMAT") and field != "audio"):
        kind = ModelError
    elif field == "text":
        kind = TextError
    elif field in ("voice_id", "audio"):
        kind = VoiceError
    return kind(message, status=status, field=field)
