"""Packages that only some commands need, imported at their first use; an error names the command that installs them.

The command line and the server with the embedded voices need none of them; `pyproject.toml` lists them as extras.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from .errors import IshowError

_SETUP = Path(__file__).resolve().parent.parent / "scripts" / "setup"


class MissingPackage(IshowError):
    """A command needs a package that is not installed; the message says how to get it."""

    default_status = "ENOTFOUND"


def installs(extra: str) -> str:
    """The command that installs an extra: in a checkout `scripts/setup`, which pins every version, else pip."""
    return f"scripts/setup {extra}" if _SETUP.is_file() else f"pip install 'ishowtts[{extra}]'"


def require(module: str, what: str, how: str | None = None) -> Any:
    """Import `module`. MissingPackage, "`what` needs the package …: `how`": it, or a package it needs, is missing.

    `how`: the command that installs it, None: that of the extra `quality`.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPackage(f"{what} needs the package {error.name}: {how or installs('quality')}") from None


def has_torch() -> bool:
    """Whether torch is installed; torch is not imported."""
    return importlib.util.find_spec("torch") is not None


def require_torch(what: str) -> None:
    """MissingPackage, "`what` needs the package torch: …", where torch is not installed; torch is not imported."""
    if not has_torch():
        raise MissingPackage(f"{what} needs the package torch: {installs('torch')}")
