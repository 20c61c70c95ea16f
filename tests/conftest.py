"""One server of the embedded voice for all tests over HTTP."""

from collections.abc import Iterator

import pytest
from serving import Server


@pytest.fixture(scope="session")
def c_server() -> Iterator[Server]:
    with Server(kind="c") as running:
        yield running


@pytest.fixture(scope="session")
def harness() -> Iterator[Server]:
    with Server(kind="harness") as running:
        yield running


@pytest.fixture(scope="session")
def server(c_server: Server) -> Server:
    return c_server
