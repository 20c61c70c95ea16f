"""How much a clone of the package's model resembles a person whom nobody trained on, and how well it is understood.

    git clone https://github.com/resemble-ai/Resemblyzer PEOPLE      # has LibriSpeech clips of 251 people (CC BY 4.0)
    python benchmarks/clones.py PEOPLE/audio_data/librispeech_train-clean-100    # writes benchmarks/results/clones.csv

Of each person's clip the first seconds are the prompt; the engine then reads a line of texts/chat_en.txt in that voice.
Resemblyzer compares the speech with the prompt and with the rest of the person's clip, which the model has not heard.
`nearest` is the share of clones whose own prompt is nearer than those of all the other people. Rows: the clones, the
people themselves (the rest of the clip instead of the clone), and the default voice, which knows nobody. Whisper
counts the errors, DistillMOS predicts naturalness. Intervals are 95 %, from 2,000 bootstrap samples of the people.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile
from common import write_csv
from numpy.typing import NDArray
from voice import Row, Wave, lines, put

from ishowtts import Engine
from ishowtts.quality import mos, similarity
from ishowtts.quality.clips import Clip, at_rate
from ishowtts.quality.intelligibility import rates
from ishowtts.train.listen import Listener, interval

RATE = 24000
PROMPT, LONG_ENOUGH = 7.0, 11.0  # seconds


def people(folder: Path, count: int) -> list[Wave]:
    """The clips of `count` people, evenly spread over the files that are long enough."""
    files = [file for file in sorted(folder.glob("*.flac")) if soundfile.info(file).duration >= LONG_ENOUGH]
    if len(files) < count:
        raise SystemExit(f"{folder} has {len(files)} clips of {LONG_ENOUGH:g} s or more, {count} are wanted")
    clips = []
    for at in range(count):
        wave, rate = soundfile.read(files[at * len(files) // count], dtype="float32")
        clips.append(at_rate(wave, rate, RATE))
    return clips


def embedded(waves: list[Wave]) -> NDArray[np.float64]:
    """Embeddings [clips, 256] of Resemblyzer, each of length 1."""
    embed = similarity.embedder()
    return np.stack([embed(Clip("", wave, RATE)) for wave in waves]).astype(np.float64)


def judge(
    name: str, waves: list[Wave], prompts: NDArray[np.float64], rest: NDArray[np.float64], texts: list[str] | None
) -> Row:
    """A row: `waves` beside the embeddings of each person's prompt and of the rest; texts: what the waves say."""
    row: Row = {"speech": name, "people": len(waves)}
    own = embedded(waves)
    to_prompts = own @ prompts.T
    put(row, "similarity", interval(np.diag(to_prompts)))
    if own is not rest:
        put(row, "similarity_rest", interval((own * rest).sum(axis=1)))
    put(row, "nearest", interval((to_prompts.argmax(axis=1) == np.arange(len(waves))).astype(np.float64)))
    if texts is not None:
        for key, value in rates(Listener("en", texts).errors(texts, waves, RATE)).items():
            put(row, key, value)
    put(row, "mos", interval(np.array([mos.opinion(wave, RATE) for wave in waves])))
    return row


def main() -> None:
    """Clone everybody, judge, write benchmarks/results/clones.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--clips", type=Path, help="a folder for prompts and clones")
    args = parser.parse_args()
    clips = people(args.folder, args.people)
    cut = round(PROMPT * RATE)
    first, rest = [clip[:cut] for clip in clips], [clip[cut:] for clip in clips]
    given = lines("en")
    texts = [given[k % len(given)] for k in range(len(clips))]
    clones, named = [], []
    with Engine.load(args.model, precision="bf16", threads=args.threads, compile="off") as engine:
        for k, (text, prompt) in enumerate(zip(texts, first, strict=True)):
            engine.add_voice("person", prompt, "", "en", sample_rate=RATE)
            clones.append(np.concatenate(list(engine.stream(text, "person", seed=k))))
            named.append(np.concatenate(list(engine.stream(text, engine.voices[0]["id"], seed=k))))
    if args.clips:
        args.clips.mkdir(parents=True, exist_ok=True)
        for k, (prompt, clone) in enumerate(zip(first, clones, strict=True)):
            soundfile.write(args.clips / f"{k:02d}-prompt.flac", prompt, RATE)
            soundfile.write(args.clips / f"{k:02d}-clone.flac", clone, RATE)
    known, unheard = embedded(first), embedded(rest)
    rows = [
        judge("clone", clones, known, unheard, texts),
        judge("the people", rest, known, unheard, None),
        judge("default voice", named, known, unheard, texts),
    ]
    for row in rows:
        print(row)
    write_csv("clones", rows)


if __name__ == "__main__":
    main()
