"""The commands of `ishowtts daily`; their docstrings are the help texts."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ishowtts._engine import DEFAULTS
from ishowtts.errors import ConfigError
from ishowtts.folders import cache_dir
from ishowtts.options import Parser, add_speaker, speaker

from . import doctor, history, timing

if TYPE_CHECKING:
    from ishowtts.engine import Engine
    from ishowtts.quality.measure import Row

RUNS = 20
ROUNDS = 3


def _engine(options: argparse.Namespace, precision: str | None = None) -> Engine:
    return _open(options, "off", precision)


def _open(options: argparse.Namespace, compile: Literal["wait", "off"], precision: str | None = None) -> Engine:
    from ishowtts.engine import open_speaker

    precision = precision or options.precision
    return open_speaker(speaker(options), compile, **({} if precision is None else {"precision": precision}))


def _model(options: argparse.Namespace) -> str:
    """The reference of the model that speaks."""
    return speaker(options).model.name


def _about(engine: Engine) -> str:
    info = engine.info
    return f"model {info['name']}, backend {info['backend']}, {info['precision']}"


def _quick(options: argparse.Namespace) -> int:
    """Speak six sentences and show their speed, faults, word error rate and naturalness, in about a minute."""
    from ishowtts.quality import artifacts
    from ishowtts.quality.clips import Clip
    from ishowtts.quality.measure import Scorer
    from ishowtts.quality.sources import texts

    scorer = Scorer()
    wrong: list[str] = []
    with _engine(options) as engine:
        print(_about(engine))
        engine.speak("Hello.", seed=0)
        print(f"{'text':50} {'audio s':>8} {'RTF':>7} {'WER':>6} {'MOS':>6}  wrong")
        for seed, text in enumerate(list(texts().values())[:6]):
            before = time.perf_counter()
            speech = engine.speak(text, seed=seed)
            wall = time.perf_counter() - before
            row = scorer(Clip(str(seed), speech.samples, speech.sample_rate, text))
            found = artifacts.faults(artifacts.find(speech.samples, speech.sample_rate), speech.sample_rate)
            wrong += found
            shown = [f"{row[name]:6.2f}" if name in row else f"{'–':>6}" for name in ("wer", "mos")]
            rtf = wall / speech.seconds
            print(f"{text[:50]:50} {speech.seconds:8.2f} {rtf:7.3f} {' '.join(shown)}  {', '.join(found)}")
    for why in scorer.missing.values():
        print(f"not measured: {why}")
    return 1 if wrong else 0


def _extended(options: argparse.Namespace) -> int:
    """Speak one text many times: mean, median, extremes and deviation of time and real-time factor."""
    if options.runs < 2:
        raise ConfigError(f"runs must be 2 or more, not {options.runs}", field="runs")
    with _engine(options) as engine:
        print(f"{_about(engine)}, {options.runs} runs of {options.text!r}")
        timing.speak(engine, options.text, 0)
        runs = [timing.speak(engine, options.text, 0) for _ in range(options.runs)]
    spreads = {"seconds": timing.spread([run.wall for run in runs]), "RTF": timing.spread([run.rtf for run in runs]),
               "first audio s": timing.spread([run.first for run in runs])}  # fmt: skip
    print(timing.spread_table(spreads))
    if options.json:
        figures = {name: row._asdict() for name, row in spreads.items()}
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return 0


def _benchmark(options: argparse.Namespace) -> int:
    """Time every precision of the native backend on three texts, in turn."""
    from contextlib import ExitStack

    from ishowtts.model import calibration
    from ishowtts.model.native import CALIBRATED, PRECISIONS
    from ishowtts.model.source import resolve

    precisions = list(PRECISIONS)
    if calibration.find(resolve(_model(options))) is None:
        precisions.remove(CALIBRATED)
        print(f"{CALIBRATED} is left out: make a calibration with `ishowtts quantize --calibrate`", file=sys.stderr)
    with ExitStack() as stack:
        engines = {precision: stack.enter_context(_engine(options, precision)) for precision in precisions}
        runs: dict[tuple[str, str], list[timing.Run]] = {}
        for round_ in range(-1, options.rounds):
            for name, text in timing.TEXTS.items():
                for precision, engine in engines.items():
                    run = timing.speak(engine, text, 0)
                    if round_ >= 0:  # the first round warms up
                        runs.setdefault((name, precision), []).append(run)
        print("\n".join(_about(engine) for engine in engines.values()))
    print(f"{'text':15} {'precision':13} {'audio s':>8} {'RTF median':>11} {'min':>7} {'max':>7} {'first ms':>9}")
    for (name, precision), mine in runs.items():
        rtf = sorted(run.rtf for run in mine)
        middle = rtf[len(rtf) // 2]
        first = sorted(run.first for run in mine)[len(mine) // 2]
        figures = f"{middle:11.3f} {rtf[0]:7.3f} {rtf[-1]:7.3f} {1e3 * first:9.0f}"
        print(f"{name:15} {precision:13} {mine[0].audio:8.2f} {figures}")
    return 0


def _warm_up(options: argparse.Namespace) -> int:
    """Fill the caches that the first start on a machine fills, and speak once."""
    before = time.perf_counter()
    with _open(options, "wait") as engine:
        loaded = time.perf_counter() - before
        run = timing.speak(engine, timing.TEXTS["chat line"], 0)
        state, why = engine.compile_state
        spoken = f"first sentence in {run.wall:.2f} s (real-time factor {run.rtf:.3f})"
        print(f"{_about(engine)}: ready after {loaded:.1f} s, {spoken}")
    if state == "failed":
        print(f"not compiled: {why}", file=sys.stderr)
    return 0


def _quality(
    options: argparse.Namespace, *arguments: str, report_to: Callable[[list[Row], list[str]], None] | None = None
) -> int:
    from ishowtts.quality import command

    names = ("config", "model", "voice", "threads", "precision")
    own = [word for name in names if (value := getattr(options, name)) for word in (f"--{name}", value)]
    return command.run(command.parser(f"ishowtts daily {options.name}").parse_args([*own, *arguments]), report_to)


def _samples(options: argparse.Namespace) -> int:
    """Write a page with spoken sentences and their measures."""
    return _quality(options, "--html", options.out)


def _regression(options: argparse.Namespace) -> int:
    """Compare speech with the stored baseline, which the first run stores."""
    path = Path(options.baseline) if options.baseline else _baseline_path(options)
    path.parent.mkdir(parents=True, exist_ok=True)
    store = ["--store"] if options.store or not path.exists() else []
    return _quality(
        options, "--baseline", str(path), *store, report_to=lambda rows, worse: _record(options, rows, worse)
    )


def _record(options: argparse.Namespace, rows: list[Row], worse: list[str]) -> None:
    """Add the run to the history, and report it by webhook and mail where something is worse."""
    from ishowtts.quality.measure import MEASURES

    means = {}
    for name in (*MEASURES, "rtf", "first_audio"):
        values = [row[name] for row in rows if isinstance(row.get(name), int | float) and math.isfinite(row[name])]
        if values:
            means[name] = sum(values) / len(values)
    run = history.record(_model(options), means, worse)
    if options.history:
        history.append(options.history, run)
    if worse and options.webhook:
        history.post(options.webhook, run)
    if worse and options.mail:
        history.mail(options.mail, run)


def _baseline_path(options: argparse.Namespace) -> Path:
    name = "".join(c if c.isalnum() else "-" for c in f"{_model(options)}-{options.precision or 'auto'}")
    return cache_dir() / "baselines" / f"{name}.json"


def _profile(options: argparse.Namespace) -> int:
    """Show seconds by stage; write a trace of torch's profiler and a flame graph."""
    from . import profile

    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    with _engine(options) as engine:
        print(_about(engine))
        stages = profile.stages(engine, options.text)
    for name, seconds in stages.items():
        print(f"{name:6} {1e3 * seconds:9.2f} ms {100 * seconds / stages['total']:6.1f} %")
    print(profile.trace(speaker(options), options.text, out / "trace.json"))
    names = ("config", "model", "voice")
    chosen = [word for name in names if (value := getattr(options, name)) for word in (f"--{name}", value)]
    profile.flame_graph(chosen, options.text, out / "flame.svg")
    print(f"{out}: trace.json (open in ui.perfetto.dev or chrome://tracing), flame.svg")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    """Check machine, packages, GPU, model, audio and port, and say how to fix what is wrong."""
    bad = 0
    for finding in doctor.examine(speaker(options), options.port):
        print(f"{finding.level:5} {finding.what}" + (f"\n      → {finding.cure}" if finding.cure else ""), flush=True)
        bad += finding.level == "bad"
    return 1 if bad else 0


