"""Error answers: `{"error": {"code", "message", "field"?}}`."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse

from .. import _service
from .._audio import AudioError
from ..errors import IshowError

if TYPE_CHECKING:
    from .._service import Asked

_CLOSING = {408, 414, 431}
"""Statuses after which the connection is closed, because it is uncertain where the next request begins."""


class Fault(Exception):
    """An error answer: HTTP status, code, message of one sentence, the field at fault or "", further headers."""

    def __init__(
        self, status: int, code: str, message: str, field: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field
        self.headers = dict(headers or {})
        if status == 426:
            self.headers |= {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        if status == 401:
            self.headers["WWW-Authenticate"] = "Bearer"
        if status in _CLOSING or code == "ambiguous_length":
            self.headers["Connection"] = "close"

    @classmethod
    def from_error(cls, error: IshowError | AudioError) -> Fault:
        """The answer to an error of the C core."""
        status, code, field = _service.fault_of(error.status, error.field)
        wait = error.retry_after if isinstance(error, IshowError) else 0
        headers = {"Retry-After": str(math.ceil(wait))} if wait > 0 else None
        return cls(status, code, str(error), "" if error.status == "ETIMEOUT" else field, headers)

    @classmethod
    def from_answer(cls, status: int, body: str) -> Fault:
        """The fault of a status and a JSON body that the C core wrote."""
        error = json.loads(body)["error"]
        return cls(status, error["code"], error["message"], error.get("field", ""))

    def body(self) -> dict[str, dict[str, str]]:
        """The body of the answer, as data for JSON."""
        error = {"code": self.code, "message": str(self)}
        return {"error": error | {"field": self.field} if self.field else error}

    def response(self) -> JSONResponse:
        """The answer with status, headers and body."""
        return JSONResponse(self.body(), self.status, self.headers)


def given(read: Asked | tuple[int, str]) -> Asked:
    """The fields of a request that the C core has read. Fault 400 or 404: `read` is the core's error answer."""
    if isinstance(read, tuple):
        raise Fault.from_answer(*read)
    return read


def no_upgrade() -> Fault:
    """The error of a request for a WebSocket's address that does not ask for one."""
    text = "This address speaks WebSocket: it needs Connection: Upgrade and Upgrade: websocket."
    return Fault(426, "upgrade_required", text, "Upgrade")
