"""Profiles of an utterance: stages of the engine, operators of torch, and a flame graph of the process."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ishowtts.errors import IshowError
from ishowtts.extras import require_torch

if TYPE_CHECKING:
    from ishowtts.config import Config
    from ishowtts.engine import Engine

PY_SPY = "pip install py-spy"


def stages(engine: Engine, text: str, rounds: int = 5) -> dict[str, float]:
    """Mean seconds of one utterance by stage over `rounds` runs: "text", "model", "rest" and "total".

    "rest" is what is neither text front end nor model: scheduler, levels, joining.
    """
    total = {"text": 0.0, "model": 0.0, "rest": 0.0, "total": 0.0}
    engine.speak(text, seed=0)
    for seed in range(rounds):
        timings = engine.speak(text, seed=seed).timings
        for name in ("text", "model", "total"):
            total[name] += timings[name] / rounds  # type: ignore[literal-required]
    total["rest"] = total["total"] - total["text"] - total["model"]
    return total


def trace(config: Config, text: str, out: Path) -> str:
    """Profile the eager backend with torch's profiler: a table of operators; `out` gets a trace for Perfetto.

    MissingPackage: torch is not installed.
    """
    require_torch("A profile")
    import torch
    from torch.profiler import ProfilerActivity, profile

    from ishowtts.engine import open_speaker

    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])
    # The model runs on the engine's own thread.
    everywhere = torch._C._profiler._ExperimentalConfig(profile_all_threads=True)
    with open_speaker(config, backend="eager", precision="auto") as engine:
        engine.speak(text, seed=0)
        with profile(activities=activities, experimental_config=everywhere) as recorded:
            engine.speak(text, seed=0)
    recorded.export_chrome_trace(str(out))
    return str(recorded.key_averages().table(sort_by="self_cpu_time_total", row_limit=15, max_name_column_width=40))


def flame_graph(options: list[str], text: str, out: Path) -> None:
    """Write a flame graph (SVG) of `ishowtts speak` with these options, with native frames.

    IshowError: py-spy is missing, or it failed, for example because it may not trace a child process.
    """
    own = Path(sys.executable).parent / "py-spy"
    found = str(own) if own.is_file() else shutil.which("py-spy")
    if found is None:
        raise IshowError(f"a flame graph needs py-spy: {PY_SPY}", status="ENOTFOUND")
    speech = [sys.executable, "-m", "ishowtts", "speak", text, *options, "-o", "/dev/null", "--format", "wav"]
    command = [
        found,
        "record",
        "--native",
        "--rate",
        "200",
        "--format",
        "flamegraph",
        "--output",
        str(out),
        "--",
        *speech,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not out.is_file():
        why = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
        raise IshowError(f"py-spy made no flame graph: {why}", status="EIO")