def parser(prog: str) -> Parser:
    """The argument parser of the command."""
    parser = Parser(prog=prog, description="Check, time and measure this installation.")
    commands = parser.add_subparsers(dest="name", metavar="NAME", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        p = commands.add_parser(name, help=(run.__doc__ or "").strip().rstrip("."))
        add_speaker(p)
        p.add_argument("--precision", help="of the model (default: the fastest of fp32 and bf16)")
        p.set_defaults(run=run)
        return p

    add("quick", _quick)
    extended = add("extended", _extended)
    extended.add_argument("--runs", type=int, default=RUNS, help="(default: %(default)s)")
    extended.add_argument("--json", metavar="FILE", help="write the figures")
    add("benchmark", _benchmark).add_argument("--rounds", type=int, default=ROUNDS, help="(default: %(default)s)")
    add("warm-up", _warm_up)
    add("samples", _samples).add_argument(
        "-o", "--out", default="samples.html", help="page to write (default: %(default)s)"
    )
    regression = add("regression", _regression)
    regression.add_argument(
        "--baseline", metavar="FILE", help="(default: one for each model, in the user's cache folder)"
    )
    regression.add_argument("--store", action="store_true", help="store a new baseline")
    regression.add_argument(
        "--history", metavar="FILE", type=Path, help="add a line of JSON with the figures of this run"
    )
    regression.add_argument("--webhook", metavar="URL", help="post the run as JSON there when something is worse")
    regression.add_argument("--mail", metavar="ADDRESS", help="send a mail there by sendmail when something is worse")
    profile = add("profile", _profile)
    profile.add_argument("-o", "--out", default="profile-out", metavar="FOLDER", help="(default: %(default)s)")
    add("doctor", _doctor).add_argument(
        "--port", type=int, default=DEFAULTS["port"], help="of the server (default: %(default)s)"
    )
    for p in (extended, profile):
        p.add_argument("--text", default=timing.TEXTS["chat line"], help="what to say")
    return parser


def main(arguments: Sequence[str], prog: str = "ishowtts daily") -> int:
    """Run the command with its arguments; the exit status. Errors are IshowErrors."""
    options = parser(prog).parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)
