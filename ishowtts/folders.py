"""The user's folders for state and cache."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from .errors import ConfigError


def state_dir() -> str:
    """The folder of what must survive a restart, the default of `server.state_dir`. ConfigError: HOME is not set."""
    try:
        return platformdirs.user_state_dir("ishowtts")
    except RuntimeError:
        raise ConfigError(
            "This user has no home folder: set HOME, or server.state_dir.", field="server.state_dir"
        ) from None


def cache_dir() -> Path:
    """The folder of files that can be made again: ISHOWTTS_CACHE_DIR, else in the user's cache folder.

    ConfigError: neither ISHOWTTS_CACHE_DIR nor HOME is set.
    """
    own = os.environ.get("ISHOWTTS_CACHE_DIR")
    try:
        return Path(own or platformdirs.user_cache_dir("ishowtts"))
    except RuntimeError:
        raise ConfigError("This user has no home folder: set HOME, or ISHOWTTS_CACHE_DIR.") from None
