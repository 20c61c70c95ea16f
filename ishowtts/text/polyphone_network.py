"""The network of the package g2pM (Apache-2.0), which predicts the reading of a Chinese character from its context.

It is a bidirectional LSTM of 32 units over characters and two linear layers. Weights and tables are the package's; its
own code is slower, takes one line at a time, and may predict a reading that the character does not have.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

_WINDOW, _MARGIN = 96, 16
"""Length of a window of characters, and the number of characters at each end of it that are only context."""
_WIDE = str.maketrans(",!?:;()", "，！？：；（）")


class Network:
    """The weights of g2pM; `scores` gives the logits of readings."""

    def __init__(self) -> None:
        folder = resources.files("g2pM")

        def load(name: str) -> Any:
            return pickle.loads(folder.joinpath(name + ".pkl").read_bytes())  # trusted as the package's code is

        weights = load("np_ckpt")
        self.ids: dict[str, int] = load("char2idx")
        classes: dict[str, int] = load("class2idx")
        self.classes = {reading.replace("u:", "v"): k for reading, k in classes.items()}
        dictionary: dict[str, list[str]] = load("digest_cedict")
        self.readings = {char: [r.replace("u:", "v") for r in several] for char, several in dictionary.items()}
        self._embedding: Array = weights["embedding.weight"]
        units = weights["lstm.weight_hh_l0"].shape[1]
        halved = np.full((4, units), 0.5, np.float32)  # sigmoid(x) = tanh(x/2)/2 + 1/2: one tanh for all four gates
        halved[2] = 1
        scale = halved.ravel()
        both = ("", "_reverse")
        self._into = np.stack([weights["lstm.weight_ih_l0" + d].T * scale for d in both])[:, None]
        self._bias = np.stack([(weights["lstm.bias_ih_l0" + d] + weights["lstm.bias_hh_l0" + d]) * scale for d in both])
        self._again = np.stack([weights["lstm.weight_hh_l0" + d].T * scale for d in both])
        self._head = [weights[f"logit_layer.{k}.{part}"] for k in (0, 2) for part in ("weight", "bias")]

    def _states(self, ids: npt.NDArray[np.int64]) -> Array:
        """The hidden states [B,T,2*units] of characters `ids` [B,T]."""
        x = self._embedding[np.stack([ids, ids[:, ::-1]])]  # 2, B, T, 64
        gates = (x @ self._into + self._bias[:, None, None]).transpose(2, 0, 1, 3)
        steps, units = len(gates), gates.shape[-1] // 4
        h = c = np.zeros((2, len(ids), units), np.float32)
        out = np.empty((steps, 2, len(ids), units), np.float32)
        for t in range(steps):
            a = np.tanh(gates[t] + h @ self._again)
            s = 0.5 * a + 0.5
            c = s[..., units : 2 * units] * c + s[..., :units] * a[..., 2 * units : 3 * units]
            out[t] = h = s[..., 3 * units :] * np.tanh(c)
        return np.concatenate([out[:, 0], out[::-1, 1]], axis=-1).transpose(1, 0, 2)

    def scores(self, text: str, wanted: Sequence[int]) -> Array:
        """Logits [len(wanted), classes] of the readings of the characters of `text` at the indices `wanted`."""
        unknown = self.ids["<UNK>"]
        ids = np.array([self.ids.get(char, unknown) for char in text.translate(_WIDE)], np.int64)
        size, stride = min(len(ids), _WINDOW), _WINDOW - 2 * _MARGIN
        starts = [*range(0, len(ids) - size, stride), len(ids) - size]
        windows = np.stack([ids[at : at + size] for at in starts])
        # The network's symbols for the beginning and the end of a line.
        ends = np.broadcast_to(np.array([self.ids["시"], self.ids["끝"]]), (len(starts), 2))
        states = self._states(np.concatenate([ends[:, :1], windows, ends[:, 1:]], axis=1))
        rows = [min(max(0, (at - _MARGIN) // stride), len(starts) - 1) for at in wanted]
        chosen = states[rows, [at - starts[row] + 1 for at, row in zip(wanted, rows, strict=True)]]
        w0, b0, w1, b1 = self._head
        logits: Array = np.maximum(chosen @ w0.T + b0, 0) @ w1.T + b1
        return logits
