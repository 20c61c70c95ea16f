"""What the C bridge calls: the few functions through which C borrows Python (csrc/bridge/bridge.h).

Nothing here imports torch before Python itself must run a model. Exceptions of `ishowtts.errors` reach the C
caller as they are; any other is a defect and arrives with its traceback in the log.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ModelError
from .extras import MissingPackage, has_torch, installs, require_torch

if TYPE_CHECKING:
    from .config import Config
    from .model.backend import TorchBackend
    from .model.cuda import CudaBackend
    from .text.frontend import Frontend

GPU_BYTES = 64 << 20
"""Weights of a transformer that is worth starting torch and a GPU for, unasked."""
_reads_chat_words = True
"""Of the front ends to come; C asks for one right after it has read the settings."""


def use(settings: Config) -> None:
    """Make the front ends to come read as these settings ask, and all of them by its pronunciations."""
    from .text import lexicon

    global _reads_chat_words
    _reads_chat_words = settings.text.chat_words
    lexicon.use(settings.pronunciations())


def config(path: str | None, overrides: list[str]) -> str:
    """The checked configuration as JSON; its pronunciations are in use from now on."""
    from .config import load

    settings = load(path, overrides)
    json = settings.to_json()
    use(settings)
    return json


def frontend(model: str) -> Frontend:
    """The text front end of a model: `speakable` and `tokenize`."""
    from .text.frontend import Frontend
    from .text.reading import Options

    return Frontend(model, Options(chat=_reads_chat_words))


def native_model(model: str, precision: str | None, needed: bool) -> str | None:
    """The description that the native backend opens; None where another backend suits the model or the machine better.

    `needed`: ModelError with the reason instead of None.
    """
    from ._native import is_fast
    from .model import native
    from .model.compile import PRECISIONS, settled
    from .model.source import resolve

    source = resolve(model)
    precision = settled(precision)
    if precision not in native.PRECISIONS:
        known = ", ".join(("auto", *native.PRECISIONS))
        raise ModelError(f"precision must be one of {known}.", status="EINVAL", field="precision")
    reason = native.why_not(source)
    if reason is not None and (needed or precision not in PRECISIONS):
        message = f"{reason} The native backend, and with it the precision {precision}, is not for this model."
        raise ModelError(message, status="EINVAL", field="model")
    if reason is not None:
        if not has_torch():
            raise MissingPackage(
                f"{reason} Running this model needs the package torch: {installs('torch')}", field="model"
            )
        return None
    if not (needed or is_fast() or precision not in PRECISIONS) and has_torch():
        return None
    return native.native_json(source, precision)


def find_package(model: str, precision: str | None) -> tuple[str | None, str, str | None]:
    """Where the current compiled package lies (or None), where torch's libraries lie, why none can be compiled (or None)."""
    from .model import compile as compiler

    require_torch("The backend package")
    libraries = str(compiler.torch_folder() / "lib")
    folder = compiler.package_dir(model, compiler.settled(precision))
    if compiler.is_current(folder):
        return str(folder), libraries, None
    if os.environ.get("ISHOWTTS_COMPILE", "").lower() == "off":
        return None, libraries, "Compiling is switched off by ISHOWTTS_COMPILE."
    return None, libraries, compiler.check_compiler()


def compile_command(model: str, precision: str | None, threads: int) -> tuple[list[str], str]:
    """Command line that makes a package, and the folder that holds ishowtts."""
    from .model.compile import settled

    command = [sys.executable, "-m", "ishowtts.model.compile", model]
    command += ["--precision", settled(precision), "--threads", str(threads)]
    return command, str(Path(__file__).resolve().parent.parent)


def backend(model: str, precision: str | None, compile: bool, threads: int) -> TorchBackend:
    """The model run by Python, eagerly or through torch.compile. Imports torch."""
    require_torch(f"The backend {'compile' if compile else 'eager'}")
    from .model.backend import TorchBackend

    return TorchBackend(model, precision, compile, threads)


def cuda_why_not(model: str, precision: str | None, needed: bool) -> str | None:
    """None when torch, this precision and, unless it is `needed`, the model's size are for a GPU, otherwise a sentence.

    Does not import torch.
    """
    from .model.compile import DEFAULT_PRECISION, PRECISIONS, torch_facts
    from .model.source import resolve

    if precision is not None and precision not in (DEFAULT_PRECISION, *PRECISIONS):
        return f"The precision {precision} is computed by the native backend, on the processor."
    require_torch("The backend cuda")
    _, cuda = torch_facts()
    if not cuda:
        return "The torch of this environment is a build without CUDA."
    if not needed and resolve(model).dit.stat().st_size < GPU_BYTES:
        return "The model is so small that the processor speaks sooner."
    return None


def cuda_backend(model: str, precision: str | None, threads: int, rows: int, frames: int) -> CudaBackend:
    """The model on the first GPU, for steps of up to `rows` rows and `frames` rows x frames. Imports torch."""
    import torch

    from .model.backend import with_room
    from .model.cuda import CudaBackend

    if not torch.cuda.is_available():
        raise ModelError("torch finds no GPU that it can use.", status="ENOTFOUND", field="backend")
    try:
        return with_room(CudaBackend)(model, precision, threads, rows, frames)
    except BaseException:
        torch.cuda.empty_cache()  # another backend, or another program, has a use for it
        raise
