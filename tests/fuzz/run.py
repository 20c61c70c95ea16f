"""The long form of `make fuzz`: scripts/fuzz [SECONDS] [NAME...].

Runs each fuzzer of tests/fuzz for so long (an hour), or those named, and writes benchmarks/results/fuzz.csv: the inputs
that it tried, the longest time that one took, of those with a server how long its loop was busy with one, and how many
edges of the files that it is made for were covered, by libFuzzer's own counters. What is found stays in build/fuzz;
inputs that reach new code are kept in build/fuzz/corpus for the next time.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build" / "fuzz"
CORPUS = Path(__file__).parent / "corpus"
READS = {
    "audio": ("audio/decode.c",),
    "bilibili": ("platforms/bilibili.c", "platforms/bilibili_[cfg]*.c"),
    "filter": ("chat/clean.c", "chat/filter.c", "chat/banned.c", "chat/casefold.c", "chat/squeeze.c"),
    "form": ("service/multipart_form.c",),
    "irc": ("platforms/irc.c", "platforms/twitch.c", "platforms/twitch_text.c"),
    "journal": ("chat/durable.c", "chat/message.c"),
    "json": ("service/accept.c", "service/ingest.c", "service/message.c", "service/speech.c"),
    "manifest": ("model/manifest.c", "model/description.c"),
    "multipart": ("server/voices.c", "service/multipart_form.c"),
    "server": ("server/head.c", "server/http.c", "server/route.c", "server/ws.c", "server/auth.c"),
    "settings": ("service/settings.c",),
    "text": ("text/phones.c", "engine/chunk.c", "engine/characters.c"),
    "websocket": ("net/websocket.c",),
    "weights": ("model/safetensors.c",),
    "youtube": ("platforms/youtube.c", "platforms/jsonspan.c"),
}
"""The files of csrc that each fuzzer is made for."""
FUNCTION = re.compile(r"^(?:UN)?COVERED_FUNC: hits: \d+ edges: (\d+)/(\d+) \S+ \S*?/csrc/(\S+?):\d+", re.MULTILINE)


def fuzz(name: str, seconds: float) -> dict[str, object]:
    """A row of the table. SystemExit: something was found."""
    mine, program = BUILT / "corpus" / name, BUILT / "fuzz" / f"fuzz_{name}"
    mine.mkdir(parents=True, exist_ok=True)
    folders = [str(mine), str(CORPUS / name)]
    own = ["-max_len=4096", "-rss_limit_mb=4096", f"-artifact_prefix={BUILT}/"]
    timed = [f"-max_total_time={seconds:.0f}", "-print_final_stats=1"]
    ran = subprocess.run([program, *timed, *own, *folders], capture_output=True, text=True, errors="replace")
    (BUILT / f"{name}.log").write_text(ran.stderr, encoding="utf-8")
    if ran.returncode:
        raise SystemExit("\n".join(ran.stderr.splitlines()[-60:]))
    row: dict[str, object] = {"fuzzer": name, "seconds": round(seconds)}
    row["inputs"] = int(found(r"stat::number_of_executed_units: *(\d+)", ran.stderr))
    row["slowest_s"] = int(found(r"stat::slowest_unit_time_sec: *(\d+)", ran.stderr))
    for key, value in zip(("loop_most_ms", "loop_mean_ms"), loop(ran.stderr), strict=True):
        row[key] = value
    covered, edges = coverage([str(program), "-runs=0", "-print_coverage=1", *own, *folders], READS[name])
    return row | {"covered": covered, "edges": edges, "share": round(covered / edges, 3), "of": " ".join(READS[name])}


def found(pattern: str, text: str) -> str:
    """The last match in the text."""
    return re.findall(pattern, text)[-1]


def loop(text: str) -> tuple[str, str]:
    """How long the loop of a server was busy with one input, at most and in the mean, in ms; empty without a server."""
    told = re.search(r"^loop: at most ([\d.]+) ms, mean ([\d.]+) ms", text, re.MULTILINE)
    return (told[1], told[2]) if told else ("", "")


def coverage(command: list[str], files: tuple[str, ...]) -> tuple[int, int]:
    """Edges that the corpus covers, and all, of the functions in some files."""
    text = subprocess.run(command, check=True, capture_output=True, text=True, errors="replace").stderr
    edges = [(int(covered), int(of)) for covered, of, file in FUNCTION.findall(text) if matches(file, files)]
    assert edges, f"{command[0]} has no functions of {files}: is llvm-symbolizer installed?"
    return sum(covered for covered, _ in edges), sum(of for _, of in edges)


def matches(file: str, patterns: tuple[str, ...]) -> bool:
    """Whether it is one of the files."""
    return any(fnmatch(file, pattern) for pattern in patterns)


def main() -> None:
    """Build, run, print, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=float, nargs="?", default=3600, help="for each (default %(default)s)")
    parser.add_argument("names", nargs="*", choices=[*READS, []], metavar="NAME", help=", ".join(READS))
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from common import write_csv

    names = given.names or list(READS)
    programs = [f"build/fuzz/fuzz/fuzz_{name}" for name in names]
    jobs = f"-j{len(os.sched_getaffinity(0))}"
    subprocess.run(["make", "-s", jobs, f"PYTHON={sys.executable}", "VARIANT=fuzz", *programs], check=True, cwd=ROOT)
    for name in names:
        row = fuzz(name, given.seconds)
        print(row, flush=True)
        write_csv("fuzz", [row], "fuzzer")
    if not given.names:  # what Python reads
        tests = [sys.executable, "-m", "pytest", "-q", "-n0", "-o", "timeout=0", str(Path(__file__).parent)]
        subprocess.run(tests, check=True, cwd=ROOT, env=os.environ | {"FUZZ_SECONDS": str(given.seconds)})


if __name__ == "__main__":
    main()
