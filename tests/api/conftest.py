from collections.abc import Iterator

import httpx
import pytest
from serving import Server

KINDS = ("c", "harness")


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Every test that asks for it, or for a server, runs against both servers."""
    found: str = request.param
    return found


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, kind: str) -> Server:
    found: Server = request.getfixturevalue("c_server" if kind == "c" else "harness")
    return found


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    """A client; after the test the server must still speak for others."""
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client
    assert httpx.get(server.url + "/readyz", timeout=30).status_code == 200
