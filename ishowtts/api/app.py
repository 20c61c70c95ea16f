"""The application: its endpoints, its error answers and `openapi.json`."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from .. import _engine
from . import assets, chat, cluster, described, lexicon, openai, routes, settings, sockets, voices
from .faults import Fault
from .guard import Guard
from .schemas import REQUESTS
from .speech import ClientGone
from .state import State

logger = logging.getLogger("ishowtts")
_PAGES = {
    "/": "page", "/overlay": "page_overlay", "/dashboard": "page_dashboard", "/voices": "page_voices",
    "/chat": "page_chat",
    "/docs": "page_docs", "/openapi.json": "openapi", "/web/{name}": "web", "/favicon.ico": "favicon",
}  # fmt: skip
_ENDPOINTS: routes.Endpoints = voices.ENDPOINTS | chat.ENDPOINTS | settings.ENDPOINTS | cluster.ENDPOINTS


def _described() -> APIRouter:
    """The endpoints of `described.TABLE`, whose requests the C core reads and checks."""
    router = APIRouter(dependencies=[Depends(routes.needs_key)])
    for method, path, name, *_ in described.TABLE:
        needs = [] if name == "config" else [Depends(routes.needs_speech)]
        needs += [Depends(chat.needs_chat)] if name in chat.ENDPOINTS else []
        router.add_api_route(
            path, _ENDPOINTS[name], methods=[method.upper()], name=name, dependencies=needs, include_in_schema=False
        )
    return router


_ROUTERS = (
    routes.open_,
    sockets.router,
    routes.guarded,
    routes.speaking,
    lexicon.router,
    openai.router,
    chat.router,
    _described(),
)


def create(state: State) -> ASGIApp:
    """The application with its guard, for an ASGI server; `state` is shared by all requests."""
    app = application()
    app.state.ishow = state
    return Guard(app, state)


def application() -> FastAPI:
    """The endpoints without guard and state."""
    app = FastAPI(
        title="iShowTTS",
        version=_engine.VERSION,
        description='Speech from text in a chosen voice. Every error is `{"error": {"code", "message", "field"?}}`.',
        license_info={"name": "MIT", "identifier": "MIT"},
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    for router in _ROUTERS:
        app.include_router(router)
    found = assets.load()

    async def page(request: Request) -> Response:
        return assets.answer(request, found)

    for path, name in _PAGES.items():
        app.add_api_route(path, page, methods=["GET"], name=name, include_in_schema=False)
    handlers: dict[Any, Callable[[Any, Any], Awaitable[Response]]] = {
        Fault: _fault, ClientGone: _gone, HTTPException: _unrouted, Exception: _defect,
    }  # fmt: skip
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
    return app


async def _fault(connection: HTTPConnection, fault: Fault) -> Response:
    if isinstance(connection, WebSocket):
        await connection.send_denial_response(fault.response())
    return fault.response()


async def _gone(_: Request, gone: ClientGone) -> Response:
    return Response(status_code=499)  # the client has closed the connection


async def _defect(_: Request, error: Exception) -> Response:
    return Fault(500, "internal", "The server has a defect; its log says more.").response()


async def _unrouted(request: Request, error: HTTPException) -> Response:
    if error.status_code != 405:
        return Fault(404, "not_found", "There is nothing at this address.").response()
    allowed = ", ".join(_methods(request))
    message = f"This address answers {allowed} only."
    return Fault(405, "method_not_allowed", message, headers={"Allow": allowed}).response()


def _methods(request: Request) -> list[str]:
    """Methods that the address of the request answers, for the field Allow."""
    methods: list[str] = []
    for route in (*(route for router in _ROUTERS for route in router.routes), *request.app.routes):
        if isinstance(route, Route) and route.matches(dict(request.scope))[0] is not Match.NONE:
            for method in sorted(route.methods or ()):
                methods += ["GET", "HEAD"] if method == "GET" else [method]
    return methods


def openapi() -> str:
    """The text of `openapi.json`, which depends on nothing but the code."""
    made = application().openapi()
    schemas = made["components"]["schemas"]
    for path, item in described.paths().items():
        made["paths"][path] = made["paths"].get(path, {}) | item
    for model in (*described.MODELS, *lexicon.MODELS):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    schemas |= REQUESTS
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    made["components"]["schemas"] = dict(sorted(schemas.items()))
    made["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "query", "name": "key"},
    }
    for path, item in made["paths"].items():
        for operation in item.values():
            operation["responses"].pop("422", None)
            for answer in operation["responses"].values():
                answer.setdefault("headers", {})["X-Request-Id"] = {
                    "schema": {"type": "string"},
                    "description": "of the request",
                }
            operation["security"] = [{}] if path in _OPEN else [{}, {"bearer": []}, {"key": []}]
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


_OPEN = ("/api/health", "/healthz", "/readyz")
