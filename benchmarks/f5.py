"""The whole path of a published architecture, from text to samples, in ours and in other programs.

Random weights of real size (they do not change the speed), 4 s of reference and 4 s to say, NFE 7, both branches of
guidance, two threads. Each figure comes from a process of its own: it loads the model, speaks once uncounted, and
speaks again; with `prompt_cache` the first time fills the cache, as for a voice that has spoken before. The programs
take turns, one round after the other, and every figure is written as soon as it is there: a run that is interrupted
goes on where it stopped. Processor seconds are given beside wall seconds, because they suffer less from other work on
the machine.

Official: the packages of requirements/parity.txt. onnxruntime int8: `ishowtts export onnx`, the step quantised
dynamically, in a loop as a user writes it. vox: the package vox-tts, installed here or, with --vox, in a folder of its
own (`pip install --no-deps --target FOLDER vox-tts`). Programs that are not installed are left out, with a message.
--prepare makes what the programs load (weights, exported and converted models) and ends, so that no program's time
includes it.

    python benchmarks/f5.py [--rounds 2] [--threads 2] [--only "ishowtts int8-dynamic,vox q8"] [--folder build/f5]
                            [--vox FOLDER] [--prepare]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, processor, write_csv

MODEL, SYMBOLS, RATE, HOP, NFE, CFG = "F5TTS_v1_Base", 2545, 24000, 256, 7, 2.0
REFERENCE, SPEECH = 375, 375
REFERENCE_TEXT = "The birch canoe slid on the smooth planks, as we had hoped."
TEXT = "Thanks a lot for the raid, it is good to see you all here!"
CONFIG = "dim: 512\nintermediate_dim: 1536\nnum_layers: 8\n"
OURS = {
    f"ishowtts {precision}{' with prompt cache' if kept else ''}": (precision, kept)
    for precision in ("fp32", "bf16", "int8-dynamic")
    for kept in (False, True)
}
"""Ours: precision, and whether with `prompt_cache`."""
OTHERS = {
    "official fp32": "torchdiffeq", "official bf16": "torchdiffeq", "onnxruntime int8": "onnxruntime",
    "vox f16": "vox", "vox q8": "vox",
}  # fmt: skip
"""Other programs, each with a module that it needs."""
SECONDS = 3000
"""Limit of a program: the official network in fp32 speaks for minutes on a busy machine, and does so twice."""
CACHE_BYTES = 512 << 20
"""Holds the reference in fp32, which takes twice the default."""


def prepare(folder: Path) -> Path:
    """The checkpoint, as a folder of the hub has it; made once. `voice.npy`: the reference."""
    import torch
    from safetensors.torch import save_file

    from ishowtts.model.config import PRESETS
    from ishowtts.model.dit import DiT
    from ishowtts.model.vocos import Vocos

    own = folder / MODEL
    checkpoint = own / "model_1250000.safetensors"
    if checkpoint.is_file():
        return checkpoint
    (own / "vocos").mkdir(parents=True, exist_ok=True)
    vocab = [" ", *(chr(c) for c in range(33, 127)), *(f"symbol{i}" for i in range(SYMBOLS - 95))]
    (own / "vocab.txt").write_text("\n".join(vocab) + "\n", encoding="utf-8")
    config = PRESETS[MODEL]
    torch.manual_seed(0)
    dit, vocos = DiT(config.dit), Vocos(config.vocos, config.mel)
    for name, weight in dit.named_parameters():
        if bool((weight == weight.flatten()[0]).all()):
            torch.nn.init.normal_(weight, std=0.03 if name.startswith("proj_out") else 0.2)
    (own / "vocos" / "config.yaml").write_text(CONFIG, encoding="utf-8")
    torch.save({**vocos.state_dict(), "head.istft.window": torch.hann_window(1024)}, own / "vocos/pytorch_model.bin")
    np.save(folder / "voice.npy", (0.1 * np.random.default_rng(1).standard_normal(REFERENCE * HOP)).astype(np.float32))
    partial = own / "partial"
    save_file({f"ema_model.transformer.{k}": v for k, v in dit.state_dict().items()}, partial)
    partial.replace(checkpoint)
    return checkpoint


def ours(folder: Path, threads: int, precision: str, kept: bool) -> Callable[[], int]:
    """Speaks once a call; the number of samples."""
    from ishowtts import Engine

    engine = Engine.load(
        folder / MODEL, backend="native", precision=precision, threads=threads, compile="off", cache_bytes=CACHE_BYTES
    )
    engine.add_voice("me", np.load(folder / "voice.npy"), REFERENCE_TEXT, "en", sample_rate=RATE)
    seconds = (REFERENCE + SPEECH) * HOP / RATE
    return lambda: len(engine.speak(TEXT, nfe=NFE, cfg=CFG, seed=1, fix_duration=seconds, prompt_cache=kept).samples)


def official(folder: Path, threads: int, precision: str) -> Callable[[], int]:
    """The same by `CFM.sample` and Vocos."""
    import torch

    sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "parity"))
    from official import flow_network, import_official, vocoder

    from ishowtts.model.checkpoint import load_model

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    package, model = import_official(), load_model(folder / MODEL)
    network = flow_network(package, model.config.dit)
    network.load_state_dict(model.dit.state_dict(), strict=False)
    backbone, head = vocoder(package, model.config.vocos, model.config.mel)
    backbone.load_state_dict(model.vocos.backbone.state_dict())
    head.out.load_state_dict(model.vocos.head.out.state_dict())
    mel = package.MelFeatures(padding="center")
    ids = {symbol: i for i, symbol in enumerate(model.vocab)}
    cfm = package.CFM(network, num_channels=100)
    if precision == "bf16":
        cfm = cfm.bfloat16()
    text = torch.tensor([[ids.get(c, 0) for c in f"{REFERENCE_TEXT} {TEXT}"]])
    voice = torch.from_numpy(np.load(folder / "voice.npy"))[None]

    def speak() -> int:
        cond = mel(voice).transpose(1, 2)[:, :REFERENCE]
        out, _ = cfm.sample(
            cond.to(next(network.parameters()).dtype), text, REFERENCE + SPEECH, steps=NFE, cfg_strength=CFG,
            sway_sampling_coef=-1.0, seed=1,
        )  # fmt: skip
        return int(head(backbone(out[:, REFERENCE:].float().transpose(1, 2))).shape[-1])

    return speak


def onnx_graphs(folder: Path) -> tuple[Path, Path]:
    """The folder of the exported graphs and the quantised step, made once."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from ishowtts.export import export_onnx

    graphs = folder / "onnx"
    small = graphs / "step-int8.onnx"
    if not (graphs / "export.json").is_file():
        export_onnx(folder / MODEL, graphs)
    if not small.is_file():
        partial = graphs / "step-partial.onnx"
        quantize_dynamic(graphs / "step.onnx", partial, weight_type=QuantType.QInt8, per_channel=True)
        partial.replace(small)
    return graphs, small


