"""Chat lines a second on one core, in C and in plain Python, and what a hundred connections cost.

Parsing: the timed window holds everything from bytes to a complete message: splitting lines, tags and their escapes,
UTF-8, roles, emotes and times. Both variants take turns over the same lines, and the time is that of the thread on the
processor, so that what else runs on the machine matters little; the ratio is what to trust. Memory: private memory of
this process before, and with a hundred sources over TLS that are live and have read a thousand messages each; the
server is another process.

    python benchmarks/chat_parse.py [--lines 200000] [--rounds 5] [--connections 100]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import ssl
import statistics
import subprocess
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from common import write_csv

from ishowtts._platforms import Decoder, Loop

TEXTS = (
    "hello there, what a play",
    "Kappa Keepo LUL that was close",
    "これは日本語のメッセージです 🎉🎉",
    "@streamer could you show the settings again please, I came late and missed them",
)
LINE = (
    "@badge-info=subscriber/22;badges=subscriber/18,premium/1;client-nonce=81b0c4f1e4a8;color=#1E90FF;"
    "display-name=Viewer{n};emotes={emotes};first-msg=0;flags=;id=885196de-cb67-427a-baa8-{n:012d};mod=0;"
    "returning-chatter=0;room-id=713936733;subscriber=1;tmi-sent-ts=16439040847{k:02d};"
    "turbo=0;user-id={n};user-type= :viewer{n}!viewer{n}@viewer{n}.tmi.twitch.tv PRIVMSG #channel :{text}"
)
ESCAPES = {":": ";", "s": " ", "r": "\r", "n": "\n"}
MESSAGES = 1000


def make_lines(n: int) -> bytes:
    """Lines as Twitch sends them, without two alike."""
    emotes = ("", "25:0-4/1902:6-10/425618:12-14", "", "")
    made = (LINE.format(n=i, k=i % 100, text=TEXTS[i % len(TEXTS)], emotes=emotes[i % len(TEXTS)]) for i in range(n))
    return ("\r\n".join(made) + "\r\n").encode()


def unescape(value: str) -> str:
    """A tag's value as IRC version 3 means it."""
    if "\\" not in value:
        return value
    made, rest = [], iter(value)
    for character in rest:
        made.append(ESCAPES.get(escaped := next(rest, ""), escaped) if character == "\\" else character)
    return "".join(made)


def reference(data: bytes) -> int:
    """The same work in Python: the number of messages made."""
    messages = []
    for raw in data.split(b"\r\n"):
        line = raw.decode("utf-8", "replace")
        tags: dict[str, str] = {}
        if line.startswith("@"):
            head, _, line = line[1:].partition(" ")
            for tag in head.split(";"):
                key, _, value = tag.partition("=")
                tags[key] = unescape(value)
        source = ""
        if line.startswith(":"):
            source, _, line = line[1:].partition(" ")
        head, _, text = line.partition(" :")
        command, *params = head.split() if head else ("",)
        if command != "PRIVMSG" or params[0] != "#channel":
            continue
        nick = source.partition("!")[0]
        badges = dict(badge.split("/", 1) for badge in tags["badges"].split(",") if badge)
        emotes = []
        for group in filter(None, tags["emotes"].split("/")):
            identity, _, ranges = group.partition(":")
            for one in ranges.split(","):
                start, _, end = one.partition("-")
                emotes.append((int(start), min(int(end) + 1, len(text)), identity))
        roles = {role for role in ("broadcaster", "moderator", "vip", "subscriber", "founder") if role in badges}
        if tags["subscriber"] == "1":
            roles.add("subscriber")
        name = tags["display-name"] or nick
        sent = int(tags["tmi-sent-ts"])
        messages.append((tags["id"], tags["user-id"], nick, name, text, roles, sorted(emotes), sent, tags["room-id"]))
    return len(messages)


def measure_parsing(lines: int, rounds: int) -> list[dict[str, object]]:
    """Medians of both variants, interleaved."""
    data = make_lines(lines)
    decoder = Decoder("twitch", "channel")
    variants = {"c": decoder.count, "python": reference}
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(rounds + 1):
        for name, work in variants.items():
            start = time.thread_time()
            if work(data) != lines:
                raise RuntimeError(f"{name} lost messages")
            if turn:  # the first round warms up
                rates[name].append(lines / (time.thread_time() - start))
    ratio = statistics.median(c / python for c, python in zip(rates["c"], rates["python"], strict=True))
    return [
        {
            "what": "parse",
            "variant": name,
            "lines": lines,
            "bytes_per_line": round(len(data) / lines),
            "lines_per_s": round(statistics.median(rates[name])),
            "ratio_to_python": round(ratio, 1) if name == "c" else 1,
        }
        for name in variants
    ]


def serve(pipe: Connection, certificate: str, key: str) -> None:
    """A TLS server that greets like Twitch and sends `MESSAGES` lines to whoever joins."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while raw := await reader.readline():
            command, _, rest = raw.decode().strip().partition(" ")
            if command == "NICK":
                writer.write(f":t 001 {rest} :hi\r\n".encode())
            elif command == "JOIN":
                own = (
                    make_lines(MESSAGES)
                    .replace(b"#channel", rest.encode())
                    .replace(b"id=885196de", f"id={rest[1:]}".encode())
                )
                writer.write(f":t ROOMSTATE {rest}\r\n".encode() + own)
                await writer.drain()

    async def run() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server = await asyncio.start_server(client, "127.0.0.1", 0, ssl=context)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    asyncio.run(run())


def private_bytes() -> int:
    """Memory that belongs to this process alone."""
    text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    return (
        sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(("Private_Clean", "Private_Dirty")))
        * 1024
    )


def measure_memory(connections: int) -> dict[str, object]:
    """What connections cost over a single one, which brings in libcurl, OpenSSL and the authorities it trusts."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = f"{folder}/certificate.pem", f"{folder}/key.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        names = ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run([*command, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(theirs, certificate, key), daemon=True
        )
        process.start()
        port = ours.recv()
        before = private_bytes()
        loop = Loop(connections + 1, 0.0)
        figures = []
        sources: list[int] = []
        for wanted in (1, connections):
            while len(sources) < wanted:
                endpoint = f"ircs://127.0.0.1:{port}"
                sources.append(loop.open("twitch", f"c{len(sources)}", endpoint=endpoint, ca_file=certificate))
            while any(loop.stats(source)["messages"] < MESSAGES for source in sources):
                loop.wait(1.0)
            figures.append(private_bytes() - before)
        process.terminate()
        process.join()
    return {
        "what": "memory",
        "variant": "c",
        "connections": connections,
        "first_mb": round(figures[0] / 1e6, 2),
        "all_mb": round(figures[1] / 1e6, 2),
        "each_further_kb": round((figures[1] - figures[0]) / max(1, connections - 1) / 1e3, 1),
    }


def main() -> None:
    """Measure and write benchmarks/results/chat_parse.csv."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=100)
    arguments = parser.parse_args()
    memory = measure_memory(arguments.connections)
    parsing = measure_parsing(arguments.lines, arguments.rounds)
    fields = dict.fromkeys(key for row in [*parsing, memory] for key in row)
    write_csv("chat_parse", [{field: row.get(field, "") for field in fields} for row in [*parsing, memory]])
    for row in parsing:
        rate = f"{row['lines_per_s']:>10,} lines/s of {row['bytes_per_line']} bytes"
        print(f"{row['variant']:6} {rate}, {row['ratio_to_python']} x Python")
    print(f"{memory['connections']} connections: {memory['all_mb']} MB, the first alone {memory['first_mb']} MB")


if __name__ == "__main__":
    main()
