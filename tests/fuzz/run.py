"""The long form of `make fuzz`: scripts/fuzz [SECONDS] [NAME...] [--inputs 10000000] [--hours 1] [--jobs 1].

Runs each fuzzer of tests/fuzz, or those named, until all its runs have tried ten million inputs or used an hour of
processor time, or SECONDS are over, and writes benchmarks/results/fuzz.csv every few minutes: the inputs that it tried,
the processor time, the longest time that one took, of those with a server how long its loop was busy with one, and how
many edges of the files that it is made for were covered, by libFuzzer's own counters. What is found stays in
build/fuzz; inputs that reach new code are kept in build/fuzz/corpus for the next time.

Edges are counted in a build without sanitizers, whose checks are edges that a fuzzer without findings never covers. The
words in the C strings of these files are the fuzzer's dictionary.

The table has a row for each fuzzer, commit and machine. Runs of the same three are added up in their row, and the ten
million and the hour count all rows of a fuzzer. `scripts/fuzz --table` prints the sums.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from fnmatch import fnmatch
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from long_run import command_line, commit_of, record, recorded
from serving import ROOT

Row = Mapping[str, object]

BUILT = ROOT / "build" / "fuzz"
COVERED = ROOT / "build" / "cover"
"""Built without sanitizers, to count edges."""
RUN_SECONDS = 300
"""Of one run, after which the table is written."""
CORPUS = Path(__file__).parent / "corpus"
READS = {
    "audio": ("audio/decode.c",),
    "bilibili": ("platforms/bilibili.c", "platforms/bilibili_[cfg]*.c"),
    "eventsub": ("platforms/twitch_event.c", "platforms/twitch_text.c"),
    "filter": ("chat/clean.c", "chat/filter.c", "chat/banned.c", "chat/casefold.c", "chat/squeeze.c"),
    "form": ("service/multipart_form.c",),
    "irc": ("platforms/irc.c", "platforms/twitch.c", "platforms/twitch_text.c"),
    "journal": ("chat/message.c", "chat/sentence.c"),
    "json": ("service/accept.c", "service/ingest.c", "service/message.c", "service/speech.c"),
    "manifest": ("model/manifest.c", "model/description.c"),
    "multipart": ("server/voices.c", "service/multipart_form.c"),
    "phones": ("text/phones.c",),
    "pieces": ("engine/chunk.c", "engine/characters.c"),
    "server": ("server/head.c", "server/http.c", "server/route.c", "server/ws.c", "server/auth.c"),
    "settings": ("service/settings.c",),
    "websocket": ("net/websocket.c",),
    "weights": ("model/safetensors.c",),
    "wire": ("cluster/wire.c",),
    "youtube": ("platforms/youtube.c", "platforms/jsonspan.c"),
}
"""The files of csrc that each fuzzer is made for."""
STRING = re.compile(r'"([^"\\\n%]{2,40})"')
"""A string of C without escapes."""
FUNCTION = re.compile(r"^(?:UN)?COVERED_FUNC: hits: \d+ edges: (\d+)/(\d+) \S+ \S*?/csrc/(\S+?):\d+", re.MULTILINE)


table_lock = threading.Lock()


class Finding(Exception):
    """What a fuzzer said of an input that breaks a promise."""


def fuzz(name: str, seconds: float, most: int) -> dict[str, object]:
    """A row of the table, of one run of at most so many seconds and inputs."""
    words = BUILT / f"{name}.dict"
    words.write_text("".join(f"{word}\n" for word in dictionary(READS[name])), encoding="ascii")
    mine, program = BUILT / "corpus" / name, BUILT / "fuzz" / f"fuzz_{name}"
    mine.mkdir(parents=True, exist_ok=True)
    folders = [str(mine), str(CORPUS / name)]
    own = ["-rss_limit_mb=4096", f"-artifact_prefix={BUILT}/", f"-dict={words}"]
    bounds = [f"-max_total_time={seconds:.0f}", f"-runs={most}", "-print_final_stats=1"]
    log, began = BUILT / f"{name}.log", time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen([program, *bounds, *own, *folders], stdout=subprocess.DEVNULL, stderr=out)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    text = log.read_text(encoding="utf-8", errors="replace")
    if process.returncode:
        raise Finding("\n".join(text.splitlines()[-60:]))
    inputs, took = int(found(r"stat::number_of_executed_units: *(\d+)", text)), used.ru_utime + used.ru_stime
    row: dict[str, object] = {"fuzzer": name, "runs": 1, "seconds": round(time.monotonic() - began), "inputs": inputs}
    row |= {"processor_s": round(took, 1), "slowest_s": int(found(r"stat::slowest_unit_time_sec: *(\d+)", text))}
    row |= loop(text)
    counted = COVERED / "fuzz" / f"fuzz_{name}"
    covered, edges = coverage([str(counted), "-runs=0", "-print_coverage=1", *folders], READS[name])
    return row | {"covered": covered, "edges": edges, "of": " ".join(READS[name])}


def dictionary(files: tuple[str, ...]) -> list[str]:
    """The words in the strings of some files, as libFuzzer reads them."""
    paths = {path for pattern in files for path in (ROOT / "csrc").glob(pattern)}
    strings = {text for path in paths for text in STRING.findall(path.read_text(encoding="utf-8"))}
    words = {word for text in strings if " " not in text for word in (text, f'"{text}"')}
    return sorted('"' + "".join(escaped(byte) for byte in word.encode()) + '"' for word in words)


def escaped(byte: int) -> str:
    """A byte of a word of a dictionary."""
    return chr(byte) if 32 < byte < 127 and chr(byte) not in '"\\' else f"\\x{byte:02X}"


def found(pattern: str, text: str) -> str:
    """The last match in the text."""
    return re.findall(pattern, text)[-1]


def loop(text: str) -> Row:
    """How long the loop of a server was busy with one input, at most and in all, in ms; empty without a server."""
    told = re.search(r"^loop: at most ([\d.]+) ms, all ([\d.]+) ms", text, re.MULTILINE)
    return {"loop_most_ms": told[1], "loop_ms": told[2]} if told else {"loop_most_ms": "", "loop_ms": ""}


COMBINED = {
    **dict.fromkeys(("runs", "seconds", "inputs", "processor_s", "loop_ms"), sum),
    **dict.fromkeys(("slowest_s", "loop_most_ms"), max),
}
"""How the columns of several runs become one; of the others the last run's value stays."""


