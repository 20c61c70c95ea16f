"""How many Mandarin syllables are heard with the tone that they have, of our voices and of the teacher of each.

    python benchmarks/tones.py lan=zf_xiaoxiao jun=zm_yunyang --taught WORK --teacher FOLDER [--lines 60]
                               [--clips 300] [--model demo]                      # writes benchmarks/results/tones.csv

WORK is the work folder of `ishowtts train teach` with the clips of each voice's style of Kokoro, FOLDER Kokoro itself
(`scripts/teacher`). For each voice a classifier (`ishowtts.quality.tones`) learns the tones from the clips. Then the
teacher and the voice read lines of texts/chat_zh.txt, which are in no training data. The voice gets each syllable as
inline markup, so the engine's word times are those of the syllables, and nothing has to be aligned.

Columns: `teacher`, what is heard right of the teacher, is the ceiling; `ours` is the voice; `chance`: the same clips,
but the tones that count as right are shuffled. `given` and `meant`: the voice is told wrong tones at random for all
syllables that are not neutral, and the tone is heard that it was given, or the one that the word has. A voice that
follows its tone symbols has `given` near `ours`; one that guesses tones from the syllables around has `meant` there.
Intervals are 95 %, from 2,000 bootstrap samples of the lines.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from common import write_csv
from voice import Row, lines, put

from ishowtts import Engine
from ishowtts.quality.clips import Clip
from ishowtts.quality.tones import Classifier, Span, Voiced, track
from ishowtts.text import mandarin, phones
from ishowtts.text.reading import read
from ishowtts.train.align import HOP, SAMPLE_RATE
from ishowtts.train.kokoro import Kokoro
from ishowtts.train.listen import interval
from ishowtts.train.teach import read_clip

MARKS = {"pau": "，", ".": "。", "?": "？", "!": "！"}


def spans(names: Sequence[str], seconds: Sequence[float]) -> list[Span]:
    """The Mandarin syllables among phones that last `seconds` each; the r of erhua belongs to its syllable."""
    found: list[Span] = []
    at = begin = 0.0
    for name, length in zip(names, seconds, strict=True):
        end = at + length
        if name == mandarin.ERHUA and found:
            found[-1] = found[-1]._replace(end=end)
        elif name.startswith(mandarin.PREFIX):
            begin = begin or at
            if name[-1] in mandarin.TONES:
                found.append(Span(name, begin, end))
                begin = 0.0
        at = end
    return found


def taught(folder: Path, voice: str, most: int) -> list[Voiced]:
    """The teacher's clips of a voice, at most `most` of them."""
    found: list[Voiced] = []
    for path in sorted(folder.glob("zh-*.json")):
        clip = read_clip(path)
        if clip is None or clip.speaker != voice:
            continue
        samples, _ = soundfile.read(clip.path, dtype="float32")
        sound = Clip(clip.id, samples[clip.start : clip.end], SAMPLE_RATE)
        seconds = [frames * HOP / SAMPLE_RATE for frames in clip.frames]
        found.append(Voiced(track(sound), spans(clip.phones, seconds)))
        if len(found) == most:
            break
    return found


def by_teacher(net: Kokoro, style: str, text: str) -> Voiced:
    """A line as the teacher reads it."""
    symbols = phones.spoken(read(text, "zh").text, "zh")
    spoken = net.read(symbols, "zh", style)
    assert spoken is not None
    return Voiced(track(Clip(style, spoken.samples, SAMPLE_RATE)), spans([name for name, _ in symbols], spoken.seconds))


def syllables(names: Sequence[str]) -> list[str]:
    """Phones as syllables of pinyin and marks of punctuation."""
    found: list[str] = []
    initial = ""
    for name in names[1:]:
        plain = name.removeprefix(mandarin.PREFIX)
        if name in MARKS:
            found.append(MARKS[name])
        elif name == mandarin.ERHUA:
            found[-1] = f"{found[-1][:-1]}r{found[-1][-1]}"
        elif plain[-1] in mandarin.TONES:
            found.append(initial + plain.replace("iii", "i").replace("ii", "i"))
            initial = ""
        else:
            initial = plain
    return found


