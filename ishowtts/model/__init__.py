"""The speech model in PyTorch: architecture, checkpoints, sampling, and the graphs that the C core runs.

Importing this package is cheap; its modules import torch only when they are themselves imported.
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
