"""The voices of the package beside their peers: what is understood, how natural it sounds, how long it takes.

    python benchmarks/voices.py [--languages en zh de mixed] [--sentences 60] [--threads 2] [--aside DIR]
                                [--styles af_heart …]   # writes benchmarks/results/voices.csv

Every voice reads the lines of texts/chat_LANGUAGE.txt, which nobody trained on. The peers take turns with ours on
each line, so that what else the machine does falls on all alike; timed is the way from the text to the last sample,
and to the first one where a voice streams. Peers: `hibari-tts` in an environment of its own; Kokoro-82M (int8), which
reads our phones (`scripts/teacher` makes its folder); flite's program, whose start is in its time. Both folders are
made in `--aside` when they are missing. The listener is that of `ishowtts quality`; with PocketSphinx only English
has error rates. Intervals are 95 %, from 2,000 bootstrap samples of the lines.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from common import write_csv
from voice import Row, Wave, flite, lines, put

from ishowtts import Engine
from ishowtts.folders import cache_dir
from ishowtts.quality import artifacts, mos
from ishowtts.quality.intelligibility import rates
from ishowtts.quality.listeners import Unheard, default, identity
from ishowtts.text import phones
from ishowtts.text.reading import read
from ishowtts.train.kokoro import Kokoro
from ishowtts.train.listen import Listener, interval

ROOT = Path(__file__).parent.parent
LANGUAGES = ("en", "zh", "de", "mixed")
STYLES = ("af_heart", "am_michael", "bf_emma", "zf_xiaoxiao", "zm_yunyang")
FLITE = "slt"
HIBARI = "hibari-tts[fast]==0.2.1"
WORKER = """
import json, sys, time, numpy as np
from hibari import Hibari
tts = Hibari(threads=int(sys.argv[1]))
tts("Warm up.")
print("ready", flush=True)
for line in sys.stdin:
    text, path = json.loads(line)
    start = time.perf_counter()
    audio = tts(text, seed=0)
    took = time.perf_counter() - start
    np.save(path, audio)
    print(json.dumps([took, tts.sample_rate]), flush=True)
"""
REST = 0.2
"""Seconds before each turn: threads of onnxruntime keep a core busy for about 0.02 s of its time after a call."""
Said = tuple[Wave, int, float, float]
"""Samples, rate, seconds to the first sample and to the last."""


@dataclass
class System:
    """One voice of a table: `languages` that it reads, what it is called, and what it said."""

    name: str
    languages: tuple[str, ...]
    speak: Callable[[str, int], Said]
    megabytes: float
    said: list[Said] = field(default_factory=list)


def timed(make: Callable[[], tuple[Wave, int]]) -> Said:
    """What a voice says that gives all of it at once."""
    start = time.perf_counter()
    wave, rate = make()
    took = time.perf_counter() - start
    return wave, rate, took, took


def ours(engine: Engine, voice: str, size: float, languages: tuple[str, ...]) -> System:
    """A voice of the package, streamed as the server does."""

    def speak(text: str, seed: int) -> Said:
        start, first, pieces = time.perf_counter(), 0.0, []
        for piece in engine.stream(text, voice, seed=seed):
            first = first or time.perf_counter() - start
            pieces.append(piece)
        return np.concatenate(pieces), engine.info["sample_rate"], first, time.perf_counter() - start

    return System(voice, languages, speak, size)


def hibari(aside: Path, threads: int) -> System:
    """hibari-tts in its own environment and process; its times are taken there."""
    folder = aside / "hibari"
    if not (folder / "bin" / "hibari").is_file():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", HIBARI], check=True)
    command = [folder / "bin" / "python", "-c", WORKER, str(threads)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    requests, answers = process.stdin, process.stdout
    if answers.readline() != "ready\n":
        raise RuntimeError("hibari-tts did not start")
    path = aside / "hibari.npy"

    def speak(text: str, seed: int) -> Said:
        requests.write(json.dumps([text, str(path)]) + "\n")
        requests.flush()
        took, rate = json.loads(answers.readline())
        return np.load(path), int(rate), took, took

    return System("hibari-tts", ("en",), speak, size_of(next(folder.glob("lib/python*/site-packages/hibari"))))


def size_of(folder: Path) -> float:
    """Megabytes of the files in a folder."""
    files = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return sum(file.stat().st_size for file in files) / 1e6


def kokoro_folder(aside: Path) -> Path:
    """Kokoro's folder, made when it is missing."""
    folder = aside / "kokoro"
    if not (folder / "voices").is_dir():
        subprocess.run([ROOT / "scripts" / "teacher", folder], check=True)
    return folder


