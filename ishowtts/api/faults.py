"""What an error answer says: `{"error": {"code", "message", "field"?}}`."""

from __future__ import annotations

from fastapi.responses import JSONResponse

from .._audio import AudioError
from ..errors import IshowError

RETRY_AFTER = 2
"""Seconds, where nothing better is known."""
_STATUS = {
    "EINVAL": (400, "invalid_request"), "ELIMIT": (400, "invalid_request"), "EFORMAT": (400, "invalid_request"),
    "ENOTFOUND": (404, "not_found"), "EBUSY": (429, "busy"), "ECANCELLED": (409, "cancelled"),
    "ETIMEOUT": (504, "deadline"), "EMODEL": (502, "model_failed"), "EPYTHON": (502, "model_failed"),
    "ESTATE": (503, "unavailable"),
}  # fmt: skip
_FIELDS = {  # the engine speaks of its own request; clients know the fields by other names
    "nfe": "nfe_step", "cfg": "cfg_strength", "sway": "sway_sampling_coef", "cross_fade": "cross_fade_duration",
    "voice": "voice_id",
}  # fmt: skip
_CLOSING = {408, 414, 431}
"""Where one request ends and the next begins is not certain after these."""


class Fault(Exception):
    """An answer that is an error: HTTP status, code, one sentence, and the field at fault or ""."""

    def __init__(self, status: int, code: str, message: str, field: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field
        self.headers = dict(headers or {})
        if status in (429, 503):
            self.headers.setdefault("Retry-After", str(RETRY_AFTER))
        if status == 426:
            self.headers |= {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        if status == 401:
            self.headers["WWW-Authenticate"] = "Bearer"
        if status in _CLOSING or code == "ambiguous_length":
            self.headers["Connection"] = "close"

    @classmethod
    def from_error(cls, error: IshowError | AudioError) -> Fault:
        """The answer to a failed call of the core."""
        status, code = _STATUS.get(error.status, (500, "internal"))
        field = "" if error.status == "ETIMEOUT" else _FIELDS.get(error.field, error.field)
        return cls(status, code, str(error), field)

    def body(self) -> dict[str, dict[str, str]]:
        """The JSON of the answer."""
        error = {"code": self.code, "message": str(self)}
        return {"error": error | {"field": self.field} if self.field else error}

    def response(self) -> JSONResponse:
        """The whole answer."""
        return JSONResponse(self.body(), self.status, self.headers)
