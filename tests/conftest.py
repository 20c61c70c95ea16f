"""Distribution of tests over processes, and one server of the embedded voice for all tests over HTTP."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Server

WORKERS = len(os.sched_getaffinity(0))
LONG_FIRST = ("docs", "api", "web", "train", "quality", "reliability", "install", "parity", "unit", "platforms", "fuzz")
"""Folders in the order in which they begin: short files come last, so that all workers end at about the same time."""
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell starts background jobs with SIGINT ignored; programs that tests interrupt would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
if "PYTEST_XDIST_WORKER" in os.environ:
    for threads in ("OMP_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS"):  # before torch is imported
        os.environ.setdefault(threads, "1")  # each worker process has one core


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A single file is run without worker processes."""
    return WORKERS if len(config.args) > 1 or Path(config.args[0].split("::")[0]).is_dir() else 0


@pytest.hookimpl(trylast=True)  # pytest sorts by parameters of fixtures before
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: number for number, name in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.parent.name, 0))


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
