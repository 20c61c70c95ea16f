"""Packages that only some commands need: imported late, and asked for by one sentence when they are missing.

The command line and the server with the embedded voices use none of them; `pyproject.toml` lists them as extras.
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
    """The command that installs an extra: in a checkout its own script, which pins every version."""
    return f"scripts/setup {extra}" if _SETUP.is_file() else f"pip install 'ishowtts[{extra}]'"


def require(module: str, what: str, how: str | None = None) -> Any:
    """The imported `module`; MissingPackage with "`what` needs …: `how`" when it, or something it needs, is not installed.

    `how` None: the extra `quality`.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPackage(f"{what} needs the package {error.name}: {how or installs('quality')}") from None


def has_torch() -> bool:
    """Whether torch is installed; does not import it."""
    return importlib.util.find_spec("torch") is not None


def require_torch(what: str) -> None:
    """MissingPackage when torch is not installed; does not import it."""
    if not has_torch():
        raise MissingPackage(f"{what} needs the package torch: {installs('torch')}")
