"""hibari (Apache-2.0), a small network distilled from Kokoro-82M, as a fast teacher with one English speaker.

It synthesises an hour of speech in about a minute on one core, as filtered pulses and filtered noise. The pulses are
computed here, as in our training (`data.Pitch`), so that they are in phase with the speech. `pip install hibari-tts`
installs the network.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ishowtts.model.source_filter import pulses

from .data import VOICED, Pitch
from .kokoro import held, pieces
from .teach import Spoken, Wave

WINDOW, FRAME = 1200, 300
"""Samples of the window of a spectrum, and of a frame of pitch and spectrum.

A frame of the durations is twice as long.
"""
NETWORK, STYLE = "hibari.onnx", "heart"
PARTS = 5
"""Number of spectral outputs of the network; the next output is the pitch."""
DURATIONS = "/Clip_output_0"
LONGEST = 400
"""Most characters of a text."""


def folder() -> Path:
    """The folder of the installed package with the network and its alphabet."""
    return Path(str(importlib.import_module("hibari").__file__)).parent / "assets"


def weights() -> dict[str, npt.NDArray[Any]]:
    """The initialisers of the network's ONNX graph by name."""
    onnx = importlib.import_module("onnx")
    model = onnx.load(str(folder() / NETWORK))
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _session(outputs: Sequence[str]) -> Any:
    """An onnxruntime session of the network with the tensors named `outputs` as further outputs."""
    onnx, onnxruntime = importlib.import_module("onnx"), importlib.import_module("onnxruntime")
    model = onnx.load(str(folder() / NETWORK))
    for name in outputs:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@dataclass(frozen=True)
class Heard:
    """Samples [N] at 24 kHz, seconds of each symbol, pitch [T] in Hz, spectral outputs, and the further ones.

    `parts`: what `sound` takes, [bins, T] each.
    """

    samples: Wave
    seconds: list[float]
    pitch: Wave
    parts: list[Wave]
    more: list[npt.NDArray[Any]]


class Hibari:
    """hibari as a `teach.Teacher`.

    `seed`: of the noise in its speech. `outputs`: names of tensors of its graph that `hear` returns as well.
    """

    def __init__(self, seed: int = 0, outputs: Sequence[str] = ()) -> None:
        self._dsp: Any = importlib.import_module("hibari.dsp")
        self._net = _session([DURATIONS, *outputs])
        self._ids: dict[str, int] = json.loads((folder() / "vocab.json").read_text(encoding="utf-8"))
        self._seed = seed

    def styles(self, language: str) -> Sequence[str]:
        """Its only style, which speaks English."""
        return [STYLE] if language == "en" else []

    def read(self, symbols: Sequence[tuple[str, int]], language: str, style: str) -> Spoken | None:
        """Reads symbols as `teach.Teacher.read` does; ValueError for another language or style."""
        if style not in self.styles(language):
            raise ValueError(f"hibari speaks English as {STYLE!r}, not {language!r} as {style!r}")
        heard = self.hear(symbols)
        return None if heard is None else Spoken(heard.samples, heard.seconds, heard.pitch, FRAME)

    def hear(self, symbols: Sequence[tuple[str, int]]) -> Heard | None:
        """Reads symbols, each with the number of its word; None for fewer than 3 or more than LONGEST characters."""
        known = [(self._ids[character], k) for character, k in pieces(symbols) if character in self._ids]
        if not 3 <= len(known) <= LONGEST:
            return None
        ids = np.array([[0, *(token for token, _ in known), 0]], dtype=np.int64)
        given = self._net.run(None, {"ids": ids, "speed": np.ones(1, np.float32)})
        pitch, durations = given[PARTS], given[PARTS + 1]
        pitch = np.where(pitch[0] > VOICED, pitch[0], 0.0).astype(np.float32)
        parts = [part[0] for part in given[:PARTS]]
        samples = self.sound(parts, pitch, np.random.default_rng((self._seed, *ids[0])))
        seconds = held(len(symbols), [k for _, k in known], durations.ravel(), 2 * FRAME, samples.size)
        return Heard(samples, seconds, pitch, parts, given[PARTS + 2 :])

    def sound(self, parts: Sequence[Wave], pitch: Wave, rng: np.random.Generator) -> Wave:
        """Samples [T * FRAME] of the network's spectral outputs, [bins, T] each, and the pitch [T], 0 where unvoiced.

        The outputs: log-magnitude and phase (pi * tanh of it, in radians) of the pulses' filter, log-magnitude of the
        noise, log-magnitude and phase of a component that is neither.
        """
        dsp = self._dsp
        cycles, hz = Pitch(pitch, FRAME, 0).at(len(pitch) * FRAME)
        excitation = pulses(torch.from_numpy(cycles), torch.from_numpy(hz)).numpy()
        filter_, turn, noise, rest, phase = parts
        spectrum = dsp.stft(excitation, len(pitch)) * dsp.ex(filter_) * np.exp(1j * np.pi * np.tanh(turn))
        random = rng.standard_normal((*noise.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
        spectrum = spectrum + dsp.ex(noise) * random + dsp.ex(rest) * np.exp(1j * phase)
        samples: Wave = dsp.ola(spectrum.astype(np.complex64))
        return samples
