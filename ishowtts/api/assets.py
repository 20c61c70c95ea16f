"""The pages' files, read once. A request names an entry of this table or nothing: there is no path to traverse."""

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
    """One file."""

    kind: str
    etag: str
    content: bytes


def load(folder: Path = WEB) -> dict[str, Asset]:
    """All files by their path in an address. NAME.html is the page /NAME, index.html is /."""
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
    """The file at the request's address, or 304; Fault 404."""
    asset = found.get(request.url.path)
    if asset is None:
        raise Fault(404, "not_found", "There is no such page or file.")
    fields = _FIELDS | {"ETag": asset.etag}
    known = request.headers.get("if-none-match", "")
    if asset.etag in known or known == "*":
        return Response(status_code=304, headers=fields)
    return Response(asset.content, headers=fields | {"Content-Type": asset.kind})
