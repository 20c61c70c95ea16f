"""The configuration in force: shown, and exchanged under requests that run.

What can be exchanged is said by the C core (csrc/service/config_diff.h), for both servers.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends
from starlette.responses import Response

from .. import _service
from ..config import Config
from ..errors import IshowError
from ..text import lexicon
from .access import Access
from .faults import Fault
from .routes import Endpoints, Shared, optional_json_body
from .speech import dumps
from .state import State

logger = logging.getLogger("ishowtts")


class Settings:
    """One server's. `read`: reads the configuration again; `applied`: told of the one that is in force from now on."""

    def __init__(self, state: State, read: Callable[[], Config], applied: Callable[[Config], None]) -> None:
        self._state = state
        self._read = read
        self._applied = applied
        self._now = state.config.to_json()
        self._sources: dict[str, str] = state.config.sources
        self._restart: list[str] = []
        self._lock = asyncio.Lock()

    @property
    def json(self) -> str:
        """What is in force, as `Config.to_json()`."""
        return self._now

    def shown(self) -> dict[str, Any]:
        """What is in force, secrets masked."""
        now = json.loads(self._now)
        return {
            "file": self._state.config.file, "settings": now["shown"], "sources": self._sources, "restart_needed": self._restart,
        }  # fmt: skip

    async def reload(self) -> dict[str, list[str]]:
        """Put what may change at once into force; all or nothing. IshowError: nothing was changed."""
        async with self._lock:
            config = await asyncio.to_thread(self._read)
            wanted = await asyncio.to_thread(config.to_json)
            found = json.loads(_service.compare(self._now, wanted, self._state.loopback))
            merged = _merged(self._state.config, config, found["changed"], found["model"])
            now = json.dumps(found["now"], ensure_ascii=False)
            voices = await asyncio.to_thread(self._exchange, merged, now, bool(found["model"]))
            self._state.config = merged
            lexicon.use(merged.pronunciations())
            self._state.access = Access(merged.server, self._state.loopback, found["now"]["server"]["api_key"])
            self._state.default_voice = found["now"]["default_voice"]
            self._now, self._sources, self._restart = now, config.sources, found["restart_needed"]
            self._applied(merged)
            return {"changed": found["changed"] + voices, "restart_needed": self._restart}

    def _exchange(self, merged: Config, now: str, other_model: bool) -> list[str]:
        """What the core has. Only voices can fail, which leave everything as it was."""
        engine = self._state.speech()
        engine.configure(**merged.engine.model_dump())
        try:
            voices = [] if other_model else self._state.voices.load(now)
        except IshowError:
            engine.configure(**self._state.config.engine.model_dump())
            raise
        self._state.chat.configure(now)
        return voices

    async def reload_because(self, why: str) -> None:
        """The same, for the log."""
        try:
            logger.info("%s: %s", why, dumps(await self.reload()))
        except IshowError as error:
            logger.error("%s, but nothing was changed: %s", why, error)


def _merged(old: Config, new: Config, changed: list[str], other_model: bool) -> Config:
    """`old` with the settings of `new` that are named."""
    update: dict[str, Any] = {}
    for section in ("server", "sampling", "engine", "openai", "chat"):
        keys = [name.partition(".")[2] for name in changed if name.startswith(section + ".")]
        values = {key: getattr(getattr(new, section), key) for key in keys}
        update[section] = getattr(old, section).model_copy(update=values)
    if "pronounce" in changed:
        update["pronounce"] = new.pronounce
    if not other_model:
        update |= {"voices": new.voices, "default_voice": new.default_voice}
    return old.model_copy(update=update)


async def config(state: Shared) -> Response:
    """The settings in force, secrets masked."""
    return Response(dumps(state.settings.shown()), media_type="application/json")


async def reload(state: Shared, body: Annotated[bytes, Depends(optional_json_body)]) -> Response:
    """Reads the settings again; faulty ones change nothing. A body says nothing."""
    try:
        return Response(dumps(await state.settings.reload()), media_type="application/json")
    except IshowError as error:
        logger.error("nothing was changed: %s", error)
        fault = Fault.from_error(error)
        if fault.status == 500:  # a defect of the server's, not of the file
            raise fault from None
        raise Fault(409, "invalid_config", str(error), fault.field) from None


ENDPOINTS: Endpoints = {"config": config, "config_reload": reload}
