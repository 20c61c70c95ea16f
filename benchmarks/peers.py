"""Time of one step and of the vocoder of a published architecture: ours, the official package, onnxruntime.

Random weights of real size (speed does not care). The window is one step of the flow with both guidance branches, as
the official sampler calls the network: text embeddings cached, no prompt encoding, no vocoder. The peers take turns
within a round on the same inputs and threads; onnxruntime runs the official network exported to ONNX, in fp32 and after
its dynamic int8 quantisation. Errors are those of the velocity against the official fp32 one. Needs the packages of
requirements/parity.txt, onnx and onnxruntime.

    python benchmarks/peers.py [--model F5TTS_v1_Base] [--seconds 8] [--rounds 3] [--threads 2]
                               [--no-onnx] [--no-compile]
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import torch
from common import write_csv
from safetensors.torch import save_file
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "parity"))
from official import fill, flow_network, import_official, vocoder

from ishowtts._native import Native
from ishowtts.model.config import PRESETS, ModelConfig
from ishowtts.model.native import native_json
from ishowtts.model.source import ModelSource
from ishowtts.model.vocos import Vocos

CFG, DT, T0 = 2.0, 0.125, 0.25
SYMBOLS = 2545


class Exported(nn.Module):
    """The official network as its sampler calls it, text embeddings as constants."""

    def __init__(self, network: nn.Module, text: Tensor) -> None:
        super().__init__()
        self.network, self.text = network, text

    def forward(self, x: Tensor, cond: Tensor, t: Tensor) -> Tensor:
        """The velocity with guidance, both branches in one call."""
        return self.network(x=x, cond=cond, text=self.text, time=t, cfg_infer=True, cache=True)


def bytes_of(tensor: Tensor) -> memoryview:
    """Its memory."""
    return memoryview(tensor.numpy()).cast("B")


def onnx_variants(
    network: Exported, inputs: tuple[Tensor, ...], folder: Path, threads: int
) -> dict[str, Callable[[], Tensor]]:
    """The exported network in onnxruntime: fp32, and quantised dynamically to int8."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    names = ["x", "cond", "t"]
    plain, small = folder / "fp32.onnx", folder / "int8.onnx"
    torch.onnx.export(
        network, inputs, str(plain), input_names=names, output_names=["v"], dynamo=False, opset_version=17
    )
    quantize_dynamic(plain, small, weight_type=QuantType.QInt8, per_channel=True, use_external_data_format=True)
    variants: dict[str, Callable[[], Tensor]] = {}
    for name, path in (("onnxruntime fp32", plain), ("onnxruntime int8", small)):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        feed = {key: value.numpy() for key, value in zip(names, inputs, strict=True)}
        variants[name] = lambda session=session, feed=feed: torch.from_numpy(session.run(None, feed)[0])  # type: ignore[misc]
    return variants


