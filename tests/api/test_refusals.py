"""Wrong requests: their status and field; the next request is served."""

import json
import os
from typing import Any

import httpx
import pytest
from serving import Server

GOOD = {"text": "Yes.", "nfe_step": 5}


def fault(answer: httpx.Response) -> dict[str, Any]:
    body = answer.json()
    assert list(body) == ["error"] and {"code", "message"} <= set(body["error"]) <= {"code", "message", "field"}
    assert answer.headers["content-type"] == "application/json" and answer.headers["x-request-id"]
    return body["error"]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("text", "", "5000"),
        ("text", "x" * 5001, "5001"),
        ("text", None, "null"),
        ("text", 5, "number"),
        ("text", ["a"], "array"),
        ("text", " \n\t", "text"),
        ("voice_id", "", "64"),
        ("voice_id", 3, "string"),
        ("voice_id", "x" * 65, "65"),
        ("engine", "other", "f5"),
        ("speed", 0.24, "0.25"),
        ("speed", 4.01, "4"),
        ("speed", "1", "number"),
        ("speed", True, "boolean"),
        ("speed", {}, "object"),
        ("target_rms", -0.01, "0"),
        ("target_rms", 1.01, "1"),
        ("cross_fade_duration", -1, "0"),
        ("cross_fade_duration", 99, "99"),
        ("sway_sampling_coef", -1.01, "-1"),
        ("sway_sampling_coef", 0.58, "0.57"),
        ("cfg_strength", -1, "10"),
        ("cfg_strength", 10.5, "10.5"),
        ("guidance_from", -0.01, "0"),
        ("guidance_from", 1.01, "1.01"),
        ("guidance_from", [0, 1], "array"),
        ("guidance_to", 2, "1"),
        ("guidance_to", "1", "number"),
        ("short_guidance", 1, "boolean"),
        ("short_guidance", "off", "boolean"),
        ("embedded_guidance", 0, "boolean"),
        ("nfe_step", -1, "64"),
        ("nfe_step", 65, "65"),
        ("nfe_step", 7.5, "whole"),
        ("nfe_step", -(2**62), "64"),
        ("solver", "heun", "euler, midpoint"),
        ("solver", 2, "string"),
        ("fix_duration", -1, "60"),
        ("fix_duration", 61, "61"),
        ("remove_silence", 1, "boolean"),
        ("remove_silence", "yes", "boolean"),
        ("seed", -1, "-1"),
        ("seed", 2**64, "18446744073709551615"),
        ("seed", 0.5, "whole"),
        ("format", "aac", "mp3"),
        ("format", "exe", "wav"),
        ("sample_rate", 23999, "24000"),
        ("sample_rate", "24000", "whole"),
        ("sample_rate", 0, "8000"),
        ("volume", 1, "fields"),
        ("Text", "a", "fields"),
    ],
)
@pytest.mark.parametrize("path", ["/api/tts", "/api/tts/stream"])
def test_wrong_fields_are_named(http: httpx.Client, path: str, field: str, value: Any, says: str) -> None:
    answer = http.post(path, json=GOOD | {field: value})
    assert answer.status_code == 400
    error = fault(answer)
    assert error["field"] == field
    assert says in error["message"]


def test_unknown_voice(http: httpx.Client) -> None:
    answer = http.post("/api/tts", json=GOOD | {"voice_id": "nobody"})
    assert answer.status_code == 404 and fault(answer)["field"] == "voice_id" and "nobody" in answer.text
    assert (
        http.post("/api/tts", json=GOOD | {"voice_id": "é" * 64}).status_code == 404
    )  # characters are counted, not bytes


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b'{"text": "a"} x',
        b'{"text": "a",}',
        b"{'text': 'a'}",
        b'{"text": "a", "text": "b"}',
        b'{"text": "a\\u0000"}',
        b'{"text": "a\x00"}',
        b'{"text": "\xff\xfe"}',
        b'{"text": "\\ud800"}',
        b'{"text": "\xed\xa0\x80"}',
        b'{"text": "a", "speed": NaN}',
        b'{"text": "a", "speed": 1e999}',
        b'{"text": "a", "speed": 01}',
        b"\xef\xbb\xbf{}",
        b"[" * 60000,
        b'{"text":' * 5000,
    ],
)
def test_what_is_not_json(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/api/tts", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert fault(answer)["message"]


@pytest.mark.parametrize(
    "type_",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", ""],
)
def test_other_content_types(http: httpx.Client, type_: str) -> None:
    answer = http.post("/api/tts", content=json.dumps(GOOD), headers={"Content-Type": type_})
    assert answer.status_code == 415 and fault(answer)["field"] == "Content-Type"


def test_content_type_with_parameters(http: httpx.Client) -> None:
    assert (
        http.post(
            "/api/tts", content=json.dumps(GOOD), headers={"Content-Type": "application/json; charset=utf-8"}
        ).status_code
        == 200
    )


def test_ten_megabytes_of_noise(http: httpx.Client) -> None:
    noise = os.urandom(10 << 20)
    for content in (noise, iter([noise[at : at + 65536] for at in range(0, len(noise), 65536)])):
        answer = http.post("/api/tts", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        fault(answer)
        assert http.post("/api/tts", json=GOOD).status_code == 200


def test_body_at_the_limit(http: httpx.Client) -> None:
    body = json.dumps(GOOD).encode()
    padded = body + b" " * (64 * 1024 - len(body))
    headers = {"Content-Type": "application/json"}
    assert http.post("/api/tts", content=padded, headers=headers).status_code == 200
    assert http.post("/api/tts", content=padded + b" ", headers=headers).status_code == 413
    assert http.post("/api/tts", content=iter([padded, b" "]), headers=headers).status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nowhere", 404, None),
        ("POST", "/", 405, "GET, HEAD"),
        ("GET", "/api/tts", 405, "POST"),
        ("PUT", "/api/tts", 405, "POST"),
        ("PATCH", "/api/tts/x", 405, "DELETE"),
        ("POST", "/api/health", 405, "GET, HEAD"),
        ("PUT", "/v1/models", 405, "GET, HEAD"),
        ("GET", "/api/tts/", 404, None),
        ("GET", "/web/", 404, None),
        ("GET", "/web/none.js", 404, None),
    ],
)
def test_methods_and_addresses(http: httpx.Client, method: str, path: str, status: int, allow: str | None) -> None:
    answer = http.request(method, path)
    assert answer.status_code == status and answer.headers.get("allow") == allow
    fault(answer)