def with_wrong_tones(read_as: Sequence[str], draw: np.random.Generator) -> list[str]:
    """Syllables and marks, with another of the four tones for every syllable that is not neutral."""
    return [
        one[:-1] + str(draw.choice([tone for tone in "1234" if tone != one[-1]])) if one[-1] in "1234" else one
        for one in read_as
    ]


def by_voice(engine: Engine, voice: str, read_as: Sequence[str], seed: int) -> Voiced:
    """Syllables and marks as a voice reads them; each syllable is one word of the text."""
    text = "".join(one if one in MARKS.values() else f" [字]({{{one}}})" for one in read_as).strip()
    stream = engine.stream(text, voice, seed=seed, markup=True, early=False)
    pieces, words = [], []
    for piece in stream:
        pieces.append(piece)
        words += stream.words
    said = [one for one in read_as if one not in MARKS.values()]
    if len(words) != len(said):
        raise RuntimeError(f"{text!r} has {len(words)} words, not {len(said)}")
    places = [Span(one, word.start, word.end) for one, word in zip(said, words, strict=True)]
    return Voiced(track(Clip(voice, np.concatenate(pieces), stream.sample_rate)), places)


def as_written(clips: Sequence[Voiced], originals: Sequence[Voiced]) -> list[Voiced]:
    """Clips with the syllables of others in the same places."""
    return [
        clip._replace(spans=[a._replace(syllable=b.syllable) for a, b in zip(clip.spans, other.spans, strict=True)])
        for clip, other in zip(clips, originals, strict=True)
    ]


def share(classifier: Classifier, clips: Sequence[Voiced], shuffle: bool = False) -> tuple[float, float, float]:
    """The share of syllables that are heard right, with its interval; `shuffle`: right is another syllable's tone."""
    heard, tones, place = classifier.heard(clips)
    if shuffle:
        tones = np.random.default_rng(1).permutation(tones)
    right = np.bincount(place, heard == tones, len(clips)).astype(np.float64)
    return interval(right, np.bincount(place, minlength=len(clips)).astype(np.float64))


def measure(engine: Engine, net: Kokoro, voice: str, style: str, clips: Sequence[Voiced], texts: list[str]) -> Row:
    """The row of one voice; `clips`: what its classifier learns from."""
    classifier = Classifier(clips)
    draw = np.random.default_rng(1)
    read_as = [syllables([name for name, _ in phones.spoken(read(text, "zh").text, "zh")]) for text in texts]
    ours = [by_voice(engine, voice, said, k) for k, said in enumerate(read_as)]
    wrong = [by_voice(engine, voice, with_wrong_tones(said, draw), k) for k, said in enumerate(read_as)]
    row: Row = {"voice": voice, "style": style, "fitted": len(clips), "lines": len(texts)}
    row["syllables"] = len(classifier.heard(ours)[0])
    put(row, "teacher", share(classifier, [by_teacher(net, style, text) for text in texts]))
    put(row, "ours", share(classifier, ours))
    put(row, "chance", share(classifier, ours, shuffle=True))
    put(row, "given", share(classifier, wrong))
    put(row, "meant", share(classifier, as_written(wrong, ours)))
    return row


def main() -> None:
    """Measure, print and write benchmarks/results/tones.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voices", nargs="+", metavar="VOICE=STYLE", help="whom each Mandarin voice learnt from")
    parser.add_argument("--taught", type=Path, required=True, help="the work folder of `ishowtts train teach`")
    parser.add_argument("--teacher", type=Path, required=True, help="the folder of Kokoro")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--lines", type=int, default=60)
    parser.add_argument(
        "--clips", type=int, default=300, help="what each classifier learns from (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    texts = lines("zh")[: args.lines]
    net = Kokoro(args.teacher, args.threads)
    rows: list[Row] = []
    with Engine.load(args.model, threads=args.threads, compile="off") as engine:
        for pair in args.voices:
            voice, _, style = pair.partition("=")
            rows.append(measure(engine, net, voice, style, taught(args.taught / "teach", voice, args.clips), texts))
            print(rows[-1], flush=True)
    print(write_csv("tones", rows, by="voice"))


if __name__ == "__main__":
    main()