def native_variants(
    config: ModelConfig,
    state: dict[str, Tensor],
    vocos: Vocos,
    text: Tensor,
    cond: Tensor,
    x: Tensor,
    folder: Path,
    threads: int,
) -> dict[str, tuple[Callable[[], Tensor], Callable[[], Tensor]]]:
    """Ours: a step, and the vocoder on x."""
    save_file(state, folder / "dit.safetensors")
    save_file(vocos.state_dict(), folder / "vocos.safetensors")
    (folder / "vocab.txt").write_text("\n".join(str(i) for i in range(SYMBOLS)) + "\n")
    source = ModelSource(
        config, folder / "dit.safetensors", folder / "vocos.safetensors", folder / "vocab.txt", None, ()
    )
    frames, dim = x.shape[0], config.dit.dim
    variants = {}
    for precision in ("fp32", "bf16", "int8-dynamic"):
        backend = Native(native_json(source, precision), threads=threads)
        h, mod = torch.empty(2, frames, dim), torch.empty(1, config.dit.modulation)
        tokens = nn.functional.pad(text[0] + 1, (0, frames - text.shape[1]))
        backend.encode(
            bytes_of(tokens), bytes_of(cond), None, None, frames // 3, frames, bytes_of(h[0]), bytes_of(h[1])
        )
        backend.modulate(bytes_of(torch.tensor([T0])), bytes_of(torch.zeros(1)), bytes_of(mod))

        def step(backend: Native = backend, h: Tensor = h, mod: Tensor = mod) -> Tensor:
            out = x.clone()
            backend.step([(bytes_of(out), bytes_of(h[0]), bytes_of(h[1]), bytes_of(mod), DT, CFG, frames)])
            return (out - x) / DT

        def vocode(backend: Native = backend) -> Tensor:
            n_fft, _ = config.vocos.frames(config.mel)
            spectrum = torch.empty(2, config.vocos.frame_count(config.mel, frames), n_fft // 2 + 1)
            backend.vocode(bytes_of(x), frames, bytes_of(spectrum[0]), bytes_of(spectrum[1]))
            return spectrum

        variants[f"native {precision}"] = (step, vocode)
    return variants


def main() -> None:
    """Measure, print a table, write benchmarks/results/peers-MODEL.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=PRESETS, default="F5TTS_v1_Base")
    parser.add_argument("--depth", type=int, help="blocks, fewer than the model has, for a try")
    parser.add_argument("--seconds", type=float, default=8.0, help="of reference and speech together")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-onnx", action="store_true")
    parser.add_argument("--no-compile", action="store_true", help="leave out the official network under torch.compile")
    args = parser.parse_args()
    missing = [name for name in ("onnx", "onnxruntime") if not args.no_onnx and find_spec(name) is None]
    if missing:
        raise SystemExit(f"pip install {' '.join(missing)}, or leave its peers out with --no-onnx")
    if not args.no_compile and shutil.which(os.environ.get("CXX", "g++")) is None:
        raise SystemExit("torch.compile needs a C++ compiler (g++, or $CXX); --no-compile leaves its peers out")
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    official = import_official()
    preset = PRESETS[args.model]
    dit = dataclasses.replace(preset.dit, text_num_embeds=SYMBOLS, depth=args.depth or preset.dit.depth)
    config = dataclasses.replace(preset, dit=dit)
    torch.manual_seed(0)
    network = flow_network(official, dit)
    fill(network)
    vocos = Vocos(config.vocos, config.mel).eval()
    frames = round(args.seconds * 24000 / 256)
    make = torch.Generator().manual_seed(1)
    x, cond = torch.randn(frames, 100, generator=make), torch.randn(frames, 100, generator=make)
    cond[frames // 3 :] = 0
    text, t = torch.randint(0, SYMBOLS, (1, frames // 6), generator=make), torch.tensor(T0)

    def copied() -> nn.Module:
        copy = flow_network(official, dit)
        copy.load_state_dict(network.state_dict())
        return copy

    bf16 = Exported(copied().bfloat16(), text)
    inputs = x[None].bfloat16(), cond[None].bfloat16(), t.bfloat16()

    def velocity(both: Tensor) -> Tensor:
        c, u = both.float().chunk(2)
        return (c + (c - u) * CFG)[0]

    exported = Exported(network, text)
    exported(x[None], cond[None], t)  # fills the caches of text embeddings
    steps: dict[str, Callable[[], Tensor]] = {
        "official fp32": lambda: velocity(exported(x[None], cond[None], t)),
        "official bf16": lambda: velocity(bf16(*inputs)),
    }
    if not args.no_compile:
        compiled, compiled_bf16 = (
            Exported(cast(nn.Module, torch.compile(part)), text) for part in (network, bf16.network)
        )
        steps["official fp32 compiled"] = lambda: velocity(compiled(x[None], cond[None], t))
        steps["official bf16 compiled"] = lambda: velocity(compiled_bf16(*inputs))
    vocoders: dict[str, Callable[[], Tensor]] = {}
    backbone, head = vocoder(official, config.vocos, config.mel)
    backbone.load_state_dict(vocos.backbone.state_dict())
    head.out.load_state_dict(vocos.head.out.state_dict())
    vocoders["official fp32"] = lambda: head(backbone(x.T[None]))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        state = {key: value for key, value in network.state_dict().items() if key != "rotary_embed.inv_freq"}
        for name, (step, vocode) in native_variants(config, state, vocos, text, cond, x, folder, args.threads).items():
            steps[name], vocoders[name] = step, vocode
        if not args.no_onnx:
            given = x[None], cond[None], t
            traced = Exported(copied(), text)  # one of its own: exporting leaves its traces in a network
            traced(*given)
            for name, run in onnx_variants(traced, given, folder, args.threads).items():
                steps[name] = lambda run=run: velocity(run())  # type: ignore[misc]
        rows = measure({"step": steps, "vocoder": vocoders}, args, frames)
    write_csv(f"peers-{args.model}", rows)


def measure(
    work: dict[str, dict[str, Callable[[], Tensor]]], args: argparse.Namespace, frames: int
) -> list[dict[str, object]]:
    """Every variant once a round, after one that is not counted."""
    rows: list[dict[str, object]] = []
    for what, variants in work.items():
        taken: dict[str, list[float]] = {name: [] for name in variants}
        results: dict[str, Tensor] = {}
        for round_ in range(-1, args.rounds):
            for name, run in variants.items():
                start = time.perf_counter()
                results[name] = run()
                if round_ >= 0:
                    taken[name].append(time.perf_counter() - start)
        reference = results["official fp32"]
        base = statistics.median(taken["official fp32"])
        for name, seconds in taken.items():
            middle = statistics.median(seconds)
            error = None
            if what == "step":
                error = float((results[name] - reference).norm() / reference.norm())
            shown = "" if error is None else f"  error {error:.2e}"
            print(f"{what:8} {name:22} {1e3 * middle:9.1f} ms {base / middle:6.2f}x{shown}")
            for round_, value in enumerate(seconds):
                rows.append({
                    "work": what, "variant": name, "frames": frames, "threads": args.threads, "round": round_,
                    "seconds": round(value, 5),
                    "ratio_to_official_fp32": round(taken["official fp32"][round_] / value, 3),
                    "relative_error": "" if error is None else f"{error:.3e}",
                })  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
