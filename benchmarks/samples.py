"""The audio samples of the README with their spectrograms, and what a recogniser hears in them.

    python benchmarks/samples.py        # writes docs/samples/*.wav and *.png; needs matplotlib

Each sample is the first try of seed 0 with default settings: none is picked.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

from ishowtts import Engine, _audio
from ishowtts.quality import listeners

matplotlib.use("Agg")
from matplotlib import pyplot as plt

OUT = Path(__file__).parent.parent / "docs" / "samples"
TEXTS = {
    "welcome": ("hazel", "Hello, chat! Welcome back to the stream."),
    "numbers": ("owen", "Nine viewers gave 25 dollars, and the boss has 3,500 points left."),
    "story": ("arthur", "The old lighthouse stood at the end of the pier. Nobody had lit its lamp for thirty years."),
    "mandarin": ("mei", "大家好，欢迎来到直播间！今天我们一起打新的关卡。"),
    "mixed": ("jun", "今天的 boss 太难了，再来一次，gg！"),
    "german": ("kerstin", "Hallo zusammen! Um 20:15 Uhr geht es los, und Tom hat 5 Euro gespendet."),
}


def main() -> None:
    """Speak, draw, listen."""
    OUT.mkdir(exist_ok=True)
    listen = listeners.listener(listeners.default())
    with Engine.load("demo", compile="wait") as engine:
        for name, (voice, text) in TEXTS.items():
            speech = engine.speak(text, voice, seed=0)
            (OUT / f"{name}.wav").write_bytes(_audio.encode(speech.samples, speech.sample_rate))
            mel = np.asarray(_audio.mel(speech.samples))
            figure, axes = plt.subplots(figsize=(8, 2.2), layout="constrained")
            axes.imshow(mel.T, origin="lower", aspect="auto", cmap="magma", extent=(0, speech.seconds, 0, mel.shape[1]))
            axes.set(xlabel="seconds", ylabel="mel", title=text if text.isascii() else voice)  # the font is Latin
            figure.savefig(OUT / f"{name}.png", dpi=90)
            plt.close(figure)
            language = next(entry["language"] for entry in engine.voices if entry["id"] == voice)
            try:
                heard = listen(speech.samples, speech.sample_rate, language)
            except listeners.Unheard as error:
                heard = f"nothing ({error})"
            print(f"{name}: {speech.seconds:.2f} s, heard: {heard}")


if __name__ == "__main__":
    main()
