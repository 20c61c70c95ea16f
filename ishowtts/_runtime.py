"""The functions that the C core calls through its embedded interpreter (csrc/bridge/bridge.h).

torch is imported only where Python must run a model. An exception of `ishowtts.errors` becomes the status and message
of the C call; any other is a defect, and its traceback is logged.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
"""Size of a transformer's weights, in bytes, from which the backend "auto" uses a GPU."""
_reads_chat_words = True
"""`text.chat_words` of the configuration that was read last; the next `frontend` uses it."""


_device = "auto"
"""`model.device` of the configuration that was read last, for models that are opened outside `on_device`."""
_asked = threading.local()
"""`device`: of the model that this thread opens."""


def use(settings: Config) -> None:
    """Take what the core does not read of a configuration.

    `text` for front ends made from now on, `pronounce` for all of them, `model.device` for models opened from now on.
    """
    from .text import lexicon

    global _reads_chat_words, _device
    _reads_chat_words, _device = settings.text.chat_words, settings.model.device
    lexicon.use(settings.pronunciations())


def config(path: str | None, overrides: list[str]) -> str:
    """`Config.to_json` of the configuration that `ishowtts.config.load` reads; `use` is called with it.

    ConfigError, VoiceError, ModelError: as `load` and `to_dict`.
    """
    from .config import load

    settings = load(path, overrides)
    json = settings.to_json()
    use(settings)
    return json


@contextmanager
def on_device(device: str) -> Iterator[None]:
    """Open models on a device, "auto", "cpu", "cuda" or "cuda:N", in this thread, inside the context."""
    _asked.device = device
    try:
        yield
    finally:
        del _asked.device


def device() -> str:
    """The device for a model that this thread opens."""
    return getattr(_asked, "device", _device)


def _needs_gpu(doing: str) -> None:
    """ModelError: a GPU was asked for, and it is not for `doing`."""
    if device().startswith("cuda"):
        raise ModelError(
            f"The device {device()} is for the backends cuda, eager and compile, not for {doing}.",
            status="EINVAL",
            field="device",
        )


def frontend(model: str) -> Frontend:
    """The text front end of a model, which is a name, folder or checkpoint. ModelError: it cannot be used."""
    from .text.frontend import Frontend
    from .text.reading import Options

    return Frontend(model, Options(chat=_reads_chat_words))


def native_model(model: str, precision: str | None, needed: bool) -> str | None:
    """The JSON description of a model that the native backend opens, or None where another backend is the better one.

    `precision`: as `native.is_known`, "auto" or None for the fastest. `needed`: the backend was asked for by
    name, so a model that it cannot run is a ModelError with the reason. MissingPackage: only torch can run the model,
    and it is not installed.
    """
    from ._native import is_fast
    from .model import native
    from .model.compile import PRECISIONS, settled
    from .model.source import resolve

    _needs_gpu("the native kernels")
    source = resolve(model)
    precision = settled(precision)
    if not native.is_known(precision):
        known = ", ".join(("auto", *native.PRECISIONS, "recipe:FILE"))
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
    """The folder of a model's compiled package, the folder of torch's libraries, and why no package can be compiled.

    The first is None where there is no current package, the last None where there is one or it can be compiled.
    MissingPackage: torch is not installed.
    """
    from .model import compile as compiler

    _needs_gpu("packages")
    require_torch("The backend package")
    libraries = str(compiler.torch_folder() / "lib")
    folder = compiler.package_dir(model, compiler.settled(precision))
    if compiler.is_current(folder):
        return str(folder), libraries, None
    if os.environ.get("ISHOWTTS_COMPILE", "").lower() == "off":
        return None, libraries, "Compiling is switched off by ISHOWTTS_COMPILE."
    return None, libraries, compiler.check_compiler()


def compile_command(model: str, precision: str | None, threads: int) -> tuple[list[str], str]:
    """The command line that compiles a package on `threads` threads (0: torch's choice), and its PYTHONPATH."""
    from .model.compile import settled

    command = [sys.executable, "-m", "ishowtts.model.compile", model]
    command += ["--precision", settled(precision), "--threads", str(threads)]
    return command, str(Path(__file__).resolve().parent.parent)


def backend(model: str, precision: str | None, compile: bool, threads: int) -> TorchBackend:
    """The model run by PyTorch, eagerly or through torch.compile, on `threads` threads (0: torch's choice).

    Imports torch. MissingPackage: it is not installed; ModelError: the model or the precision cannot be used.
    """
    require_torch(f"The backend {'compile' if compile else 'eager'}")
    from .model.backend import TorchBackend

    return TorchBackend(model, precision, compile, threads, device())


def cuda_why_not(model: str, precision: str | None, needed: bool) -> str | None:
    """Why the backend "cuda" is not used for a model, as a sentence; None where it is.

    `needed`: it was asked for by name, so small models use it too. Does not import torch. MissingPackage: torch is not
    installed.
    """
    from .model.compile import DEFAULT_PRECISION, TORCH_PRECISIONS, torch_facts
    from .model.source import resolve

    if device() == "cpu":
        return "The configured device is the processor."
    if precision is not None and precision not in (DEFAULT_PRECISION, *TORCH_PRECISIONS):
        return f"The precision {precision} is computed by the native backend, on the processor."
    require_torch("The backend cuda")
    _, cuda = torch_facts()
    if not cuda:
        return "The torch of this environment is a build without CUDA."
    if not (needed or device().startswith("cuda")) and resolve(model).dit.stat().st_size < GPU_BYTES:
        return "The model is so small that the processor speaks sooner."
    return None


def cuda_backend(model: str, precision: str | None, threads: int, rows: int, frames: int) -> CudaBackend:
    """The model on the first GPU; a batch has at most `rows` rows, and rows × longest row at most `frames` frames.

    Imports torch. ModelError: torch finds no usable GPU (status ENOTFOUND), or the model cannot be used; MemoryError:
    the GPU has too little memory.
    """
    import torch

    from .model.backend import retry_out_of_memory
    from .model.cuda import CudaBackend

    if device() not in ("auto", "cuda", "cuda:0"):
        raise ModelError(
            f"The backend cuda uses the first GPU that it sees, not {device()}: set the environment variable "
            f"CUDA_VISIBLE_DEVICES={device().removeprefix('cuda:')}.",
            status="EINVAL",
            field="device",
        )
    if not torch.cuda.is_available():
        raise ModelError("torch finds no usable GPU.", status="ENOTFOUND", field="backend")
    try:
        return retry_out_of_memory(CudaBackend)(model, precision, threads, rows, frames)
    except BaseException:
        torch.cuda.empty_cache()  # for another backend or another program
        raise
