"""Packages that only some measures need: imported late, and missed with one clear sentence."""

from __future__ import annotations

import importlib
from typing import Any

from ishowtts.errors import IshowError

EXTRA = "pip install 'ishowtts[quality]'"


class MissingPackage(IshowError):
    """A measure needs a package that is not installed; the message says how to get it."""

    default_status = "ENOTFOUND"


def require(module: str, what: str, how: str = EXTRA) -> Any:
    """The imported `module`; MissingPackage with "`what` needs …: `how`" when it, or something it needs, is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPackage(f"{what} needs the package {error.name}: {how}") from None
