"""A Python environment with only the packages that serving needs: no torch, none of the extras."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def distributions() -> dict[str, importlib.metadata.Distribution]:
    """Names of the packages that `pip install ishowtts` installs: the dependencies of pyproject.toml and theirs."""
    found: dict[str, importlib.metadata.Distribution] = {}
    wanted = list(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"])
    while wanted:
        requirement = Requirement(wanted.pop())
        if requirement.name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[requirement.name] = importlib.metadata.distribution(requirement.name)
        wanted += found[requirement.name].requires or []
    return found


def make(folder: Path, *more: str) -> Path:
    """Make the environment of links to packages of this one, and to those in `more`; return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for distribution in [*distributions().values(), *map(importlib.metadata.distribution, more)]:
        for name in {file.parts[0] for file in distribution.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            (packages / name).symlink_to(Path(str(distribution.locate_file(name))).resolve())
    return folder / "bin" / "python"


def environment(python: Path, home: Path) -> dict[str, str]:
    """Environment variables of a process that uses only this checkout and the light environment."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "ISHOWTTS", "VIRTUAL_ENV", "XDG"))
    }
    return kept | {
        "HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1",
        "ISHOWTTS_PATH": str(ROOT), "ISHOWTTS_PYTHON": str(python), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
