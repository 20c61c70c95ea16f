"""Endpoints of own voices, which the C core stores and checks (csrc/service/voices.h)."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends, Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.responses import Response

from .._engine import DEFAULTS as D
from .._service import Form
from .faults import Fault
from .routes import Endpoints, Shared, answered, read_body


async def upload(request: Request, state: Shared) -> bytes:
    """A dependency: the bytes of a form within its limit. Fault 429: too many uploads are being received.

    Their number is limited because each is held in memory.
    """
    if state.uploads >= D["uploads_max"]:
        raise Fault(429, "busy", f"{D['uploads_max']} uploads are on their way already: try again later.")
    state.uploads += 1
    try:
        return await read_body(request, "multipart/form-data", D["upload_bytes_max"] + D["form_bytes_max"])
    finally:
        state.uploads -= 1


Upload = Annotated[bytes, Depends(upload)]


async def create(request: Request, state: Shared, body: Upload) -> Response:
    """Creates a voice from an uploaded clip; it is stored and survives restarts."""
    form = Form(True)
    await _fill(form, request, body)
    answer = await asyncio.to_thread(state.voices.create, form)
    return answered(answer, {"Location": f"/api/voices/{form.id}/reference"} if answer[0] == 201 else {})


async def remove(state: Shared, voice_id: str) -> Response:
    """Deletes a voice that was created over HTTP."""
    return answered(await asyncio.to_thread(state.voices.remove, voice_id))


async def reference(state: Shared, voice_id: str) -> Response:
    """The reference of a voice: clip and words."""
    return answered(state.voices.reference(voice_id))


async def override(request: Request, state: Shared, voice_id: str, body: Upload) -> Response:
    """Replaces the clip or the words of a voice; a refused request changes nothing."""
    form = Form(False)
    await _fill(form, request, body)
    return answered(await asyncio.to_thread(state.voices.override, voice_id, form))


async def restore(state: Shared, voice_id: str) -> Response:
    """Removes an override, so that the voice is again as it was created or configured."""
    return answered(await asyncio.to_thread(state.voices.restore, voice_id))


async def audio(request: Request, state: Shared, voice_id: str) -> Response:
    """The audio of the clip, or a range of its bytes."""
    given = request.headers
    wanted = (given.get("if-none-match"), given.get("if-range"), given.get("range"))
    status, content, fields = await asyncio.to_thread(
        state.voices.clip, voice_id, request.query_params.get("source"), *wanted
    )
    return Response(content, status, fields)


ENDPOINTS: Endpoints = {
    "voice_create": create, "voice_delete": remove, "reference": reference, "override": override,
    "restore": restore, "reference_audio": audio,
}  # fmt: skip


async def _fill(form: Form, request: Request, body: bytes) -> None:
    """Parse a multipart body into a form. Fault 400: it is malformed or has an unknown field."""
    boundary = parse_options_header(request.headers["content-type"])[1].get(b"boundary")
    if not boundary:
        text = "The Content-Type must be multipart/form-data with a boundary."
        raise Fault(400, "malformed_form", text, "Content-Type")
    whole = await asyncio.to_thread(_Parts(form, boundary).read, body)
    if (answer := form.end(whole)) is not None:
        raise Fault.from_answer(*answer)


class _Parts:
    """A parser that passes the parts of one multipart body to a form of the C core."""

    def __init__(self, form: Form, boundary: bytes) -> None:
        self._form = form
        self._whole = False
        self._fields: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._length = 0
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._fields.clear, "on_header_begin": self._header,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value, "on_header_end": self._header_end,
                "on_headers_finished": self._begin, "on_part_data": self._data, "on_part_end": self._end,
                "on_end": self._finish,
            },
        )  # fmt: skip

    def read(self, body: bytes) -> bool:
        """Parse a body; whether it was complete and well-formed."""
        try:
            self._parser.write(body)
            self._parser.finalize()
        except FormParserError:
            return False
        return self._whole

    def _header(self) -> None:
        self._name = self._value = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._fields[self._name.lower()] = self._value

    def _begin(self) -> None:
        self._length = 0

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._add(memoryview(data)[start:end])

    def _end(self) -> None:
        if not self._length:
            self._add(b"")

    def _finish(self) -> None:
        self._whole = True

    def _add(self, data: bytes | memoryview) -> None:
        kind, options = parse_options_header(self._fields.get(b"content-disposition", b""))
        name = options.get(b"name") if kind == b"form-data" else None
        encoding = self._fields.get(b"content-transfer-encoding")
        self._form.add(
            None if name is None else name.decode("utf-8", "replace").replace("\0", "?"),
            None if encoding is None else encoding.decode("latin-1").replace("\0", "?"),
            self._length,
            data,
        )
        self._length += len(data)
