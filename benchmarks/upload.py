"""What storing a clip of nearly 10 MiB over HTTP costs beside decoding it.

An upload is received, parsed, decoded, looked at (level, clipping, a voice), conditioned for the model, synced to the
disk with its row, and answered. Each round times the same decoding alone in this process right after the upload. The
model must be one that clones; which one makes no difference, so a random one will do: `python tests/tiny.py FOLDER`.

    python benchmarks/upload.py --model FOLDER [--rounds 15]
"""

from __future__ import annotations

import argparse
import io
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
import soundfile
from common import write_csv

from ishowtts import _audio
from ishowtts.cli import SERVER
from ishowtts.voices import model_voices

RATE = 48000
SECONDS = 27  # two channels of float32: 9.9 MiB


def clip() -> tuple[bytes, str]:
    """The embedded voice's reference again and again, and its words as often."""
    voice = model_voices("demo")[0]
    assert voice.audio is not None
    samples, rate = _audio.decode(voice.audio.read_bytes())
    one = np.array(_audio.resample(samples, rate, RATE), np.float32)
    many = np.tile(one, -(-SECONDS * RATE // len(one)))[: SECONDS * RATE]
    made = io.BytesIO()
    soundfile.write(made, np.stack([many, many], 1), RATE, format="WAV", subtype="FLOAT")
    return made.getvalue(), f"{voice.text} " * (len(many) // len(one))


def main() -> None:
    """Time uploads and decodings in turn."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    data, text = clip()
    uploads, decodings = [], []
    with tempfile.TemporaryDirectory() as state:
        file = Path(state) / "reference.wav"
        file.write_bytes(data)
        (Path(state) / "c.toml").write_text(f'[[voices]]\nid = "own"\naudio = "{file}"\ntext = "{text}"\n')
        options = ["--config", f"{state}/c.toml", "--port", "0", "--set", f"model.name={arguments.model}"]
        options += ["--set", f"server.state_dir={state}/s"]
        server = subprocess.Popen([SERVER, *options], stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        with httpx.Client(base_url=url, timeout=60) as http:
            for number in range(arguments.rounds + 1):
                body = data + bytes([number])  # another content each time: nothing is stored already
                begin = time.perf_counter()
                answer = http.post("/api/voices/own/reference", data={"text": text}, files={"audio": ("c.wav", body)})
                middle = time.perf_counter()
                assert answer.status_code == 200, answer.text
                _audio.decode(body)
                if number:  # the first one warms up
                    uploads.append(middle - begin)
                    decodings.append(time.perf_counter() - middle)
        server.terminate()
        server.wait()
    beyond = [upload - decoding for upload, decoding in zip(uploads, decodings, strict=True)]
    row = {
        "bytes": len(data),
        "rounds": arguments.rounds,
        "upload_ms": round(1e3 * statistics.median(uploads), 1),
        "decode_ms": round(1e3 * statistics.median(decodings), 1),
        "beyond_ms": round(1e3 * statistics.median(beyond), 1),
        "beyond_best_ms": round(1e3 * min(beyond), 1),
    }
    write_csv("upload", [row])
    print(row)


if __name__ == "__main__":
    main()
