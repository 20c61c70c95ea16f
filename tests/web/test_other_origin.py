"""A page of another origin that uses OpenAI's client: what a browser lets it send and read."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest
from browsing import Browser
from serving import Server

# The header fields that OpenAI's npm package sends from a browser.
CALL = """
const [url, done] = arguments;
const headers = { authorization: "Bearer none", "content-type": "application/json", "x-stainless-lang": "js",
                  "x-stainless-retry-count": "0", "x-stainless-runtime": "browser:chrome",
                  "x-stainless-package-version": "6.0.0" };
const body = JSON.stringify({ model: "tts-1", voice: "alloy", input: "Yes.", response_format: "flac" });
fetch(url + "/v1/audio/speech", { method: "POST", headers, body })
  .then(async (answer) => {
    const audio = await new AudioContext().decodeAudioData(await answer.arrayBuffer());
    done([answer.status, answer.headers.get("x-request-id").length, audio.duration]);
  }).catch((error) => done([String(error)]));
"""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><link rel=icon href=data:,><p>Another site.")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_openais_client_in_a_page_of_another_site(chrome: Browser, site: str) -> None:
    for origins, heard in ((f'["{site}"]', True), ('["*"]', True), ("[]", False)):
        with Server("--set", f"server.cors_origins={origins}") as server:
            chrome.driver.get(site)
            told = chrome.driver.execute_async_script(CALL, server.url)
            assert told[0] == (200 if heard else "TypeError: Failed to fetch"), told
            if heard:
                assert told[1] > 10 and 0.2 < told[2] < 5
    chrome.complaints()
