from collections.abc import Iterator

import httpx
import pytest
from serving import Server


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    """A client; after the test the server must still speak for others."""
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client
    assert httpx.get(server.url + "/readyz", timeout=30).status_code == 200
