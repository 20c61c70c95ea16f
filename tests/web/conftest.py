"""One browser for all tests of the pages."""

from collections.abc import Iterator

import pytest
from browsing import Browser, chromium


@pytest.fixture(scope="session")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    driver = chromium(tmp_path_factory.mktemp("chromium"))
    yield Browser(driver)
    driver.quit()


@pytest.fixture
def browser(chrome: Browser) -> Iterator[Browser]:
    """The browser, with nothing remembered and a quiet console before and, unless the test read it, after."""
    chrome.open("about:blank")
    chrome.complaints()
    yield chrome
    assert chrome.complaints() == []
    chrome.open("about:blank")
