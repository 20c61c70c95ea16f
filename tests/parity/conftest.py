"""Fixtures of the tests against the official packages."""

import importlib.util

import pytest
from official import PACKAGES, Table, fill, import_official


@pytest.fixture(scope="session")
def official():
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the official packages are not installed: {', '.join(missing)}")
    return import_official()


@pytest.fixture(scope="session")
def table():
    return Table()


@pytest.fixture(scope="session")
def randomise():
    return fill
