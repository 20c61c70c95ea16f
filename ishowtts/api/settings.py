"""Endpoints that show the settings in force and put changed ones into force while the server runs.

Which settings can change without a restart is decided by the C core (csrc/service/config_diff.h), for both servers.
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
from .state import InForce, State

logger = logging.getLogger("ishowtts")


class Reloader:
    """Puts another configuration into force while a server runs.

    `read`: reads the configuration again; `applied`: called with the configuration that is in force from then on.
    """

    def __init__(self, state: State, read: Callable[[], Config], applied: Callable[[Config], None]) -> None:
        self._state = state
        self._read = read
        self._applied = applied
        self._lock = asyncio.Lock()

    async def reload(self) -> dict[str, list[str]]:
        """Put what may change while the server runs into force, all of it or nothing.

        The answer of `POST /api/config/reload`: names of the settings that changed, and of those that need a restart.
        IshowError: the configuration or a voice is at fault, and nothing was changed.
        """
        async with self._lock:
            state = self._state
            config = await asyncio.to_thread(self._read)
            wanted = await asyncio.to_thread(config.to_json)
            found = json.loads(_service.compare(state.settings.text, wanted, state.loopback))
            merged = _merged(state.config, config, found["changed"], found["model"])
            now = json.dumps(found["now"], ensure_ascii=False)
            voices = await asyncio.to_thread(self._exchange, merged, now, bool(found["model"]))
            state.config = merged
            lexicon.use(merged.pronunciations())
            state.access = Access(merged.server, state.loopback, found["now"]["server"]["api_key"])
            state.default_voice = found["now"]["default_voice"]
            state.settings = InForce(now, config.sources, found["restart_needed"])
            self._applied(merged)
            return {"changed": found["changed"] + voices, "restart_needed": found["restart_needed"]}

    def _exchange(self, merged: Config, now: str, other_model: bool) -> list[str]:
        """Give engine, voices and chat the new settings; names of changed voices. IshowError: nothing was changed."""
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
        """`reload`, with its outcome in the log; `why`: what asked for it, the beginning of the line."""
        try:
            logger.info("%s: %s", why, dumps(await self.reload()))
        except IshowError as error:
            logger.error("%s, but nothing was changed: %s", why, error)


def _merged(old: Config, new: Config, changed: list[str], other_model: bool) -> Config:
    """`old` with those settings of `new` whose names are in `changed`, and its voices unless the model differs."""
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
    return Response(dumps(state.shown_settings()), media_type="application/json")


async def reload(state: Shared, body: Annotated[bytes, Depends(optional_json_body)]) -> Response:
    """Reads the settings again; faulty ones change nothing. A request body is ignored."""
    try:
        return Response(dumps(await state.reload()), media_type="application/json")
    except IshowError as error:
        logger.error("nothing was changed: %s", error)
        fault = Fault.from_error(error)
        if fault.status == 500:  # a defect of the server's, not of the file
            raise fault from None
        raise Fault(409, "invalid_config", str(error), fault.field) from None


ENDPOINTS: Endpoints = {"config": config, "config_reload": reload}
