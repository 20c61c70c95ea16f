"""One server of the embedded voice for all tests over HTTP."""

from collections.abc import Iterator

import pytest
from serving import Server


@pytest.fixture(scope="session")
def c_server() -> Iterator[Server]:
    yield from running("c")


@pytest.fixture(scope="session")
def harness() -> Iterator[Server]:
    yield from running("harness")


def running(kind: str) -> Iterator[Server]:
    server = Server(kind=kind)
    yield server
    code = server.stop()
    assert code == 0, "".join(server.log)
    assert not [line for line in server.log if "handles are still alive" in line]


@pytest.fixture(scope="session")
def server(c_server: Server) -> Server:
    return c_server
