"""One server of the embedded voice for all tests over HTTP."""

from collections.abc import Iterator

import pytest
from serving import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    code = running.stop()
    assert code == 0, "".join(running.log)
    assert not [line for line in running.log if "handles are still alive" in line]