def test_an_answer_is_json_whatever_the_address_holds(http: httpx.Client) -> None:
    for name in ("%FF%FE", "%C3", "a" * 63 + "%C3%A9"):
        for path in (f"/api/voices/{name}/reference", f"/api/tts/{name}"):
            answer = http.request("DELETE", path)
            assert answer.status_code in (404, 405, 409)
            json.loads(answer.content.decode("utf-8"))


def test_methods_of_voices(server: Server) -> None:
    assert httpx.delete(server.url + "/api/voices").headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "path",
    [
        "/web/../../etc/passwd",
        "/web/..%2f..%2fetc%2fpasswd",
        "/web/%2e%2e/voice.toml",
        "/web//etc/passwd",
        "/../config.py",
        "/web/icon.svg%00.html",
        "/web/./app.js/..",
    ],
)
def test_paths_cannot_leave_the_pages(server: Server, path: str) -> None:
    answer = server.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")) and b"root:" not in answer


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


HEAD = b"POST /api/tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEAD + b"\r\n", 411),
        (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: 2, 2\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: +2\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: 0x2\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n{}", 413),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400),
        (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * 20000 + b"\r\n\r\n", 431),
        (b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 403),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost.evil.example\r\nConnection: close\r\n\r\n", 403),
        (b"GET /healthz HTTP/1.1\r\nHost: [::1\r\nConnection: close\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nConnection: close\r\n\r\n", 403),
        (b"GET /healthz HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_framing_and_heads(server: Server, request_: bytes, status: int) -> None:
    assert status_of(server.raw(request_)) == status
    assert status_of(server.raw(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")) == 200


@pytest.mark.parametrize(
    "noise",
    [
        b"\x00" * 4096,
        b"\r\n" * 2000,
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"A" * 100_000,
        bytes(range(256)) * 40,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_not_http(server: Server, noise: bytes) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        try:
            connection.sendall(noise)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except OSError:
            pass
    assert status_of(server.raw(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")) == 200


def test_requests_cannot_be_smuggled(server: Server) -> None:
    """Bytes after an ambiguous request are not read as another request."""
    inner = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = server.raw(
        HEAD.replace(b"Connection: close\r\n", b"")
        + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % len(inner)
        + inner
    )
    assert answer.count(b"HTTP/1.1 ") == 1 and b"ishowtts_" not in answer


def test_request_ids(http: httpx.Client) -> None:
    assert http.get("/healthz", headers={"X-Request-Id": "a.B_c-9"}).headers["x-request-id"] == "a.B_c-9"
    for bad in ("", "a b", "x" * 65, "a/b", 'a"b', "é".encode()):
        made = http.get("/healthz", headers={"X-Request-Id": bad}).headers["x-request-id"]
        assert len(made) == 24 and made != bad
    assert http.get("/healthz").headers["x-request-id"] != http.get("/healthz").headers["x-request-id"]


def test_one_id_runs_once(server: Server, http: httpx.Client) -> None:
    headers = {"X-Request-Id": "twin"}
    with http.stream(
        "POST", "/api/tts/stream", json={"text": "This is a long sentence to be spoken slowly. " * 20}, headers=headers
    ) as first:
        assert first.status_code == 200
        again = httpx.post(server.url + "/api/tts", json=GOOD, headers=headers)
        assert again.status_code == 409 and again.json()["error"]["field"] == "X-Request-Id"


def test_pages_of_other_sites(server: Server) -> None:
    """What a browser says of a request for an image or a sound, which has no Origin."""
    with server.client(30) as api:
        for site in ("cross-site", "same-site"):
            answer = api.get("/api/voices", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"})
            assert answer.status_code == 403 and fault(answer)["code"] == "forbidden_origin"
        for site, mode in (("same-origin", "cors"), ("none", "no-cors"), ("cross-site", "navigate")):
            answer = api.get("/api/voices", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode})
            assert answer.status_code == 200
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_one_host(server: Server) -> None:
    head = b"GET /api/voices HTTP/1.1\r\nHost: localhost\r\n%sConnection: close\r\n\r\n"
    assert server.raw(head % b"").startswith(b"HTTP/1.1 200 ")
    assert server.raw(head % b"Host: localhost\r\n").startswith(b"HTTP/1.1 400 ")


def test_wrong_keys_make_an_address_wait(kind: str) -> None:
    with Server("--set", "server.api_key=a key of enough letters", kind=kind) as server, server.client() as api:

        def ask(key: str, number: int) -> httpx.Response:
            headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": f"10.0.0.{number}"}
            return api.get("/api/voices", headers=headers)

        assert ask("a key of enough letters", 0).status_code == 200
        assert [ask("guess", number).status_code for number in range(11)] == [401] * 11
        for key in ("guess", "a key of enough letters"):
            refused = ask(key, 20)
            assert refused.status_code == 429 and fault(refused)["code"] == "too_many_keys"
            assert 1 <= int(refused.headers["retry-after"]) <= 6
        assert api.get("/api/voices").status_code == 401
        assert api.get("/healthz").status_code == 200
