"""Speech for the tests of quality: a recording, and nine sentences, synthesised once per session."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from sentences import RECORDING, SENTENCES

from ishowtts import Engine
from ishowtts.quality import clips
from ishowtts.quality.clips import Clip


@pytest.fixture(scope="session")
def demo() -> Iterator[Engine]:
    with Engine.load("demo", backend="eager", compile="off") as engine:
        yield engine


@pytest.fixture(scope="session")
def recording() -> Clip:
    return clips.read(RECORDING)


@pytest.fixture(scope="session")
def spoken(demo: Engine) -> list[Clip]:
    made = []
    for seed, text in enumerate(SENTENCES):
        speech = demo.speak(text, "owen", seed=seed)
        made.append(Clip(f"s{seed}", speech.samples, speech.sample_rate, text))
    return made


@pytest.fixture(scope="session")
def ten(recording: Clip, spoken: list[Clip]) -> list[Clip]:
    return [recording, *spoken]


@pytest.fixture(scope="session")
def copy_synthesis(recording: Clip) -> Clip:
    """The recording through the vocoder of the embedded voice."""
    import torch

    from ishowtts import _audio
    from ishowtts.model.checkpoint import load_model

    mel = torch.from_numpy(np.asarray(_audio.mel(recording.samples)).copy())
    with torch.inference_mode():
        wave = load_model("demo").vocos(mel.T[None])[0].numpy()
    return Clip("copy", np.ascontiguousarray(wave), recording.rate, recording.text)
