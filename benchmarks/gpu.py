"""A published architecture through the whole engine on a GPU: alone, many at once, and a short message among long ones.

Random weights of real size, which do not change the speed. For each precision: `alone`: real-time factor and first
audio of ten seconds of speech, by each backend in turn (the others are compared with the first). `rows`: 1 to --most
utterances of ten seconds at once, audio a second of all together against one at a time. `short`: two seconds of speech
while --most others of ten seconds are always in progress, against the same alone (median, 95th percentile). Text front
end, encoding and vocoder are included. `official`: the official package (CFM.sample and Vocos) eager and compiled, for
1, 8 and --most rows of the same length in one call, without a text front end; it needs the packages of
requirements/parity.txt.

One command for a machine that is available for minutes: every figure is written at once, and a measurement that would
begin after --seconds is left out, with a message. The GPU's clocks are noted beside each figure where `nvidia-smi`
answers.

    python benchmarks/gpu.py [--backends cuda eager] [--precisions bf16 fp16] [--model F5TTS_v1_Base] [--seconds 420]
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from common import write_csv

from ishowtts import Engine, IshowError
from ishowtts._engine import DEFAULTS
from ishowtts.model.checkpoint import save_model
from ishowtts.model.config import PRESETS
from ishowtts.model.dit import DiT
from ishowtts.model.vocos import Vocos
from ishowtts.voices import model_voices

SYMBOLS, NFE = 2545, DEFAULTS["nfe_default"]
LONG, SHORT = 10.0, 2.0  # seconds of speech
ROUNDS = 10
TEXT = "Nobody had lit its lamp for thirty years, and the birds had made it their own."

CLIP = model_voices("demo")[0]
REFERENCE = float(soundfile.info(CLIP.audio).duration)

Row = dict[str, object]


def make(model: str, depth: int | None, folder: Path) -> None:
    """A model folder with random weights."""
    preset = PRESETS[model]
    dit = dataclasses.replace(preset.dit, text_num_embeds=SYMBOLS, depth=depth or preset.dit.depth)
    config = dataclasses.replace(preset, dit=dit)
    torch.manual_seed(0)
    nets = DiT(dit, config.mel.n_mels), Vocos(config.vocos, config.mel)
    for parameter in nets[0].parameters():
        if not parameter.any():  # what training begins at zero would leave x_t as it is
            torch.nn.init.normal_(parameter.requires_grad_(False), std=0.02)
    save_model(folder, config, *nets, None, [chr(32 + i) for i in range(SYMBOLS)], "fp32")


def speak(engine: Engine, seconds: float, seed: int) -> tuple[float, float]:
    """Seconds until everything was there, and until the first audio was."""
    start = time.perf_counter()
    speech = engine.stream(TEXT, seed=seed, fix_duration=REFERENCE + seconds)
    for _ in speech:
        pass
    return time.perf_counter() - start, speech.timings["first_audio"]


def alone(engines: dict[str, Engine], rounds: int) -> list[Row]:
    """The backends take turns."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    for round_ in range(-2, rounds):
        for name, engine in engines.items():
            found = speak(engine, LONG, round_ + 2)
            if round_ >= 0:
                taken[name].append(found)
    base = statistics.median(whole for whole, _ in next(iter(taken.values())))
    rows: list[Row] = []
    for name, found in taken.items():
        whole, first = (statistics.median(column) for column in zip(*found, strict=True))
        rows.append(
            {"what": "alone", "backend": name, "rtf": whole / LONG, "first_audio_s": first, "ratio": whole / base}
        )
    return rows


def together(name: str, engine: Engine, most: int, rounds: int) -> list[Row]:
    """Audio a second of several at once, widths in turn."""
    widths = [1]
    while widths[-1] < most:
        widths.append(min(2 * widths[-1], most))
    taken: dict[int, list[float]] = {width: [] for width in widths}
    for round_ in range(-1, rounds):
        for width in widths:
            start = time.perf_counter()
            with ThreadPoolExecutor(width) as pool:
                list(pool.map(lambda seed: speak(engine, LONG, seed), range(width)))
            if round_ >= 0:
                taken[width].append(width * LONG / (time.perf_counter() - start))
    rates = {width: statistics.median(found) for width, found in taken.items()}
    made: list[Row] = []
    for width, rate in rates.items():
        made.append({"what": "rows", "backend": name, "rows": width, "audio_per_s": rate, "ratio": rate / rates[1]})
    return made


def among(name: str, engine: Engine, most: int, rounds: int) -> list[Row]:
    """A short one by itself, then among long ones."""
    solo = [speak(engine, SHORT, seed)[0] for seed in range(rounds)]
    over = threading.Event()

    def keep_busy(seed: int) -> None:
        while not over.is_set():
            speak(engine, LONG, seed)

    with ThreadPoolExecutor(most) as pool:
        for seed in range(most):
            pool.submit(keep_busy, seed)
        time.sleep(1)
        try:
            busy = [speak(engine, SHORT, seed)[0] for seed in range(3 * rounds)]
        finally:
            over.set()
    rows: list[Row] = []
    for what, found in (("short alone", solo), ("short among long", busy)):
        late = float(np.percentile(found, 95))
        rows.append({"what": what, "backend": name, "rows": most, "median_s": statistics.median(found), "p95_s": late})
    rows[-1]["ratio"] = float(np.percentile(busy, 95)) / statistics.median(solo)
    return rows


