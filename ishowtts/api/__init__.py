"""The HTTP API (docs/reference/http-api.md) served by FastAPI over the same C engine.

Users run the C server. This one is for development: `openapi.json` is generated from it, and one test suite checks that
both servers give the same answers. It needs the extra `api`.
"""