def language_of(style: str) -> str:
    """The language of a style of Kokoro."""
    return "zh" if style[0] == "z" else "en"


def kokoro(net: Kokoro, style: str, megabytes: float) -> System:
    """A style of Kokoro; Mandarin ones read lines with English words as well."""
    language = language_of(style)

    def make(text: str) -> tuple[Wave, int]:
        spoken = net.read(phones.spoken(read(text, language).text, language), language, style)
        if spoken is None:
            raise RuntimeError(f"Kokoro cannot read {text!r}")
        return spoken.samples, 24000

    languages = ("zh", "mixed") if language == "zh" else ("en",)
    return System(f"Kokoro {style}", languages, lambda text, seed: timed(lambda: make(text)), megabytes)


def judge(system: System, language: str, texts: list[str], listener: Listener | None) -> Row:
    """One row of the table."""
    row: Row = {"language": language, "voice": system.name, "lines": len(texts)}
    row["megabytes"] = round(system.megabytes, 1)
    waves, rate = [wave for wave, *_ in system.said], system.said[0][1]
    if listener is not None:
        for name, value in rates(listener.errors(texts, waves, rate)).items():
            put(row, name, value)
    if mos.available():
        put(row, "mos", interval(np.array([mos.opinion(wave, rate) for wave in waves])))
    seconds = np.array([len(wave) / rate for wave in waves])
    put(row, "rtf", interval(np.array([last for *_, last in system.said]), seconds))
    put(row, "first_audio", interval(np.array([first for _, _, first, _ in system.said])))
    row["seconds"] = round(float(seconds.sum()), 1)
    row["faulty"] = sum(bool(artifacts.faults(artifacts.find(wave, rate), rate)) for wave in waves)
    return row


def write_clips(folder: Path, system: System) -> None:
    """The clips of a voice, to be heard."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, (wave, rate, *_) in enumerate(system.said):
        soundfile.write(folder / f"{i:02d}.wav", wave, rate, subtype="PCM_16")


def measure(
    systems: list[System],
    language: str,
    texts: list[str],
    clips: Path | None,
) -> list[Row]:
    """The rows of one language."""
    systems = [system for system in systems if language in system.languages]
    for system in systems:
        system.speak(texts[0], 0)  # the first utterance of a process is no measure
        system.said = []
    for i, text in enumerate(texts):
        for system in systems:
            time.sleep(REST)
            system.said.append(system.speak(text, i))
    spoken_in = "zh" if language == "mixed" else language
    listener: Listener | None = None
    try:
        listener = Listener(spoken_in, texts)
    except Unheard as error:
        print(error, file=sys.stderr)
    rows = []
    for system in systems:
        row = judge(system, language, texts, listener)
        row["listener"] = identity(default()) if listener is not None else ""
        print(row, flush=True)
        rows.append(row)
        if clips is not None:
            write_clips(clips / language / system.name.replace(" ", "-"), system)
    return rows


def main() -> None:
    """Set up the peers, let all read, write benchmarks/results/voices.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--languages", nargs="+", choices=LANGUAGES, default=LANGUAGES)
    parser.add_argument("--sentences", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="bf16", help="of our voices (default: %(default)s)")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--aside", type=Path, default=cache_dir() / "peers", help="environments of the peers")
    parser.add_argument("--styles", nargs="*", default=STYLES, help="of Kokoro; none leaves it out")
    parser.add_argument("--clips", type=Path, help="a folder for what was said")
    args = parser.parse_args()
    args.aside.mkdir(parents=True, exist_ok=True)
    net = Kokoro(kokoro_folder(args.aside), args.threads) if args.styles else None
    with Engine.load(args.model, precision=args.precision, threads=args.threads, compile="off") as engine:
        size = size_of(model_folder(args.model))
        systems = [
            ours(engine, entry["id"], size, ("zh", "mixed") if entry["language"] == "zh" else (entry["language"],))
            for entry in engine.voices
        ]
        systems.append(hibari(args.aside, args.threads))
        if net is not None:
            weights = (args.aside / "kokoro" / "kokoro.onnx").stat().st_size / 1e6
            systems += [kokoro(net, style, weights) for style in args.styles]
        systems.append(System(f"flite {FLITE}", ("en",), lambda text, seed: timed(lambda: flite(FLITE, text)), 0.0))
        rows: list[Row] = []
        for language in args.languages:
            rows += measure(systems, language, lines(language)[: args.sentences], args.clips)
    write_csv("voices", rows, by="language")


def model_folder(name: str) -> Path:
    """The folder of a model that is in the package or on the disk."""
    own = ROOT / "ishowtts" / "voices" / name
    return own if own.is_dir() else Path(name)


if __name__ == "__main__":
    main()