def official(model: Path, precision: str, compiled: bool, widths: list[int], rounds: int) -> Iterator[Row]:
    """The official package's whole path from tokens to samples, several rows in one call."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "parity"))
    from official import flow_network, import_official, vocoder

    from ishowtts.model.checkpoint import load_model

    package, loaded = import_official(), load_model(model)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    network = flow_network(package, loaded.config.dit)
    network.load_state_dict(loaded.dit.state_dict(), strict=False)
    backbone, head = (part.to(device) for part in vocoder(package, loaded.config.vocos, loaded.config.mel))
    cfm = package.CFM(network, num_channels=loaded.config.mel.n_mels).to(device, dtype)
    if compiled:
        cfm.transformer = torch.compile(cfm.transformer)
    rate = loaded.config.mel.sample_rate / loaded.config.mel.hop
    known, frames = round(REFERENCE * rate), round((REFERENCE + LONG) * rate)
    name = f"official{' compiled' if compiled else ''}"
    for width in widths:
        cond = torch.randn(width, known, loaded.config.mel.n_mels, device=device, dtype=dtype)
        text = torch.randint(0, SYMBOLS, (width, frames // 6), device=device)
        taken = []
        for round_ in range(-1, rounds):
            start = time.perf_counter()
            with torch.inference_mode():
                mel, _ = cfm.sample(cond, text, frames, steps=NFE, cfg_strength=2.0, sway_sampling_coef=-1.0, seed=1)
                head(backbone(mel[:, known:].float().transpose(1, 2))).cpu()
            if round_ >= 0:
                taken.append(time.perf_counter() - start)
        whole = statistics.median(taken)
        yield {"what": "official", "backend": name, "rows": width, "audio_per_s": width * LONG / whole,
               "rtf": whole / (width * LONG)}  # fmt: skip


def clocks() -> str:
    """The GPU's clocks, power and temperature, "" where nvidia-smi does not answer."""
    asked = "clocks.sm,clocks.mem,power.draw,temperature.gpu"
    try:
        command = ["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return ""


def ours(place: Path, precision: str, args: argparse.Namespace) -> Iterator[Row]:
    """What the engine takes, by backend."""
    with ExitStack() as stack:
        engines: dict[str, Engine] = {}
        for name in args.backends:
            engines[name] = stack.enter_context(Engine.load(
                place, backend=name, precision=precision, threads=args.threads, compile="off",
                queue_capacity=args.most + 2, max_rows=args.most,
            ))  # fmt: skip
            engines[name].add_voice("one", CLIP.audio, CLIP.text, CLIP.language)
        yield from alone(engines, args.rounds)
        name, engine = next(iter(engines.items()))
        yield from together(name, engine, args.most, max(1, args.rounds // 3))
        yield from among(name, engine, args.most, args.rounds)


def main() -> None:
    """Measure, print, write benchmarks/results/gpu.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=PRESETS, default="F5TTS_v1_Base")
    parser.add_argument("--depth", type=int, help="blocks, fewer than the model has, for a try")
    parser.add_argument("--backends", nargs="+", default=["cuda", "eager"])
    parser.add_argument("--precisions", nargs="+", default=["bf16", "fp16"])
    parser.add_argument("--most", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--seconds", type=float, default=420, help="nothing begins after so many (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=int, default=0, help="of the processor, for backends that run there (0: all cores)"
    )
    args = parser.parse_args()
    begun = time.monotonic()
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    widths = sorted({1, min(8, args.most), args.most})
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make(args.model, args.depth, place)
        parts: list[tuple[str, str, Callable[[], Iterator[Row]]]] = []
        for precision in args.precisions:
            parts.append((f"ours {precision}", precision, partial(ours, place, precision, args)))
        for compiled in (False, True):
            parts += [
                (f"official {precision}", precision, partial(official, place, precision, compiled, widths, 2))
                for precision in args.precisions
            ]
        for name, precision, measure in parts:
            if time.monotonic() - begun > args.seconds:
                print(f"{name} is left out: {args.seconds:g} seconds are over", file=sys.stderr)
                continue
            try:
                for row in measure():
                    row |= {"gpu": device, "model": args.model, "precision": precision, "clocks": clocks()}
                    row["run"] = "; ".join(str(row.get(key, "")) for key in ("what", "backend", "precision", "rows"))
                    print(row, flush=True)
                    write_csv("gpu", [row], by="run")
            except (IshowError, ImportError, RuntimeError) as error:  # the other parts are measured all the same
                print(f"{name}: {type(error).__name__} {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
