"""`ishowtts export`: write the graphs of a model in a format of others, ONNX, and check them against PyTorch.

Each graph of `model.graphs` becomes a file, in fp32, for one row of any length; `export.json` says what its inputs are
and has the numbers that a caller needs: mean and deviation of the mel, hop, sampling rate. Tokens, time grid, noise,
the loop of steps and the inverse STFT are the caller's. A source-filter vocoder, that of the embedded voices, has
operations without an ONNX form and is left out. Every file is run by onnxruntime before it is kept, on inputs
of another length than those that it was traced with.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ModelError
from .extras import installs, require, require_torch
from .model.source import resolve
from .options import Parser

if TYPE_CHECKING:
    import torch

    from .model.checkpoint import LoadedModel

OPSET = 17
TOLERANCE = 1e-4
"""Largest difference between onnxruntime and PyTorch, relative to the largest value of a result (at least 1)."""
_TRACED, _CHECKED = 61, 128
"""Numbers of frames of the inputs for tracing and for the check."""
_AXES = {
    "tokens": {1: "tokens"}, "cond": {1: "frames"}, "index": {1: "frames"}, "phase": {1: "frames"},
    "t": {0: "times"}, "guidance": {0: "times"}, "x": {1: "frames"}, "h": {1: "frames"}, "mel": {1: "frames"},
}  # fmt: skip
_OUTPUTS = {
    "encode": ("h", {1: "frames"}), "modulate": ("mod", {0: "times"}), "step": ("x_next", {1: "frames"}),
    "step_unguided": ("x_next", {1: "frames"}), "vocode": ("spectrum", {2: "frames"}),
    "durations": ("frames_out", {1: "tokens"}),
}  # fmt: skip


def export_onnx(reference: str | Path, folder: Path) -> dict[str, float]:
    """Export a model's graphs into a folder; the largest relative difference to PyTorch of each.

    ModelError: a graph cannot be exported, or differs by more than TOLERANCE; its file is then removed.
    """
    require_torch("Exporting a model")
    require("onnx", "Exporting to ONNX", installs("onnx"))
    import torch

    from .model.checkpoint import load_model
    from .model.graphs import build

    model = load_model(reference)
    graphs: dict[str, torch.nn.Module] = dict(build(model))
    graphs["step_unguided"] = graphs["step"]
    if model.config.vocos.head == "source_filter":
        del graphs["vocode"]
    folder.mkdir(parents=True, exist_ok=True)
    differences: dict[str, float] = {}
    inputs: dict[str, list[str]] = {}
    for name, graph in graphs.items():
        path = folder / f"{name}.onnx"
        given = _inputs(model, name, _TRACED)
        inputs[path.name] = list(given)
        output, axes = _OUTPUTS[name]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the tracer warns of every shape that Python reads
                torch.onnx.export(
                    graph, tuple(given.values()), str(path), input_names=list(given), output_names=[output],
                    dynamic_axes={**{key: _AXES[key] for key in given if key in _AXES}, output: axes},
                    opset_version=OPSET, dynamo=False,
                )  # fmt: skip
            differences[name] = _difference(graph, path, _inputs(model, name, _CHECKED))
        except Exception as error:  # the exporter and onnxruntime raise many kinds
            path.unlink(missing_ok=True)
            reason = str(error).strip().split("\n")[0]
            raise ModelError(f"The graph {name} cannot be exported to ONNX: {reason}", field="model") from error
        if not differences[name] <= TOLERANCE:
            path.unlink()
            raise ModelError(
                f"The exported graph {name} differs from PyTorch by {differences[name]:.1e}, more than {TOLERANCE:g}.",
                field="model",
            )
    config = model.config
    described = {
        "model": config.name, "content_hash": model.content_hash, "inputs": inputs,
        "mel": dataclasses.asdict(config.mel), "text_layout": config.dit.text_layout,
        "guidance_max": config.dit.guidance_max,
    }  # fmt: skip
    (folder / "export.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(model.vocab) + "\n", encoding="utf-8")
    return differences


def _inputs(model: LoadedModel, name: str, frames: int) -> dict[str, torch.Tensor]:
    """Named inputs of a graph for a row of `frames` frames, drawn with a fixed seed."""
    import torch

    make = torch.Generator().manual_seed(frames)
    config = model.config
    dit, mels = config.dit, config.mel.n_mels
    n = frames if dit.text_layout != "aligned" else frames // 4
    tokens = torch.randint(1, len(model.vocab) + 1, (1, n), generator=make)
    drawn: dict[str, Any] = {"tokens": tokens}
    if name == "encode":
        if dit.text_layout != "aligned":
            tokens[:, frames // 2 :] = 0
        drawn["cond"] = torch.randn(1, frames, mels, generator=make)
        if dit.text_layout != "padded":
            drawn["index"] = (torch.arange(frames) * n // frames)[None]
        if dit.text_layout == "aligned":
            drawn["phase"] = torch.rand(1, frames, generator=make)
        drawn["ref_frames"] = torch.tensor([frames // 3])
    elif name == "modulate":
        drawn = {"t": torch.rand(frames // 8, generator=make)}
        if dit.guidance_max:
            drawn["guidance"] = torch.rand(frames // 8, generator=make)
    elif name.startswith("step"):
        branches = 2 if name == "step" else 1
        drawn = {
            "x": torch.randn(1, frames, mels, generator=make),
            "h": torch.randn(branches, frames, dit.dim, generator=make),
            "mod": torch.randn(1, dit.modulation, generator=make) * 0.5,
            "dt": torch.tensor([0.25]),
            "cfg": torch.tensor([2.0]),
        }
    elif name == "vocode":
        drawn = {"mel": torch.randn(1, frames, mels, generator=make)}
    return drawn


def _difference(graph: torch.nn.Module, path: Path, given: dict[str, torch.Tensor]) -> float:
    import numpy as np
    import torch

    onnxruntime = require("onnxruntime", "Checking an ONNX model", installs("onnx"))
    with torch.inference_mode():
        expected = graph(*given.values()).numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    taken = {entry.name for entry in session.get_inputs()}  # the exporter drops an input that a graph does not read
    got = session.run(None, {key: value.numpy() for key, value in given.items() if key in taken})[0]
    return float(np.abs(got - expected).max() / max(1.0, float(np.abs(expected).max())))


def parser(prog: str) -> Parser:
    """The argument parser of the command."""
    p = Parser(prog=prog, description="Write a model's graphs for other runtimes, and check them against PyTorch.")
    p.add_argument("format", choices=("onnx",))
    p.add_argument("--model", default="demo", help="demo, a folder, a checkpoint or a hub name")
    p.add_argument("--out", metavar="FOLDER", type=Path, required=True, help="where the files go")
    return p


def main(arguments: Sequence[str], prog: str = "ishowtts export") -> int:
    """Run the command with its arguments; the exit status. Errors as `export_onnx`."""
    options = parser(prog).parse_args(arguments)
    resolve(options.model)  # a wrong name fails before torch is imported
    for name, difference in export_onnx(options.model, options.out).items():
        size = (options.out / f"{name}.onnx").stat().st_size
        print(f"{name}.onnx: {size / 1e6:.1f} MB, largest difference to PyTorch {difference:.1e}")
    if not (options.out / "vocode.onnx").is_file():
        print("the source-filter vocoder of this model has no ONNX form and is left out", file=sys.stderr)
    print(f"inputs and numbers: {options.out / 'export.json'}", file=sys.stderr)
    return 0
