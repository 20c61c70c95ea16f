"""Reading and writing weights with torch.

Published checkpoints are safetensors files with names under `ema_model.`, or `.pt` files with a table
`ema_model_state_dict`; our own have plain names. Every tensor must have the name and shape of the architecture and
finite values; a ModelError names the file and the tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ishowtts.errors import ModelError

from .config import ModelConfig
from .dit import DiT
from .duration import DurationPredictor
from .flow_network import FlowNetwork
from .source import ModelSource, resolve
from .tensor_names import RECOMPUTED, WRAPPERS, is_bookkeeping, plain_name
from .unett import UNetT
from .vocos import Vocos

BACKBONES: dict[str, type[FlowNetwork]] = {"dit": DiT, "unett": UNetT}
"""The flow transformers by `DiTConfig.backbone`."""


@dataclass(frozen=True)
class LoadedModel:
    """Networks with their weights, in fp32, evaluation mode and without gradients; `vocab`: symbols, first id 0."""

    config: ModelConfig
    dit: FlowNetwork
    vocos: Vocos
    duration: DurationPredictor | None
    vocab: tuple[str, ...]
    content_hash: str


class _WithoutInitialising(TorchFunctionMode):
    """Skips the random initialisation of weights that are read afterwards, which takes seconds for a large model."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def load_model(reference: str | Path | ModelSource, vocoder: str | Path | None = None) -> LoadedModel:
    """Load a model by reference (see `source`); `vocoder`: a Vocos folder to use instead of the model's own.

    ModelError: a file is missing, damaged or does not fit the architecture.
    """
    source = reference if isinstance(reference, ModelSource) else resolve(reference, vocoder)
    config = source.config
    duration = None
    with _WithoutInitialising():
        dit = BACKBONES[config.dit.backbone](config.dit, config.mel.n_mels)
        vocos = Vocos(config.vocos, config.mel)
        if config.duration is not None and source.duration is not None:
            duration = DurationPredictor(config.duration, config.dit.text_num_embeds, config.dit.speakers)
            assign(duration, read_state(source.duration), source.duration)
    assign(dit, read_state(source.dit), source.dit)
    assign(vocos, read_state(source.vocos), source.vocos)
    for module in (dit, vocos, duration):
        if module is not None:
            module.eval().requires_grad_(False)
    return LoadedModel(config, dit, vocos, duration, source.vocab, source.content_hash())


def read_state(path: Path) -> dict[str, Tensor]:
    """The weights of a .safetensors, .pt or .bin file by their names in our networks (tensor_names.py).

    Pickle files are read without running code from them. ModelError: the file cannot be read or has no named tensors.
    """
    try:
        if path.suffix == ".safetensors":
            state: object = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise any exception
        reason = str(error).split("\n")[0] or type(error).__name__
        status = "ENOTFOUND" if isinstance(error, FileNotFoundError) else "EFORMAT"
        raise ModelError(f"{path} cannot be read as weights: {reason}", status=status, field="model") from error
    if isinstance(state, Mapping):
        for wrapper in WRAPPERS:
            if isinstance(state.get(wrapper), Mapping):
                state = state[wrapper]
                break
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise ModelError(f"{path} holds no named tensors.", field="model")
    plain: dict[str, Tensor] = {}
    for key, value in state.items():
        key = plain_name(key)
        if is_bookkeeping(key):
            continue
        if not isinstance(value, Tensor):
            raise ModelError(f"{path}: {key} is not a tensor.", field="model")
        plain[key] = value
    return plain


def assign(module: nn.Module, state: Mapping[str, Tensor], where: Path) -> None:
    """Copy weights into a module. ModelError, which begins with `where`: a tensor is missing, unknown or wrong."""
    own = {key: value for key, value in module.state_dict().items() if key != RECOMPUTED}
    missing, unknown = sorted(set(own) - set(state)), sorted(set(state) - set(own))
    if missing:
        raise ModelError(f"{where}: {missing[0]} is missing{_more(missing)}.", field="model")
    if unknown:
        raise ModelError(f"{where}: {unknown[0]} does not belong to this architecture{_more(unknown)}.", field="model")
    for key, value in state.items():
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise ModelError(f"{where}: {key} is not a dense array of numbers.", field="model")
        if value.shape != own[key].shape:
            raise ModelError(
                f"{where}: {key} has shape {list(value.shape)}; the architecture needs {list(own[key].shape)}.",
                field="model",
            )
        if not value.is_floating_point() or not bool(torch.isfinite(value).all()):
            raise ModelError(f"{where}: {key} holds values that are not finite.", field="model")
    module.load_state_dict({**module.state_dict(), **state})


def save_model(
    folder: str | Path,
    config: ModelConfig,
    dit: FlowNetwork,
    vocos: Vocos,
    duration: DurationPredictor | None,
    vocab: tuple[str, ...] | list[str],
    storage: Literal["fp16", "fp32"] = "fp16",
) -> None:
    """Write a model folder: model.json, *.safetensors, vocab.txt. Each file is written beside and then renamed.

    ModelError: a weight is not finite in `storage`, the type in which weights are stored.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    dtype = torch.float16 if storage == "fp16" else torch.float32
    modules = {"dit": dit, "vocos": vocos, "duration": duration}
    for name, module in modules.items():
        if module is None:
            continue
        state: dict[str, Tensor] = {}
        for key, value in module.state_dict().items():
            if key == RECOMPUTED:
                continue
            state[key] = value.detach().cpu().to(dtype).contiguous()
            if not bool(torch.isfinite(state[key]).all()):
                raise ModelError(f"{name}: {key} does not fit {storage}.")
        partial = folder / f"{name}.partial"
        save_file(state, partial)
        partial.replace(folder / f"{name}.safetensors")
    for name, text in (("vocab.txt", "\n".join(vocab) + "\n"), ("model.json", config.to_json())):
        partial = folder / f"{name}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / name)


def _more(keys: list[str]) -> str:
    return f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
