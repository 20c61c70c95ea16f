"""A server from start to end: health, metrics, connections, signals."""

import re
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest
from serving import Server, run, until

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LINE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-z_]+="[^"\\]*"(?:,[a-z_]+="[^"\\]*")*\})? (-?[0-9.]+(?:e[+-]?[0-9]+)?)'
)


def parse(text: str) -> dict[str, float]:
    """Prometheus text: every sample has its type and help, and no name is declared twice."""
    types: dict[str, str] = {}
    helped: set[str] = set()
    values: dict[str, float] = {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped.add(line.split()[2])
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in types and kind in ("counter", "gauge", "histogram")
            types[name] = kind
        else:
            found = LINE.fullmatch(line)
            assert found, line
            name, labels, value = found.groups()
            family = re.sub(r"_(bucket|sum|count)$", "", name) if name not in types else name
            assert family in types and family in helped
            assert types[family] != "counter" or name.endswith("_total")
            assert name + (labels or "") not in values
            values[name + (labels or "")] = float(value)
    return values


def test_health(http: httpx.Client) -> None:
    for path in ("/api/health", "/healthz", "/readyz"):
        health = http.get(path).json()
        assert health["status"] == "ready" and health["default_voice"] in health["voices"]
        assert health["model"] == "demo" and health["backend"] and health["precision"]
        assert health["compile"] == "none" and "compile_error" not in health
    assert http.head("/healthz").status_code == 200


def test_without_a_compiler_it_speaks_and_says_so(tmp_path: Path) -> None:
    server = Server(
        env={
            "CXX": str(tmp_path / "no-such-compiler"),
            "ISHOWTTS_CACHE_DIR": str(tmp_path),
            "ISHOWTTS__MODEL__BACKEND": "package",
        }
    )
    try:
        health = httpx.get(server.url + "/api/health").json()
        assert health["backend"] == "eager" and health["compile"] == "failed"
        assert "no-such-compiler" in health["compile_error"]
        answer = httpx.post(
            server.url + "/api/tts", json={"text": "Hello."}, headers={"Accept": "audio/wav"}, timeout=60
        )
        assert answer.status_code == 200 and answer.content[:4] == b"RIFF"
        assert any("no-such-compiler" in line for line in server.log)
    finally:
        assert server.stop() == 0


def test_voices(http: httpx.Client) -> None:
    voices = http.get("/api/voices").json()
    assert [voice["id"] for voice in voices] == http.get("/api/health").json()["voices"]
    for voice in voices:
        assert (
            voice["engine"] == "f5"
            and voice["engine_label"]
            and voice["configured"]
            and voice["has_override"] is False
            and "sample_url" in voice
        )
        assert (
            http.post("/api/tts", json={"text": "Yes.", "nfe_step": 5, "voice_id": voice["id"]}).json()["voice_id"]
            == voice["id"]
        )


def test_metrics(http: httpx.Client) -> None:
    before = parse(http.get("/metrics").text)
    said = http.post("/api/tts", json={"text": "One more sentence.", "nfe_step": 5}).json()
    http.post("/api/tts", json={})
    after = parse(http.get("/metrics").text)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert grown('ishowtts_http_requests_total{endpoint="tts",status="200"}') == 1
    assert grown('ishowtts_http_requests_total{endpoint="tts",status="400"}') == 1
    assert grown("ishowtts_audio_seconds_total") == pytest.approx(said["duration"], rel=1e-3)
    assert 0 < grown("ishowtts_synthesis_seconds_total") <= said["timings"]["total"]
    assert grown("ishowtts_steps_total") == 5
    assert grown("ishowtts_speech_seconds_count") == grown('ishowtts_first_audio_seconds_bucket{le="+Inf"}') == 1
    buckets = [value for name, value in after.items() if name.startswith("ishowtts_speech_seconds_bucket")]
    assert buckets == sorted(buckets)
    assert (
        after["ishowtts_ready"] == 1 and after["ishowtts_live_handles"] > 0 and after["ishowtts_resident_bytes"] > 1e7
    )
    assert any(name.startswith("ishowtts_backend_info{") for name in after)


def test_page_and_assets(http: httpx.Client) -> None:
    page = http.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert (
        "default-src 'self'" in page.headers["content-security-policy"]
        and "unsafe" not in page.headers["content-security-policy"]
    )
    assert page.headers["x-content-type-options"] == "nosniff" and page.headers["x-frame-options"] == "SAMEORIGIN"
    links = set(re.findall(r'(?:src|href)="([^"]+)"', page.text))
    assert "/web/index.js" in links and all(link.startswith("/web/") for link in links)
    for link in links:
        found = http.get(link)
        assert found.status_code == 200
        again = http.get(link, headers={"If-None-Match": found.headers["etag"]})
        assert again.status_code == 304 and not again.content and again.headers["etag"] == found.headers["etag"]
    assert not re.search(r"https?://(?!www\.w3\.org/)", page.text + http.get("/web/index.js").text)


HEAD = b"POST /api/tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
YES = b'{"text": "Yes.", "nfe_step": 5}'


def test_pipelining_and_keep_alive(server: Server) -> None:
    get = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: %s\r\n\r\n"
    speak = b'{"text": "Yes.", "nfe_step": 5}'
    post = (
        b"POST /api/tts HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: two\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(speak)
    )
    close = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: four\r\nConnection: close\r\n\r\n"
    answer = server.raw(get % b"one" + post + speak + get % b"three" + close)
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200", b"200", b"200", b"404"]
    assert re.findall(rb"(?i)X-Request-Id: (\w+)", answer) == [b"one", b"two", b"three", b"four"]


def test_slow_and_partial_requests_do_not_delay_others(server: Server) -> None:
    halves = [
        b"GET /hea",
        b"POST /api/tts HTTP/1.1\r\nHost: localhost\r\n",
        b"POST /api/tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        b"POST /api/tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    ]
    open_ = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20 * len(halves))]
    for n, connection in enumerate(open_):
        connection.sendall(halves[n % len(halves)])
    assert httpx.post(server.url + "/api/tts", json={"text": "Yes.", "nfe_step": 5}, timeout=60).status_code == 200
    for connection in open_:
        connection.close()
    until(lambda: parse(httpx.get(server.url + "/metrics").text)["ishowtts_connections"] <= 3)


