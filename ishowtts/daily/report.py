"""`ishowtts report`: the history of what was measured, and goals beside what was reached, as one HTML file."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from ishowtts._engine import VERSION
from ishowtts.errors import ConfigError
from ishowtts.options import Parser
from ishowtts.quality import page
from ishowtts.quality.measure import MEASURES

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
_ELSEWHERE = "no machine named"
Line = list[tuple[datetime, float]]
"""Values of one machine or model by their times, the oldest first."""


@dataclass(frozen=True)
class Goal:
    """A row of `goals.toml`, which explains the fields."""

    phase: str
    what: str
    file: str
    column: str
    where: Mapping[str, str]
    target: float
    better: str
    baseline: Mapping[str, str] | None = None

    def met(self, value: float) -> bool:
        """Whether a value reaches the target."""
        return value <= self.target if self.better == "less" else value >= self.target


def medians(text: str, where: Mapping[str, str], column: str) -> dict[str, float]:
    """The median of a CSV's column by machine, over the rows that have the values of `where`."""
    found: dict[str, list[float]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        value = row.get(column) or ""
        if value and all(row.get(name) == wanted for name, wanted in where.items()):
            found.setdefault(row.get("machine") or _ELSEWHERE, []).append(float(value))
    return {machine: median(values) for machine, values in found.items()}


def versions(path: Path) -> Iterator[tuple[datetime, str]]:
    """Contents of a file by time of commit, the oldest first; nothing where git does not know it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(path.parent), *arguments], capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else ""

    for line in reversed(git("log", "--format=%H %cI", "--", path.name).splitlines()):
        commit, when = line.split()
        yield datetime.fromisoformat(when), git("show", f"{commit}:./{path.name}")


def daily(path: Path) -> list[dict[str, Any]]:
    """Runs of a history that `ishowtts daily regression` wrote. ConfigError: it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"history: {path} cannot be read: {error}", status="ENOTFOUND", field="history") from None
    runs = []
    for number, line in enumerate(lines, 1):
        try:
            run = json.loads(line)
            runs.append({**run, "time": datetime.fromisoformat(run["time"]), "figures": dict(run["figures"])})
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                f"history: line {number} of {path} is no run", status="EFORMAT", field="history"
            ) from None
    return runs


def _plot(what: str, lines: Mapping[str, Line]) -> str:
    plt = page.pyplot()
    figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
    for name, line in lines.items():
        axes.plot([when for when, _ in line], [value for _, value in line], "o-", ms=3, lw=1, label=name)
    axes.set_title(what, fontsize=10)
    axes.set_ylim(bottom=0)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=7, frameon=False)
    return f"<figure>{page.picture(figure, what)}</figure>"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _goals(goals: Sequence[Goal], results: Path) -> str:
    """The table of goals: one row for a goal and a machine."""
    rows = []
    for goal in goals:
        path = results / f"{goal.file}.csv"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        reached = medians(text, goal.where, goal.column)
        before = medians(text, goal.baseline, goal.column) if goal.baseline is not None else {}
        relation = "≤" if goal.better == "less" else "≥"
        for machine, value in reached.items() or [("not measured", None)]:
            verdict = ("–", "quiet") if value is None else ("yes", "good") if goal.met(value) else ("no", "bad")
            rows.append([
                page.escape(goal.phase), page.escape(goal.what), page.escape(machine), _number(before.get(machine)),
                f"{relation} {_number(goal.target)}", _number(value), f'<span class="{verdict[1]}">{verdict[0]}</span>',
            ])  # fmt: skip
    return page.table(["phase", "what", "machine", "baseline", "target", "achieved", "met"], rows, (3, 4, 5))


def _histories(entries: Sequence[Mapping[str, Any]], results: Path) -> Iterator[str]:
    """Plots of figures over the versions of their files."""
    for entry in entries:
        lines: dict[str, Line] = {}
        for when, text in versions(results / f"{entry['file']}.csv"):
            for machine, value in medians(text, entry["where"], entry["column"]).items():
                line = lines.setdefault(machine, [])
                if not line or line[-1][1] != value:  # a commit that changed other machines' rows adds no point
                    line.append((when, value))
        if lines:
            yield _plot(entry["what"], lines)


