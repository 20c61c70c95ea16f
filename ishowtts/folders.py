"""The user's folders, without importing anything heavy."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from .errors import ConfigError


def state_dir() -> str:
    """What outlives a server, unless `server.state_dir` names another folder."""
    try:
        return platformdirs.user_state_dir("ishowtts")
    except RuntimeError:
        raise ConfigError(
            "This user has no home folder: set HOME, or server.state_dir.", field="server.state_dir"
        ) from None


def cache_dir() -> Path:
    """What is made again when it is deleted: ISHOWTTS_CACHE_DIR, or the user's cache folder."""
    own = os.environ.get("ISHOWTTS_CACHE_DIR")
    try:
        return Path(own or platformdirs.user_cache_dir("ishowtts"))
    except RuntimeError:
        raise ConfigError("This user has no home folder: set HOME, or ISHOWTTS_CACHE_DIR.") from None
