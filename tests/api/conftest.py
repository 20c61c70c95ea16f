from collections.abc import Iterator

import httpx
import pytest
from serving import Server


@pytest.fixture(scope="session", params=["c", "harness"])
def server(request: pytest.FixtureRequest) -> Server:
    """Every test that asks for it runs against both servers."""
    found: Server = request.getfixturevalue("c_server" if request.param == "c" else "harness")
    return found


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    """A client; after the test the server must still speak for others."""
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client
    assert httpx.get(server.url + "/readyz", timeout=30).status_code == 200
