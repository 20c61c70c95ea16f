"""What an error answer says: `{"error": {"code", "message", "field"?}}`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse

from .. import _service
from .._audio import AudioError
from ..errors import IshowError

if TYPE_CHECKING:
    from .._service import Asked

_CLOSING = {408, 414, 431}
"""Where one request ends and the next begins is not certain after these."""


class Fault(Exception):
    """An answer that is an error: HTTP status, code, one sentence, and the field at fault or ""."""

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
        """The answer to a failed call of the core."""
        status, code, field = _service.fault_of(error.status, error.field)
        return cls(status, code, str(error), "" if error.status == "ETIMEOUT" else field)

    @classmethod
    def from_answer(cls, status: int, body: str) -> Fault:
        """A fault that the core has put into words."""
        error = json.loads(body)["error"]
        return cls(status, error["code"], error["message"], error.get("field", ""))

    def body(self) -> dict[str, dict[str, str]]:
        """The JSON of the answer."""
        error = {"code": self.code, "message": str(self)}
        return {"error": error | {"field": self.field} if self.field else error}

    def response(self) -> JSONResponse:
        """The whole answer."""
        return JSONResponse(self.body(), self.status, self.headers)


def given(read: Asked | tuple[int, str]) -> Asked:
    """The fields of a request that the core has read; Fault 400 or 404 says what is wrong with it."""
    if isinstance(read, tuple):
        raise Fault.from_answer(*read)
    return read
