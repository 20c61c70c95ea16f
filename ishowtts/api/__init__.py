"""The HTTP contract (docs/reference/http-api.md) served by FastAPI over the same C engine.

The C server is what users run; this one is the contract in readable form: `openapi.json` is generated from it, and one
test suite holds both servers to the same answers. It needs the extra `api`.
"""
