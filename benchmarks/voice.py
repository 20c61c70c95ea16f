"""How well the voices of the package read chat, beside flite, and what half precision and fewer steps change.

    python benchmarks/voice.py chat          # writes benchmarks/results/voice_chat.csv; needs the `flite` program
    python benchmarks/voice.py precision     # writes benchmarks/results/voice_precision.csv
    python benchmarks/voice.py steps         # writes benchmarks/results/voice_steps.csv

`chat`: the lines of texts/chat_en.txt, with names and numbers, read by the English voice and by flite's own voices; one
recogniser hears them all. `precision`: the lines of every voice on the same seeds in fp32 and bf16; each figure is the
difference of the two, paired by line. `steps`: the last 16 lines of every voice with several numbers of steps, in bf16,
and the differences to the largest. Intervals are 95 %, from 2,000 bootstrap samples of the lines. Nothing is timed.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from common import write_csv

from ishowtts import Engine
from ishowtts.quality import artifacts, bootstrap, mos
from ishowtts.quality.intelligibility import Counts, rates
from ishowtts.train.listen import Listener, interval

TEXTS = Path(__file__).parent / "texts"
FLITE = ("slt", "rms")
"""flite's better voices: a woman's and a man's."""

STEPS, FEW = (7, 5, 4), 16

Wave = npt.NDArray[np.float32]
Row = dict[str, object]


def lines(language: str) -> list[str]:
    """The chat lines of a language."""
    return (TEXTS / f"chat_{language}.txt").read_text(encoding="utf-8").splitlines()


def flite(voice: str, text: str) -> tuple[Wave, int]:
    """`text` by the `flite` program."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "out.wav")
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True, stdout=subprocess.DEVNULL)
        wave, rate = soundfile.read(path, dtype="float32")
        return wave, int(rate)


def put(row: Row, name: str, value: tuple[float, float, float]) -> None:
    """A figure with its interval."""
    row |= {name: round(value[0], 4), f"{name}_low": round(value[1], 4), f"{name}_high": round(value[2], 4)}


def difference(a: Counts, b: Counts, at: int) -> tuple[float, float, float]:
    """Error rate of a minus that of b, paired by line; `at`: column of the errors."""
    picks = bootstrap.resamples(len(a))

    def rate(counts: Counts) -> npt.NDArray[np.float64]:
        summed = counts[picks].sum(axis=1)
        return np.asarray(summed[:, at] / summed[:, at + 1])

    whole = [float(c[:, at].sum() / c[:, at + 1].sum()) for c in (a, b)]
    return whole[0] - whole[1], *bootstrap.bounds(rate(a) - rate(b))


def chat() -> list[Row]:
    """Rows of `voice_chat.csv`."""
    texts = lines("en")
    listener = Listener("en", texts)
    with Engine.load("demo", compile="off") as engine:
        voice = next(v["id"] for v in engine.voices if v["language"] == "en")

        def ours(k: int) -> tuple[Wave, int]:
            speech = engine.speak(texts[k], voice=voice, seed=k)
            return speech.samples, speech.sample_rate

        def theirs(name: str) -> Callable[[int], tuple[Wave, int]]:
            return lambda k: flite(name, texts[k])

        heard: dict[str, Counts] = {}
        rows: list[Row] = []
        for name, speak in [(voice, ours), *((f"flite {v}", theirs(v)) for v in FLITE)]:
            spoken = [speak(k) for k in range(len(texts))]
            rate = spoken[0][1]
            waves = [wave for wave, _ in spoken]
            heard[name] = listener.errors(texts, waves, rate)
            row: Row = {"speaker": name, "lines": len(texts)}
            for figure, value in rates(heard[name]).items():
                put(row, figure, value)
            put(row, "wer_above_ours", difference(heard[name], heard[voice], 0))
            put(row, "mos", interval(np.array([mos.opinion(wave, rate) for wave in waves])))
            row["faulty"] = sum(bool(artifacts.faults(artifacts.find(wave, rate), rate)) for wave in waves)
            rows.append(row)
            print(row)
    return rows


def precision() -> list[Row]:
    """Rows of `voice_precision.csv`."""
    rows: list[Row] = []
    made: dict[tuple[str, str], list[Wave]] = {}
    languages: dict[str, str] = {}
    for kind in ("fp32", "bf16"):
        with Engine.load("demo", precision=kind, compile="off") as engine:
            for entry in engine.voices:
                languages[entry["id"]] = entry["language"]
                made[kind, entry["id"]] = [
                    engine.speak(text, voice=entry["id"], seed=k).samples
                    for k, text in enumerate(lines(entry["language"]))
                ]
            sample_rate = engine.info["sample_rate"]
    for voice, language in languages.items():
        texts = lines(language)
        listener = Listener(language, texts)
        heard = {k: listener.errors(texts, made[k, voice], sample_rate) for k in ("fp32", "bf16")}
        opinions = {k: np.array([mos.opinion(w, sample_rate) for w in made[k, voice]]) for k in heard}
        for kind, counts in heard.items():
            row: Row = {"voice": voice, "precision": kind, "lines": len(texts)}
            for figure, value in rates(counts).items():
                put(row, figure, value)
            put(row, "wer_above_fp32", difference(counts, heard["fp32"], 0))
            put(row, "cer_above_fp32", difference(counts, heard["fp32"], 2))
            put(row, "mos", interval(opinions[kind]))
            put(row, "mos_above_fp32", interval(opinions[kind] - opinions["fp32"]))
            pairs = zip(made[kind, voice], made["fp32", voice], strict=True)
            row["longest_shift_ms"] = round(max(abs(len(a) - len(b)) for a, b in pairs) / sample_rate * 1000, 1)
            rows.append(row)
            print(row)
    return rows


def steps() -> list[Row]:
    """Rows of `voice_steps.csv`."""
    rows: list[Row] = []
    with Engine.load("demo", precision="bf16", compile="off") as engine:
        rate = engine.info["sample_rate"]
        for entry in engine.voices:
            texts = lines(entry["language"])[-FEW:]
            listener = Listener(entry["language"], texts)
            heard: dict[int, Counts] = {}
            opinions: dict[int, npt.NDArray[np.float64]] = {}
            for count in STEPS:
                waves = [
                    engine.speak(text, voice=entry["id"], seed=k, nfe=count).samples for k, text in enumerate(texts)
                ]
                heard[count] = listener.errors(texts, waves, rate)
                opinions[count] = np.array([mos.opinion(wave, rate) for wave in waves])
                row: Row = {"voice": entry["id"], "nfe": count, "lines": len(texts)}
                for figure, value in rates(heard[count]).items():
                    put(row, figure, value)
                put(row, "wer_above_most", difference(heard[count], heard[STEPS[0]], 0))
                put(row, "mos", interval(opinions[count]))
                put(row, "mos_above_most", interval(opinions[count] - opinions[STEPS[0]]))
                rows.append(row)
                print(row, flush=True)
    return rows


TABLES = {"chat": chat, "precision": precision, "steps": steps}


def main(arguments: Sequence[str] | None = None) -> None:
    """One of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=sorted(TABLES))
    table = parser.parse_args(arguments).table
    write_csv(f"voice_{table}", TABLES[table]())


if __name__ == "__main__":
    main()
