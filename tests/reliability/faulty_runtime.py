"""Stands in for `ishowtts._runtime` inside a server, whose calls of Python then fail as the file $ISHOWTTS_FAULT says.

The file holds a fault and the name of a function or method that C calls: "raise step", "nan vocode", "hang step". It is
read before every call. `package` writes the folder that a server is given as $ISHOWTTS_PATH.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WRITTEN = {"encode": (6, 7), "modulate": (2,), "step": (0,), "vocode": (2, 3), "durations": (1,)}
"""Of each method of a backend: the arguments into which it writes; of `step` the rows, whose first item it changes."""


def package(folder: Path, real: Path) -> None:
    """Write a package `ishowtts` that is the one in `real`, with this file as its `_runtime`."""
    (folder / "ishowtts").mkdir()
    start = f"__file__ = {str(real / '__init__.py')!r}\n__path__.append({str(real)!r})\n"
    start += f"exec(compile(open({str(real / '__init__.py')!r}, encoding='utf-8').read(), __file__, 'exec'))\n"
    (folder / "ishowtts" / "__init__.py").write_text(start, encoding="utf-8")
    (folder / "ishowtts" / "_runtime.py").write_bytes(Path(__file__).read_bytes())


def fault() -> list[str]:
    """What shall fail now: the fault and the name, or nothing."""
    return Path(os.environ["ISHOWTTS_FAULT"]).read_text(encoding="utf-8").split()


def failing(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which fails when it is asked to."""

    def call(*arguments: Any, **more: Any) -> Any:
        if fault() == ["raise", name]:
            raise RuntimeError(f"{name} fails, as was asked for")
        while fault() == ["hang", name]:
            time.sleep(0.02)
        result = function(*arguments, **more)
        if fault() == ["nan", name]:
            spoil(name, arguments)
        return Faulty(result) if name in ("frontend", "backend") else result

    return call


def spoil(name: str, arguments: tuple[Any, ...]) -> None:
    """Overwrite what a method of a backend has computed with NaN."""
    written = [row[0] for row in arguments[0]] if name == "step" else [arguments[at] for at in WRITTEN[name]]
    for view in written:
        if view is not None:
            view[:] = b"\xff" * len(view)


class Faulty:
    """An object whose methods fail."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        return failing(name, value) if callable(value) else value


if __name__ == "ishowtts._runtime":
    import ishowtts

    _spec = importlib.util.spec_from_file_location(
        "ishowtts._real_runtime", Path(ishowtts.__file__).parent / "_runtime.py"
    )
    assert _spec and _spec.loader
    _real = importlib.util.module_from_spec(_spec)
    sys.modules[_spec.name] = _real
    _spec.loader.exec_module(_real)
    for _name in ("config", "frontend", "native_model", "find_package", "compile_command", "backend", "cuda_why_not"):
        globals()[_name] = failing(_name, getattr(_real, _name))
