from collections.abc import Iterator

import httpx
import pytest
from serving import Server

KINDS = ("c", "harness")


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Parametrises tests by server: each runs against both of them."""
    found: str = request.param
    return found


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, kind: str) -> Server:
    found: Server = request.getfixturevalue("c_server" if kind == "c" else "harness")
    return found


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    """A client; after the test the server must still serve other requests."""
    with server.client(120) as client:
        yield client
    with server.client(30) as another:
        assert another.get("/readyz").status_code == 200
