"""What a researcher gives the solver besides settings, and the way that it took.

speech = engine.speak("Hello.", times=[0, 0.05, 0.2, 1], noise=noise, trajectory=True)
speech.trajectories[0].mel
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ConfigError, IshowError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._engine import Utterance

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Trajectory:
    """One part of a text on its way from noise to speech.

    `times` [steps + 1]: from 0 to 1. `states` [steps + 1, frames, mels]: x at these times as the network has it,
    standardised log-mel; the first is the noise, and the first `ref_frames` frames are the reference's. `mel`
    [frames - ref_frames, mels]: natural log-mel of what was made, as a vocoder takes it.
    """

    times: Floats
    states: Floats
    mel: Floats
    ref_frames: int


def trajectory(utterance: Utterance, part: int) -> Trajectory:
    """The trajectory of a part of an utterance; IshowError as of `ishow_utterance_trajectory` (ishow.h)."""
    frames, ref_frames, mels, times, states, mel = utterance.trajectory(part)
    return Trajectory(
        np.frombuffer(times, np.float32),
        np.frombuffer(states, np.float32).reshape(-1, frames, mels),
        np.frombuffer(mel, np.float32).reshape(-1, mels),
        ref_frames,
    )


def trajectories(utterance: Utterance) -> tuple[Trajectory, ...]:
    """The trajectories of the parts of an utterance that are finished, in order; none where they were not asked for."""
    found: list[Trajectory] = []
    while True:
        try:
            found.append(trajectory(utterance, len(found)))
        except IshowError as error:
            if error.status not in ("ENOTFOUND", "ESTATE", "EAGAIN"):
                raise
            return tuple(found)


def _flat(name: str, value: ArrayLike, width: int | None) -> Floats:
    """A list, or [frames, width] where there is a width, in one dimension."""
    try:
        array = np.asarray(value, np.float32)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} must be numbers", status="EINVAL", field=name) from None
    if array.ndim != (1 if width is None else 2):
        what = "a list" if width is None else "of the shape [frames, mels]"
        raise ConfigError(f"{name} must be {what}, not of {array.ndim} dimensions", status="EINVAL", field=name)
    if width is not None and array.shape[1] != width:
        raise ConfigError(f"{name} must have {width} values a frame, not {array.shape[1]}", status="EINVAL", field=name)
    return np.ascontiguousarray(array).reshape(-1)


def flattened(options: Mapping[str, Any], mels: Callable[[], int]) -> dict[str, Any]:
    """Options of speech with their arrays as the core takes them; `mels`: gives the model's.

    ConfigError: an array has a wrong shape or type.
    """
    made = dict(options)
    if made.get("times") is not None:
        made["times"] = _flat("times", made["times"], None)
    if made.get("noise") is not None:
        made["noise"] = _flat("noise", made["noise"], mels())
    made["sampler"] = made.pop("times", None), made.pop("noise", None), made.pop("trajectory", False)
    return made
