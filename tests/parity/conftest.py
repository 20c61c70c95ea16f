"""Fixtures of the tests against the official packages."""

import importlib.util

import pytest
import torch
from official import PACKAGES, Table, fill, import_official


@pytest.fixture(scope="session")
def official():
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the official packages are not installed: {', '.join(missing)}")
    torch.set_num_threads(2)
    return import_official()


@pytest.fixture(scope="session")
def table():
    return Table()


@pytest.fixture(scope="session")
def randomise():
    return fill
