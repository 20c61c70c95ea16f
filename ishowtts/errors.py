"""Errors with a message for the user, a status and the name of the field at fault.

`status` is the name of an `ishow_status` (include/ishow.h) without `ISHOW_`. The bridge turns an exception of this
module into that status, and the extension modules turn a failed status into one of these classes.
"""

from __future__ import annotations

from typing import ClassVar


class IshowError(Exception):
    """`message`: one sentence for the user; `status`: the kind of fault; `field`: name of the input at fault, or "".

    `retry_after`: seconds after which an engine that is busy would probably accept the same; 0: not known.
    """

    default_status: ClassVar[str] = "EINTERNAL"

    def __init__(self, message: str, *, status: str | None = None, field: str = "", retry_after: float = 0) -> None:
        super().__init__(message)
        self.status = status or self.default_status
        self.field = field
        self.retry_after = retry_after


class ConfigError(IshowError):
    """A configuration file, environment variable or option is malformed or out of range."""

    default_status = "EINVAL"


class ModelError(IshowError):
    """A model cannot be found, read or run on this machine, or it failed while it ran."""

    default_status = "EFORMAT"


class TextError(IshowError):
    """A text cannot be spoken."""

    default_status = "EINVAL"


class VoiceError(IshowError):
    """A voice is unknown, or its reference cannot be used."""

    default_status = "EINVAL"


def from_status(status: str, field: str, message: str, retry_after: float) -> IshowError:
    """The exception for a failed status of the C core; its class follows from `field` and `status`."""
    kind: type[IshowError] = IshowError
    if field in ("model", "precision", "device") or (status in ("EMODEL", "EFORMAT") and field != "audio"):
        kind = ModelError
    elif field == "text":
        kind = TextError
    elif field in ("voice_id", "audio"):
        kind = VoiceError
    return kind(message, status=status, field=field, retry_after=retry_after)
