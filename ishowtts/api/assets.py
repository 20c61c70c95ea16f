"""The files of the web pages, read at start into a table by path, so that no request reaches the file system."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from .faults import Fault

WEB = Path(__file__).parent.parent / "web"
_TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml", ".png": "image/png", ".json": "application/json", ".woff2": "font/woff2",
}  # fmt: skip
_FIELDS = {
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": "default-src 'self'; media-src 'self' blob:; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
}


@dataclass(frozen=True)
class Asset:
    """A file: its media type, its ETag with quotes, its bytes."""

    kind: str
    etag: str
    content: bytes


def load(folder: Path = WEB) -> dict[str, Asset]:
    """The files of a folder by URL path: NAME.html is /NAME, index.html is /, others are /web/NAME."""
    found = {}
    for file in sorted(folder.iterdir()):
        kind = _TYPES.get(file.suffix)
        if kind is None or not file.is_file() or file.name.startswith("."):
            continue
        content = file.read_bytes()
        path = f"/web/{file.name}"
        if file.suffix == ".html":
            path = "/" if file.stem == "index" else f"/{file.stem}"
        elif file.name == "openapi.json":
            path = "/openapi.json"
        found[path] = Asset(kind, f'"{hashlib.blake2b(content, digest_size=8).hexdigest()}"', content)
    if "/web/icon.svg" in found:
        found["/favicon.ico"] = found["/web/icon.svg"]
    return found


def answer(request: Request, found: dict[str, Asset]) -> Response:
    """The file at the request's path, or 304 where the client has it already; Fault 404: there is none."""
    asset = found.get(request.url.path)
    if asset is None:
        raise Fault(404, "not_found", "There is no such page or file.")
    fields = _FIELDS | {"ETag": asset.etag}
    known = request.headers.get("if-none-match", "")
    if asset.etag in known or known == "*":
        return Response(status_code=304, headers=fields)
    return Response(asset.content, headers=fields | {"Content-Type": asset.kind})