def _runs(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Plots of the daily regression, and a table of the runs that were worse."""
    figures: dict[str, dict[str, Line]] = {}
    for run in sorted(runs, key=lambda run: run["time"]):
        for name, value in run["figures"].items():
            if isinstance(value, int | float) and math.isfinite(value):
                lines = figures.setdefault(name, {})
                lines.setdefault(f"{run['model']} on {run['host']}", []).append((run["time"], value))
    for name, lines in figures.items():
        measure = MEASURES.get(name)
        yield _plot(f"{name}: {measure.what}" if measure else name.replace("_", " "), lines)
    worse = [
        [page.escape(run["time"].isoformat()), page.escape(run["model"]), page.escape(run["version"]),
         "<br>".join(page.escape(alarm) for alarm in run["alarms"])]
        for run in runs if run["alarms"]
    ]  # fmt: skip
    yield f"<p>{len(runs)} runs, {len(worse)} of them worse than their baseline.</p>"
    if worse:
        yield page.table(["time", "model", "version", "what was worse"], worse)


def document(benchmarks: Path | None, histories: Sequence[Path]) -> str:
    """The report on a folder with `goals.toml` and `results`, and on histories of the daily regression.

    ConfigError: a file cannot be read; MissingPackage: there is no matplotlib.
    """
    now = datetime.now(UTC)
    body = [f'<p class="quiet">Version {VERSION}, {now:%Y-%m-%d %H:%M} UTC.</p>']
    if benchmarks is not None:
        path = benchmarks / "goals.toml"
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
            goals = [Goal(**entry) for entry in content.get("goal", [])]
            entries = content.get("history", [])
            body += ["<h2>Goals</h2>", _goals(goals, benchmarks / "results")]
            body += ["<h2>Over time</h2>", *_histories(entries, benchmarks / "results")]
        except OSError as error:
            raise ConfigError(
                f"benchmarks: {path} cannot be read: {error.strerror}", status="ENOTFOUND", field="benchmarks"
            ) from None
        except (tomllib.TOMLDecodeError, TypeError, KeyError, ValueError) as error:
            raise ConfigError(f"benchmarks: {path}: {error}", status="EFORMAT", field="benchmarks") from None
    for path in histories:
        body += [f"<h2>Daily regression: {page.escape(path.name)}</h2>", *_runs(daily(path))]
    return page.document("iShowTTS: what was measured", "".join(body))


def parser(prog: str) -> Parser:
    """The argument parser of the command."""
    p = Parser(
        prog=prog, description="Write goals beside what was reached, and the history of the figures, as one HTML file."
    )
    p.add_argument(
        "--benchmarks", metavar="FOLDER", type=Path,
        help="with goals.toml and results (default: benchmarks of the checkout, where this is one)",
    )  # fmt: skip
    p.add_argument(
        "--history", metavar="FILE", type=Path, action="append", default=[],
        help="of ishowtts daily regression --history; may be repeated",
    )  # fmt: skip
    p.add_argument("-o", "--out", metavar="FILE", default="report.html", help="page to write (default: %(default)s)")
    return p


def main(arguments: Sequence[str], prog: str = "ishowtts report") -> int:
    """Run the command; the exit status. ConfigError: there is nothing to report on."""
    options = parser(prog).parse_args(arguments)
    benchmarks = options.benchmarks or (_BENCHMARKS if _BENCHMARKS.is_dir() else None)
    if benchmarks is None and not options.history:
        raise ConfigError("there are no benchmarks here: name a folder or a history", field="benchmarks")
    out = Path(options.out)
    if not out.absolute().parent.is_dir():
        raise ConfigError(f"there is no folder {out.absolute().parent} to write to", field="output")
    out.write_text(document(benchmarks, options.history), encoding="utf-8")
    print(out)
    return 0
