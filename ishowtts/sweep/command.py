"""`ishowtts sweep`: speak with many settings, compare and report; `ishowtts sweep listen`: a blind listening test."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ishowtts.config.sections import BACKENDS
from ishowtts.options import Parser, add_speaker, speaker
from ishowtts.quality import listeners, sources
from ishowtts.quality.measure import GROUPS, Judges

from . import listen, report
from .run import Plan, sweep
from .settings import BASELINE, NAMES, OPTIONS, SWITCH, Setting, setting, settings

OUT = "sweep-out"
REPORT = {"nfe": "5,6,7", "precision": "fp32,bf16,int8-dynamic", "prompt_cache": "off,on"}
"""The axes of `--report`."""
OF_SPEAKER = ("threads", "voice")
"""Axes whose options one value leaves to the configuration, so that it holds for the baseline as well."""


def _axis(name: str) -> str:
    """The help text of an axis."""
    if name == "precision":
        return "precisions of the model"
    if name == "backend":
        return f"of {','.join(BACKENDS)}; auto: that of the configuration"
    if name == "device":
        return "auto, cpu, cuda or cuda:N; auto: that of the configuration"
    parts = OPTIONS[name]
    words = "; ".join(part.help for part in parts)
    if len(parts) > 1:
        return f"from:to; {words}"
    if parts[0].kind == "whole":
        return f"numbers, first:last, first:last:step; {words}"
    choices = SWITCH if parts[0].kind == "boolean" else parts[0].choices
    return f"of {','.join(choices)}; {words}" if choices else words


def parser(prog: str) -> Parser:
    """The argument parser of the command."""
    p = Parser(
        prog=prog,
        description="Speak sentences with many settings and compare quality and speed. Lists have commas.",
    )
    for name in (name for name in NAMES if name not in OF_SPEAKER):
        default = str(getattr(Setting(), name))
        p.add_argument(f"--{name.replace('_', '-')}", default=default, help=f"{_axis(name)} (default: %(default)s)")
    p.add_argument(
        "--skip", action="append", default=[], metavar="FIELD=VALUE,…", help="leave combinations out; may be repeated"
    )
    axes = " ".join(f"--{name.replace('_', '-')} {values}" for name, values in REPORT.items())
    p.add_argument("--report", action="store_true", help=f"what a published model is asked for first: {axes}")
    p.add_argument("--baseline", metavar="FIELD=VALUE,…", help=f"what to compare with (default: {BASELINE.name})")
    p.add_argument("--seeds", type=int, default=1, help="seeds for each sentence (default: %(default)s)")
    p.add_argument(
        "--texts", metavar="FILE", type=Path, default=sources.SENTENCES, help="sentences, one a line, or `name|text`"
    )
    p.add_argument("--sentences", type=int, metavar="N", help="only the first N of them")
    add_speaker(p, lists=True)
    p.add_argument("--jobs", type=int, help="processes that measure the clips (default: one per core)")
    p.add_argument("--measure", default=",".join(Plan.groups), help=f"of {','.join(GROUPS)} (default: %(default)s)")
    listeners.add_options(p)
    p.add_argument("--mos", default=Judges.mos, help="distillmos, dnsmos or utmos=FILE (default: %(default)s)")
    p.add_argument("--similarity", default=Judges.similarity, help="resemblyzer or wavlm=FOLDER (default: %(default)s)")
    p.add_argument(
        "-o",
        "--out",
        default=OUT,
        metavar="DIR",
        help="results; settings done before are skipped (default: %(default)s)",
    )
    return p


def _listen(arguments: Sequence[str], prog: str) -> int:
    p = Parser(prog=prog, description="Compare settings of a sweep with its baseline by ear, blind, in the browser.")
    p.add_argument("out", nargs="?", default=OUT, help="folder of the sweep (default: %(default)s)")
    p.add_argument("--baseline", metavar="FIELD=VALUE,…", help=f"setting of the comparison (default: {BASELINE.name})")
    p.add_argument("--port", type=int, default=0, help="0 takes any free port")
    p.add_argument("--results", action="store_true", help="print the votes and exit")
    options = p.parse_args(arguments)
    out = Path(options.out)
    if options.results:
        print(listen.results(out))
        return 0
    poll = listen.Poll(out, (setting(options.baseline) if options.baseline else BASELINE).name)
    with listen.server(poll, options.port) as running:
        print(f"open http://127.0.0.1:{running.server_address[1]}/ and listen; stop with Ctrl+C", flush=True)
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            print(listen.results(out))
    return 0


def plan_of(options: argparse.Namespace) -> Plan:
    """The plan that parsed options describe. ConfigError: an option has a wrong value."""
    texts = sources.texts(options.texts)
    if options.sentences is not None:
        texts = dict(list(texts.items())[: max(options.sentences, 1)])
    lists = {name: getattr(options, name) for name in NAMES if name not in OF_SPEAKER}
    for name in OF_SPEAKER:
        if "," in (given := getattr(options, name) or ""):
            lists[name] = given
            setattr(options, name, None)
    for name, wanted in REPORT.items():
        if options.report and lists.get(name) == str(getattr(Setting(), name)):  # an axis that is given stays
            lists[name] = wanted
    return Plan(
        settings(options.skip, **lists),
        texts,
        options.seeds,
        speaker(options),
        setting(options.baseline) if options.baseline else BASELINE,
        [group.strip() for group in options.measure.split(",")],
        Judges(listeners.chosen(options), options.mos, options.similarity),
    )


def main(arguments: Sequence[str], prog: str = "ishowtts sweep") -> int:
    """Run the command with its arguments; the exit status."""
    if arguments[:1] == ["listen"]:
        return _listen(arguments[1:], f"{prog} listen")
    options = parser(prog).parse_args(arguments)
    plan = plan_of(options)
    frame = sweep(plan, options.out, jobs=options.jobs)
    print(report.save(frame, plan, Path(options.out)))
    print(f"{options.out}: report.html, sweep.csv, sweep.parquet, differences.csv, verdicts.csv, clips/")
    return 0
