"""Pictures of docs/reference/performance.md and docs/reference/scale.md, made from the CSV files in benchmarks/results.

python benchmarks/plots.py [--machine PART]     # rows whose machine contains PART; default: of this machine
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib
from common import RESULTS, processor

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FIGURES = Path(__file__).parent.parent / "docs" / "figures"
Rows = list[dict[str, str]]


def rows_of(name: str, machine: str) -> Rows:
    """Rows of a CSV that were measured on a machine."""
    path = RESULTS / f"{name}.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if machine in row["machine"]]


def save(figure: Any, name: str) -> None:
    """Write docs/figures/NAME.svg, the same bytes for the same figures."""
    FIGURES.mkdir(exist_ok=True)
    figure.tight_layout()
    figure.savefig(FIGURES / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)
    print(FIGURES / f"{name}.svg")


def speech(machine: str) -> None:
    """Real-time factor of every text and backend."""
    rows = rows_of("speech", machine)
    if not rows:
        return
    texts = list(dict.fromkeys(row["text"] for row in rows))
    variants = list(dict.fromkeys((row["backend"], row["precision"]) for row in rows))
    figure, axes = plt.subplots(figsize=(7, 3.2))
    width = 0.8 / len(variants)
    for i, (backend, precision) in enumerate(variants):
        mine = [
            [float(r["rtf"]) for r in rows if (r["text"], r["backend"], r["precision"]) == (t, backend, precision)]
            for t in texts
        ]
        places = [k + (i - (len(variants) - 1) / 2) * width for k in range(len(texts))]
        axes.bar(places, [median(values) for values in mine], width, label=f"{backend} {precision}")
    axes.set_xticks(range(len(texts)), texts)
    axes.set_ylabel("real-time factor")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, "speech")


def peers(machine: str) -> None:
    """How many times as fast as the official package in fp32, by model."""
    found = {path.stem: rows_of(path.stem, machine) for path in sorted(RESULTS.glob("peers-*.csv"))}
    models = {name.removeprefix("peers-"): rows for name, rows in found.items() if rows}
    if not models:
        return
    figure, panels = plt.subplots(1, 2 * len(models), figsize=(5 * len(models) + 1, 3.2), squeeze=False)
    for i, (model, rows) in enumerate(models.items()):
        for k, work in enumerate(("step", "vocoder")):
            mine = [row for row in rows if row["work"] == work]
            names = list(dict.fromkeys(row["variant"] for row in mine))
            ratios = [
                median(float(r["ratio_to_official_fp32"]) for r in mine if r["variant"] == name) for name in names
            ]
            axes = panels[0][2 * i + k]
            axes.barh(
                names, ratios, color=["tab:orange" if name.startswith("native") else "tab:gray" for name in names]
            )
            axes.invert_yaxis()
            axes.axvline(1, color="black", linewidth=0.7)
            axes.set_title(f"{model}, {work}", fontsize=9)
            axes.tick_params(labelsize=7)
            axes.spines[["top", "right"]].set_visible(False)
    save(figure, "peers")


def f5(machine: str) -> None:
    """Processor seconds of the whole path for a second of audio, by program."""
    rows = rows_of("f5", machine)
    if not rows:
        return
    names = list(dict.fromkeys(row["program"] for row in rows))
    costs = [median(float(row["cpu_per_audio_second"]) for row in rows if row["program"] == name) for name in names]
    figure, axes = plt.subplots(figsize=(6, 0.4 * len(names) + 1))
    colours = ["tab:orange" if name.startswith("ishowtts") else "tab:gray" for name in names]
    axes.bar_label(axes.barh(names, costs, color=colours), fmt="%.2f", fontsize=7)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("processor seconds for a second of audio")
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, "f5")


def scale(machine: str) -> None:
    """Cost by length, by utterances in flight and by threads; memory by utterances in flight."""
    rows = rows_of("scale", machine)
    if not rows:
        return
    figure, panels = plt.subplots(1, 4, figsize=(11, 2.8))

    def line(axes: Any, what: str, column: str, along: str, label: str = "") -> None:
        mine = [row for row in rows if row["what"] == what]
        axes.plot(
            [float(row[along]) for row in mine],
            [float(row[column]) for row in mine],
            marker="o",
            markersize=3,
            label=label,
        )
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylim(bottom=0)

    line(panels[0], "length", "rtf", "audio_s")
    panels[0].set(xscale="log", xlabel="seconds of audio", ylabel="real-time factor")
    line(panels[1], "rows", "rtf", "value", "real-time factor of all")
    panels[1].set(xscale="log", xlabel="utterances at once", ylabel="real-time factor")
    line(panels[2], "rows", "first_audio_s", "value", "median")
    line(panels[2], "rows", "worst_first_audio_s", "value", "worst")
    panels[2].set(xscale="log", xlabel="utterances at once", ylabel="first audio, s")
    panels[2].legend(frameon=False)
    line(panels[3], "rows", "resident_mb", "value")
    panels[3].set(xscale="log", xlabel="utterances at once", ylabel="MB resident")
    save(figure, "scale")


def cluster_scale(machine: str) -> None:
    """Simulated: seconds to a clip by load and workers; of a thousand channels, by workers."""
    rows = rows_of("cluster_scale", machine)
    if not rows:
        return
    figure, panels = plt.subplots(1, 3, figsize=(10, 2.8))
    loads = [row for row in rows if row["what"] == "load"]
    for n in dict.fromkeys(row["workers"] for row in loads):
        mine = [row for row in loads if row["workers"] == n]
        shares = [100 * float(row["case"]) for row in mine]
        for axes, column in ((panels[0], "p50_ms"), (panels[1], "p99_ms")):
            axes.plot(shares, [float(row[column]) for row in mine], marker="o", markersize=3, label=f"{n} workers")
    panels[0].set(yscale="log", xlabel="load, %", ylabel="median, ms")
    panels[1].set(yscale="log", xlabel="load, %", ylabel="99th percentile, ms")
    panels[0].legend(frameon=False, fontsize=6)
    mine = [row for row in rows if row["what"] == "channels" and row["case"] == "thousand channels"]
    workers = [float(row["workers"]) for row in mine]
    panels[2].plot(workers, [100 * float(row["read"]) for row in mine], marker="o", markersize=3, label="read")
    busy = [100 * min(float(row["busy"]), 1) for row in mine]
    panels[2].plot(workers, busy, marker="o", markersize=3, label="workers busy")
    panels[2].set(xscale="log", xlabel="workers for a thousand channels", ylabel="%")
    panels[2].legend(frameon=False)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, "cluster-scale")


def main() -> None:
    """Draw what there are figures for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", default=processor())
    args = parser.parse_args()
    plt.rcParams.update({"svg.hashsalt": "ishowtts", "font.size": 8})
    for draw in (speech, peers, f5, scale, cluster_scale):
        draw(args.machine)


if __name__ == "__main__":
    main()
