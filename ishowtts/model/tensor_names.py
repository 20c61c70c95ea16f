"""Names of tensors in weight files: what training scripts put around and before them, and what is no weight.

csrc/model/safetensors.c knows the same names that are no weights.
"""

from __future__ import annotations

WRAPPERS = ("ema_model_state_dict", "model_state_dict", "state_dict")
"""Keys under which training scripts store the table of tensors; the first one that a file has is used."""
PREFIXES = ("_orig_mod.", "module.", "ema_model.", "model.", "transformer.")
"""What training, `torch.compile` and data-parallel training write before a tensor's name, in any order."""
IGNORED = ("initted", "step", "update")
"""Counters of the moving average that `ema_pytorch` stores beside the weights."""
IGNORED_PREFIXES = ("mel_spec.", "feature_extractor.", "head.istft.")
"""Constant tables of the log-mel and the inverse STFT, which our code computes itself."""
RECOMPUTED = "rotary_embed.inv_freq"
"""Frequencies of the rotary embedding: a buffer that the network computes from its width."""


def plain_name(key: str) -> str:
    """A tensor's name in our networks: `key` without `PREFIXES`."""
    key = key.replace("._orig_mod.", ".")
    while prefix := next((prefix for prefix in PREFIXES if key.startswith(prefix)), ""):
        key = key.removeprefix(prefix)
    return key


def is_bookkeeping(name: str) -> bool:
    """Whether a plain name belongs to a counter or to a table that the network computes itself, and not to a weight."""
    return name in IGNORED or name == RECOMPUTED or name.startswith(IGNORED_PREFIXES)