def test_a_connection_over_the_limit_waits(kind: str) -> None:
    with Server("--set", "server.connections_max=8", kind=kind) as server:
        head = b"POST /api/tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        head += b"Content-Length: 20\r\n\r\n{"
        held = []
        for _ in range(8):  # each has begun a request before the next one connects, so none is idle
            held.append(socket.create_connection(("127.0.0.1", server.port)))
            held[-1].sendall(head)
            time.sleep(0.1)
        with socket.create_connection(("127.0.0.1", server.port)) as one_more:
            one_more.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            one_more.settimeout(1)
            with pytest.raises(TimeoutError):
                one_more.recv(15)
            held.pop().close()
            one_more.settimeout(60)
            assert one_more.recv(15) == b"HTTP/1.1 200 OK"
        for connection in held:
            connection.close()


def test_a_request_byte_by_byte(server: Server) -> None:
    body = b'{"text": "Yes.", "nfe_step": 5}'
    data = (
        b"POST /api/tts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(data)):
            connection.sendall(data[at : at + 1])
            time.sleep(0.001)
        assert connection.recv(15) == b"HTTP/1.1 200 OK"


# ---- a process for each test ----


def test_starting_draining_and_the_port() -> None:
    """/healthz is answered while the model loads; SIGTERM lets running requests finish; then the port is free."""
    server = Server("--set", "server.drain_seconds=60", wait=False)
    try:
        health = httpx.get(server.url + "/healthz")
        assert health.status_code == 200
        if health.json()["status"] == "loading":  # unless the machine was very fast
            early = httpx.post(server.url + "/api/tts", json={"text": "Yes."})
            assert early.status_code in (200, 503)
            assert early.status_code == 200 or (
                early.json()["error"]["code"] == "loading" and early.headers["retry-after"]
            )
        taken = run(["--port", str(server.port)])
        assert taken.returncode == 1 and "in use" in taken.stderr and str(server.port) in taken.stderr
        assert server.lines.get(timeout=120) == f"iShowTTS listens on {server.url}\n"
        assert httpx.get(server.url + "/readyz").status_code == 200

        answers: list[httpx.Response] = []
        kept = server.client(60)
        kept.get("/healthz")  # a connection that is open before the port closes
        long = {
            "text": "This is a sentence that is still being spoken when the server is told to stop. " * 3,
            "nfe_step": 16,
        }
        speaker = threading.Thread(
            target=lambda: answers.append(httpx.post(server.url + "/api/tts", json=long, timeout=120))
        )
        speaker.start()
        until(lambda: parse(kept.get("/metrics").text).get("ishowtts_queue_in_flight", 0) > 0)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: any("closing" in line for line in server.log))
        time.sleep(0.1)
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url + "/healthz")
        try:
            refused = kept.get("/readyz")
            assert (
                refused.status_code == 503
                and refused.json()["error"]["code"] == "draining"
                and refused.headers["retry-after"]
            )
        except httpx.RemoteProtocolError:
            assert server.process.poll() is not None  # it was finished before
        speaker.join()
        assert answers[0].status_code == 200 and answers[0].json()["duration"] > 5
        assert server.process.wait(60) == 0
        with socket.create_server(("127.0.0.1", server.port)):
            pass
        assert not [line for line in server.log if "handles are still alive" in line]
    finally:
        server.kill()


