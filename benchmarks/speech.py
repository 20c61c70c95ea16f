"""Text to samples with the embedded voice: real-time factor and first audio, backends interleaved in one run.

The timed window is one `Engine.speak`: from submission to the last sample, text front end, sampling, vocoder and
joining included; loading, compiling and two warm-up utterances are not. Each round speaks every text once with every
backend.

    python benchmarks/speech.py [--rounds 5] [--nfe 7] [--packages]
"""

from __future__ import annotations

import argparse
import statistics
import time

from common import write_csv

from ishowtts import Engine
from ishowtts._engine import DEFAULTS

TEXTS = {
    "word": "Hello!",
    "chat line": "This boss has killed you nine times already.",
    "two sentences": "Welcome back, everyone. "
    "Tonight we will try the last level again, without a map and without any help.",
    "paragraph": "The old lighthouse stood at the end of the pier. Nobody had lit its lamp for thirty years, and "
    "the birds had made it their own. On the night of the storm, however, a light was seen from the harbor, and "
    "nobody could say who had lit it.",
}
VARIANTS = (("eager", "fp32"), ("native", "fp32"), ("native", "bf16"), ("native", "int8-dynamic"))
PACKAGES = (("package", "fp32"), ("package", "bf16"))


def main() -> None:
    """Measure, print a table, write benchmarks/results/speech.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nfe", type=int, default=DEFAULTS["nfe_default"])
    parser.add_argument("--packages", action="store_true", help="the packages that torch compiles too (minutes)")
    args = parser.parse_args()
    engines = [
        Engine.load("demo", precision=precision, backend=backend, compile="wait")  # type: ignore[arg-type]
        for backend, precision in (*VARIANTS, *(PACKAGES if args.packages else ()))
    ]
    rows: list[dict[str, object]] = []
    for round_ in range(-2, args.rounds):  # negative rounds warm up
        for name, text in TEXTS.items():
            for engine in engines:
                start = time.perf_counter()
                speech = engine.speak(text, nfe=args.nfe, seed=round_ + 2)
                wall = time.perf_counter() - start
                if round_ < 0:
                    continue
                rows.append(
                    {
                        "text": name,
                        "backend": engine.info["backend"],
                        "precision": engine.info["precision"],
                        "nfe": args.nfe,
                        "round": round_,
                        "audio_s": round(speech.seconds, 3),
                        "wall_s": round(wall, 4),
                        "first_audio_s": round(speech.timings["first_audio"], 4),
                        "model_s": round(speech.timings["model"], 4),
                        "text_s": round(speech.timings["text"], 5),
                        "rtf": round(wall / speech.seconds, 4),
                    }
                )
    shown = [(engine.info["backend"], engine.info["precision"]) for engine in engines]
    for engine in engines:
        engine.close()
    print(
        f"{'text':15} {'backend':12} {'prec.':12} {'audio s':>8} "
        f"{'RTF median':>11} {'min':>7} {'max':>7} {'first ms':>15}"
    )
    for name in TEXTS:
        for backend, precision in shown:
            mine = [r for r in rows if (r["text"], r["backend"], r["precision"]) == (name, backend, precision)]
            rtf = [float(str(r["rtf"])) for r in mine]
            first = statistics.median(float(str(r["first_audio_s"])) for r in mine)
            audio = statistics.median(float(str(r["audio_s"])) for r in mine)
            spread = f"{statistics.median(rtf):11.3f} {min(rtf):7.3f} {max(rtf):7.3f}"
            print(f"{name:15} {backend:12} {precision:12} {audio:8.2f} {spread} {1e3 * first:15.0f}")
    write_csv("speech", rows)


if __name__ == "__main__":
    main()
