"""The speech model in PyTorch: architecture, checkpoints, sampling, and the graphs that the C core runs.

Importing this package does not import torch; some of its modules do.
"""

from ishowtts.errors import ModelError

from .config import (
    MAX_FRAMES,
    PRESETS,
    DiTConfig,
    DurationConfig,
    MelConfig,
    ModelConfig,
    VocosConfig,
)

__all__ = [
    "MAX_FRAMES",
    "PRESETS",
    "DiTConfig",
    "DurationConfig",
    "MelConfig",
    "ModelConfig",
    "ModelError",
    "VocosConfig",
]