def test_a_second_signal_ends_at_once() -> None:
    server = Server("--set", "server.drain_seconds=600")
    try:

        def ask() -> None:
            with pytest.raises(httpx.HTTPError):
                httpx.post(server.url + "/api/tts", json={"text": "Never mind. " * 300, "nfe_step": 64}, timeout=100)

        thread = threading.Thread(target=ask)
        thread.start()
        until(lambda: parse(httpx.get(server.url + "/metrics").text).get("ishowtts_queue_in_flight", 0) > 0)
        server.process.send_signal(signal.SIGINT)
        until(lambda: any("closing" in line for line in server.log))
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 128 + signal.SIGINT
        thread.join()
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--set", "server.port=99999"], 2, "server.port"),
        (["--set", "serving.port=1"], 2, "serving"),
        (["--set", "nonsense"], 2, "nonsense"),
        (["--config", "/nonexistent.toml"], 2, "/nonexistent.toml"),
        (["--host", "0.0.0.0"], 2, "api_key"),
        (["--host", "no.such.host.invalid", "--set", "server.insecure=true"], 1, "no.such.host.invalid"),
        (["--set", "model.name=/nonexistent"], 2, "/nonexistent"),
        (["--bogus"], 2, "Usage"),
        (["extra"], 2, "extra"),
    ],
)
def test_bad_starts(arguments: list[str], code: int, says: str) -> None:
    done = run(["--port", "0", *arguments])
    assert done.returncode == code and says in done.stderr and not done.stdout
    assert "Traceback" not in done.stderr.replace("traceback", "")


def test_version_and_help() -> None:
    assert re.fullmatch(r"ishowtts-server \d+\.\d+\.\d+\n", run(["--version"]).stdout)
    assert "--config" in run(["--help"]).stdout


def test_key_and_own_voice_from_a_file(tmp_path: Path) -> None:
    from ishowtts.voices import model_voices

    voice = model_voices("demo")[0]
    assert voice.audio is not None
    (tmp_path / "me.flac").write_bytes(voice.audio.read_bytes())
    (tmp_path / "me.txt").write_text(voice.text)
    (tmp_path / "conf.toml").write_text(
        'default_voice = "me"\n[server]\napi_key = "sesame"\ncors_origins = ["https://friend.example"]\n'
        "[sampling]\nnfe = 5\n"
        '[[voices]]\nid = "other"\naudio = "me.flac"\n[[voices]]\nid = "me"\naudio = "me.flac"\n'
    )
    with Server("--config", str(tmp_path / "conf.toml")) as server:
        with server.client(60) as http:
            assert http.get("/healthz").json()["default_voice"] == "me"
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "sesame"}):
                refused = http.post("/api/tts", json={"text": "Yes."}, headers=headers)
                assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
            said = http.post("/api/tts?key=sesame", json={"text": "Yes."}).json()
            assert said["voice_id"] == "me"
            key = {"Authorization": "Bearer sesame"}
            assert [v["id"] for v in http.get("/api/voices", headers=key).json()] == ["other", "me"]
            assert parse(http.get("/metrics", headers=key).text)["ishowtts_steps_total"] == 5
            friend = http.get("/api/voices", headers=key | {"Origin": "https://friend.example"})
            assert friend.headers["access-control-allow-origin"] == "https://friend.example"
        assert not [line for line in server.log if "sesame" in line]
