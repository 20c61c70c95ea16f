"""Endpoints of a cluster's gateway. This server cannot be a gateway; only the C server can."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from .faults import Fault
from .routes import Endpoints


async def _nothing(_: Request) -> Response:
    raise Fault(404, "not_found", "This server is no gateway of a cluster.")


ENDPOINTS: Endpoints = {"cluster": _nothing, "cluster_drain": _nothing}