def onnx(folder: Path, threads: int) -> Callable[[], int]:
    """The same by the exported graphs, the step in int8."""
    import onnxruntime
    import torch

    from ishowtts.model.sampler import time_grid

    graphs, small = onnx_graphs(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    files = {name: graphs / f"{name}.onnx" for name in ("encode", "modulate", "vocode")} | {"step": small}
    sessions = {
        name: onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for name, path in files.items()
    }
    frames, rng = REFERENCE + SPEECH, np.random.default_rng(2)
    tokens = np.zeros((1, frames), np.int64)
    tokens[0, : len(REFERENCE_TEXT + TEXT)] = [max(ord(c) - 32, 0) + 1 for c in REFERENCE_TEXT + TEXT]
    cond = rng.standard_normal((1, frames, 100), np.float32)
    t = time_grid(NFE, -1.0).numpy()

    def run(name: str, **given: np.ndarray) -> Any:
        return sessions[name].run(None, given)[0]

    def speak() -> int:
        h = run("encode", tokens=tokens, cond=cond, ref_frames=np.array([REFERENCE]))
        mod, x = run("modulate", t=t[:-1]), rng.standard_normal((1, frames, 100), np.float32)
        for i, dt in enumerate(np.diff(t)):
            x = run("step", x=x, h=h, mod=mod[i : i + 1], dt=dt[None], cfg=np.array([CFG], np.float32))
        real, imaginary = torch.from_numpy(run("vocode", mel=x[:, REFERENCE:])).transpose(2, 3).unbind(1)
        return int(torch.istft(torch.complex(real, imaginary), 1024, HOP, window=torch.hann_window(1024)).shape[-1])

    return speak


def vox_model(folder: Path, kind: str) -> Path:
    """The checkpoint as vox-tts reads it, converted once by its own program."""
    made, own = folder / f"vox-{kind}.tmod", folder / MODEL
    if not made.is_file():
        partial = folder / f"vox-{kind}.partial"
        command = [
            sys.executable, "-m", "vox.build_f5", "--ckpt", str(own / "model_1250000.safetensors"), "--dtype", "f16",
            "--vocab", str(own / "vocab.txt"), "--vocos", str(own / "vocos"), "-o", str(partial),
        ]  # fmt: skip
        subprocess.run([*command, *(["--quant", "q8"] if kind == "q8" else [])], check=True)
        partial.replace(made)
    return made


def vox(folder: Path, threads: int, kind: str) -> Callable[[], int]:
    """The same by vox-tts, whose length of the speech follows its own rule."""
    import vox as package

    engine = package.Engine(str(vox_model(folder, kind)), device="cpu", threads=threads)
    voice = engine.clone_voice((np.load(folder / "voice.npy"), RATE), REFERENCE_TEXT)
    return lambda: len(engine.synthesize(TEXT, voice, nfe_step=NFE, cfg_strength=CFG, seed=1))


def measure(name: str, folder: Path, threads: int) -> dict[str, float]:
    """Seconds of one program, in this process."""
    prepare(folder)
    begun = time.perf_counter()
    program, _, kind = name.partition(" ")
    if name in OURS:
        speak = ours(folder, threads, *OURS[name])
    elif program == "official":
        speak = official(folder, threads, kind)
    else:
        speak = vox(folder, threads, kind) if program == "vox" else onnx(folder, threads)
    loaded = time.perf_counter() - begun
    speak()
    wall, cpu = time.perf_counter(), time.process_time()
    samples = speak()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    audio = samples / RATE
    return {
        "audio_seconds": round(audio, 3), "seconds": round(wall, 3), "cpu_seconds": round(cpu, 3),
        "rtf": round(wall / audio, 4), "cpu_per_audio_second": round(cpu / audio, 4), "load_seconds": round(loaded, 3),
    }  # fmt: skip


def done() -> set[str]:
    """Runs of this machine that the file has."""
    path = RESULTS / "f5.csv"
    if not path.is_file():
        return set()
    with path.open(newline="", encoding="utf-8") as file:
        return {row["run"] for row in csv.DictReader(file) if row["machine"] == processor()}


def main() -> None:
    """Measure what is missing, one process a figure; write benchmarks/results/f5.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", help="programs, with commas between them")
    parser.add_argument("--folder", type=Path, default=Path("build/f5"), help="of the weights (default: %(default)s)")
    parser.add_argument("--vox", type=Path, help="folder with vox-tts")
    parser.add_argument("--prepare", action="store_true", help="make what the programs load, measure nothing")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.vox:  # also in the processes of the programs
        sys.path.append(str(args.vox))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(args.vox))))
    if args.one:
        print(json.dumps(measure(args.one, args.folder, args.threads)))
        return
    names = [name for name in (*OURS, *OTHERS) if args.only is None or name in args.only.split(",")]
    for name in [name for name in names if name in OTHERS and find_spec(OTHERS[name]) is None]:
        print(f"{name} is left out: the package {OTHERS[name]} is not installed", file=sys.stderr)
        names.remove(name)
    if args.prepare:
        prepare(args.folder)
        if "onnxruntime int8" in names:
            onnx_graphs(args.folder)
        for kind in ("f16", "q8"):
            if f"vox {kind}" in names:
                vox_model(args.folder, kind)
        return
    for round_ in range(args.rounds):
        for name in names:
            run = f"{name}; {args.threads} threads; round {round_}"
            if run in done():
                continue
            own = [
                sys.executable,
                __file__,
                "--one",
                name,
                "--threads",
                str(args.threads),
                "--folder",
                str(args.folder),
            ]
            try:
                got = subprocess.run(own, capture_output=True, text=True, timeout=SECONDS, check=True).stdout
            except subprocess.SubprocessError as error:
                said = getattr(error, "stderr", None) or ""
                print(f"{run}: {type(error).__name__} {str(said)[-300:]}", file=sys.stderr)
                continue
            figures = json.loads(got.splitlines()[-1])
            row = {"run": run, "program": name, "threads": args.threads, "round": round_, **figures}
            print(row)
            write_csv("f5", [row], by="run")


if __name__ == "__main__":
    main()
