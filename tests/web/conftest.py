"""One browser for all tests of the pages; its fake microphone repeats the embedded voice's reference clip."""

from collections.abc import Iterator

import pytest
import soundfile
import tiny
from browsing import REFERENCE, Browser, chromium
from serving import Server


@pytest.fixture(scope="session")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    microphone = tmp_path_factory.mktemp("microphone") / "speech.wav"
    samples, rate = soundfile.read(REFERENCE)
    soundfile.write(microphone, samples, rate, subtype="PCM_16")
    driver = chromium(tmp_path_factory.mktemp("chromium"), f"--use-file-for-fake-audio-capture={microphone}")
    yield Browser(driver)
    driver.quit()


@pytest.fixture
def browser(chrome: Browser) -> Iterator[Browser]:
    """The browser, without stored data; its console is empty before and, unless the test has read it, after a test."""
    chrome.open("about:blank")
    chrome.complaints()
    yield chrome
    assert chrome.complaints() == []
    chrome.open("about:blank")


@pytest.fixture(scope="module")
def cloning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model takes clips with their words."""
    folder = tmp_path_factory.mktemp("cloning")
    model = tiny.letters(folder / "tiny")
    settings = folder / "ishowtts.toml"
    text = (REFERENCE.parent / "reference.txt").read_text().strip()
    voice = f'[[voices]]\nid = "anna"\naudio = "{REFERENCE}"\ntext = "{text}"\nlanguage = "en"\n'
    settings.write_text(f'[model]\nname = "{model}"\n[sampling]\nnfe = 2\n{voice}')
    with Server("--config", str(settings)) as running:
        yield running


@pytest.fixture(scope="module")
def wordless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model takes clips without their words, and knows a speaker."""
    folder = tmp_path_factory.mktemp("wordless")
    settings = folder / "ishowtts.toml"
    model = tiny.make(folder / "tiny", speakers=("", "hazel"))
    settings.write_text(
        f'[model]\nname = "{model}"\n[sampling]\nnfe = 2\n[[voices]]\nid = "anna"\naudio = "{REFERENCE}"\n'
    )
    with Server("--config", str(settings)) as running:
        yield running


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model speaks in its own voices only."""
    folder = tmp_path_factory.mktemp("fixed")
    model = tiny.make(folder / "tiny", speakers=("", "hazel"), prompt=False)
    with Server("--config", str(tiny.configure(model, REFERENCE, "Words."))) as running:
        yield running