def add(rows: Iterable[Row]) -> dict[str, str]:
    """Several rows of one fuzzer as one."""
    one: dict[str, str] = {}
    for row in rows:
        for key, value in row.items():
            both = [float(each) for each in (one.get(key, ""), str(value)) if key in COMBINED and each]
            one[key] = f"{COMBINED[key](both):.12g}" if both else str(value)
    return one


def save(row: Row, commit: str) -> None:
    """Add a run to the row of its fuzzer, commit and machine."""
    run = f"{row['fuzzer']} {commit}"
    record("fuzz", [add([*recorded("fuzz", here=True, run=run), {"run": run, **row}])], "run")


def tried(name: str) -> tuple[int, float]:
    """The inputs that all runs of a fuzzer tried, and the hours of processor time that they took."""
    rows = recorded("fuzz", fuzzer=name)
    return sum(int(row["inputs"]) for row in rows), sum(float(row["processor_s"]) for row in rows) / 3600


def fuzz_until(end: float, name: str, commit: str, inputs: int, hours: float) -> None:
    """Run a fuzzer until all its runs have done enough, or the time is over."""
    while (seconds := min(RUN_SECONDS, end - time.monotonic())) > 0:
        with table_lock:
            done, used = tried(name)
        if done >= inputs or used >= hours:
            return
        row = fuzz(name, max(1, seconds), inputs - done)
        with table_lock:
            save(row, commit)


def table() -> str:
    """The sums of all runs, as a table in Markdown; the coverage is that of the last run."""
    columns = ("fuzzer", "inputs", "hours of processor time", "inputs a second of it", "edges covered")
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for name in READS:
        if one := add(reversed(recorded("fuzz", fuzzer=name))):  # the newest is the first
            inputs, took, covered, edges = (float(one[key]) for key in ("inputs", "processor_s", "covered", "edges"))
            rate, share = f"{inputs / took:,.0f}", f"{100 * covered / edges:.0f} % of {edges:,.0f}"
            lines.append(f"| {name} | {inputs:,.0f} | {took / 3600:.2f} | {rate} | {share} |")
    return "\n".join(lines)


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
    parser = command_line(__doc__)
    parser.add_argument("seconds", type=float, nargs="?", default=7200, help="for each at most (default %(default)s)")
    parser.add_argument("names", nargs="*", choices=[*READS, []], metavar="NAME", help=", ".join(READS))
    parser.add_argument("--inputs", type=int, default=10_000_000, help="of each are enough (default %(default)s)")
    parser.add_argument("--hours", type=float, default=1, help="of processor time are enough (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="fuzzers at a time (default %(default)s)")
    parser.add_argument("--table", action="store_true", help="print the sums of all runs, and run nothing")
    given = parser.parse_intermixed_args()
    if given.table:
        print(table())
        return
    names = given.names or list(READS)
    for variant in BUILT.name, COVERED.name:
        programs = [f"build/{variant}/fuzz/fuzz_{name}" for name in names]
        jobs = f"-j{len(os.sched_getaffinity(0))}"
        make = ["make", "-s", jobs, f"PYTHON={sys.executable}", f"VARIANT={variant}", *programs]
        subprocess.run(make, check=True, cwd=ROOT)
    at = commit_of("csrc", "tests/fuzz")
    findings = 0

    def one(name: str) -> None:
        fuzz_until(time.monotonic() + given.seconds, name, at, given.inputs, given.hours)

    with ThreadPoolExecutor(given.jobs) as pool:
        for done in as_completed([pool.submit(one, name) for name in names]):
            try:
                done.result()
            except Finding as finding:
                print(finding, flush=True)
                findings += 1
    if findings:
        sys.exit(f"{findings} fuzzers found something")
    if not given.names:  # what Python reads
        tests = [sys.executable, "-m", "pytest", "-q", "-n0", "-o", "timeout=0", str(Path(__file__).parent)]
        subprocess.run(tests, check=True, cwd=ROOT, env=os.environ | {"FUZZ_SECONDS": str(given.seconds)})


if __name__ == "__main__":
    main()
