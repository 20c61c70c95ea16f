"""Training of a voice from recordings: alignment, durations, flow transformer, vocoder, export, score.

    python -m ishowtts.train all --data DIR --work DIR --minutes 180 --out VOICE

`DIR` holds `metadata.csv` (`id|transcript` lines) and the clips. Importing this package loads neither
torch nor the recordings.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ishowtts.errors import IshowError
from ishowtts.text.phones import LANGUAGES

if TYPE_CHECKING:
    from .export import BaseVoice
    from .loop import Options

STEPS = ("teach", "align", "duration", "dit", "warm-start", "vocos", "distil", "all", "export", "score")
TEACHER = (
    "teach: a folder of Kokoro (scripts/teacher makes it), or 'hibari' for the package hibari-tts; "
    "vocos: 'hibari', to learn its spectra beside the speech"
)
HIBARI, LESSONS = Path("hibari"), 300  # and how many of its sentences the vocoder learns from
KEEP = "export, score: keep such a share of the weights of --finetune, as dit=0.15 or vocos=0.3"
SHARES = {"dit": 0.45, "vocos": 0.4, "distil": 0.15}  # of the minutes of `all`


def parser(prog: str = "python -m ishowtts.train") -> argparse.ArgumentParser:
    """The parser of the command line; `prog` is the name that its help shows."""
    from ishowtts.quality import listeners

    p = argparse.ArgumentParser(
        prog=prog, description="Train voices from recordings with transcripts, English or German."
    )
    p.add_argument("step", choices=STEPS, help="what to do; 'all' runs align, duration, dit, vocos, distil and export")
    p.add_argument("--work", type=Path, required=True, help="folder for caches, checkpoints and curves")
    p.add_argument(
        "--data", type=Path, nargs="+", help="folders of metadata.csv (id|transcript) and clips, one a speaker"
    )
    p.add_argument(
        "--language", choices=LANGUAGES, nargs="+", default=["en"], help="of each folder, or of all (default: en)"
    )
    p.add_argument("--teacher", type=Path, metavar="DIR", help=TEACHER)
    p.add_argument(
        "--plan", type=Path, metavar="FILE", help="teach: TOML with texts and styles, a file and a list a language"
    )
    p.add_argument("--hours", type=float, default=2.0, help="teach: hours of speech (default: %(default)s)")
    p.add_argument(
        "--recordings", type=Path, nargs="+", default=[], metavar="FILE", help="teach: align.jsonl files to add"
    )
    p.add_argument("--out", type=Path, help="voice folder to write (export, all) or CSV of the score")
    p.add_argument("--minutes", type=float, default=60.0, help="training time (default: %(default)s)")
    p.add_argument("--steps", type=int, help="train a number of steps instead: repeatable bit for bit")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=1, help="processor threads, and alignment processes")
    p.add_argument("--device", default="cpu", help="cpu or cuda")
    p.add_argument("--finetune", type=Path, metavar="VOICE", help="start from the weights of this voice folder")
    p.add_argument("--keep", default=[], nargs="+", metavar="NETWORK=SHARE", help=KEEP)
    p.add_argument(
        "--made", type=float, default=0.0, metavar="SHARE", help="vocos: share of clips as the transformer makes them"
    )
    p.add_argument("--compile", action="store_true", help="torch.compile the transformer")
    p.add_argument(
        "--score-every", type=float, default=15.0, metavar="MINUTES", help="recognition score while training"
    )
    p.add_argument(
        "--prompt",
        action="store_true",
        help="export: the model also speaks in the voice of a clip; score: it follows one",
    )
    p.add_argument(
        "--reference", default=[], nargs="+", metavar="ID", help="export, score: the speakers' reference clips"
    )
    p.add_argument("--cfg", type=float, nargs="+", default=[2.0], help="score: guidance strengths")
    p.add_argument("--sway", type=float, nargs="+", default=[-1.0], help="score: sway coefficients")
    p.add_argument("--nfe", type=int, nargs="+", default=[7], help="score: steps")
    p.add_argument("--sentences", type=int, default=60, help="score: held-out sentences of each speaker")
    listeners.add_options(p)
    p.add_argument("--samples", type=Path, help="score: folder for a few clips of every variant")
    return p


def main(argv: Sequence[str] | None = None, prog: str = "python -m ishowtts.train") -> int:
    """Runs one command line (None: that of the process); returns the exit status.

    0: done. 1: it failed, and stderr says why. 130: interrupted. A command line that cannot
    be parsed ends the process with 2.
    """
    p = parser(prog)
    args = p.parse_args(argv)
    if args.step in ("align", "all") and args.data is None:
        p.error(f"{args.step} needs --data")
    if args.step == "teach" and (args.teacher is None or args.plan is None):
        p.error("teach needs --teacher, a folder made by scripts/teacher, and --plan, a file of texts and styles")
    if args.data is not None and len(args.language) not in (1, len(args.data)):
        p.error("--language needs one language, or as many as there are folders in --data")
    if args.step in ("export", "all", "score") and args.out is None:
        p.error(f"{args.step} needs --out")
    if args.keep and args.finetune is None:
        p.error("--keep needs --finetune, the voice whose weights are kept")
    if not 0 <= args.made <= 1:
        p.error("--made must be from 0 to 1")
    if not args.minutes > 0:
        p.error("--minutes must be positive")
    try:
        args.work.mkdir(parents=True, exist_ok=True)
        _run(args)
    except (OSError, ValueError, IshowError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{prog}: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _bar(what: str) -> Callable[..., Iterator[Any]]:
    from tqdm import tqdm

    def wrap(items: Any, total: int | None = None) -> Iterator[Any]:
        return iter(tqdm(items, total=total, desc=what, mininterval=1))

    return wrap


def _run(args: argparse.Namespace) -> None:
    if args.step == "teach":
        _teach(args)
    if args.step in ("align", "all"):
        _align(args)
    if args.step in ("duration", "all"):
        from . import duration

        duration.train(_options(args, 1.0))
    if args.step in ("dit", "all"):
        from . import dit

        dit.train(_options(args, SHARES["dit"]))
    if args.step == "warm-start":
        from .warm_start import warm_start

        print(f"mean squared error of the features against hibari's: {warm_start(_options(args, 1.0)):.3f}")
    if args.step in ("vocos", "all"):
        _vocos(args)
    if args.step in ("distil", "all"):
        _distil(args)
    if args.step in ("export", "all"):
        from .export import export

        export(args.work, args.out, prompt=args.prompt, references=args.reference, base=_base(args))
        print(f"wrote {args.out}")
    if args.step == "score":
        from ishowtts.quality import listeners

        from .score import score

        grid = [
            (c, s, n, prompted)
            for prompted in ((False, True) if args.prompt else (False,))
            for n in args.nfe
            for s in args.sway
            for c in args.cfg
        ]
        for row in score(
            args.work,
            args.out,
            grid,
            sentences=args.sentences,
            references=args.reference,
            base=_base(args),
            listener=listeners.chosen(args),
            samples=args.samples,
            progress=_bar("score"),
        ):
            print(row)


def _teach(args: argparse.Namespace) -> None:
    from .hibari import Hibari
    from .kokoro import Kokoro
    from .teach import Plan, teach

    count = teach(
        Hibari if args.teacher == HIBARI else functools.partial(Kokoro, args.teacher),
        Plan.read(args.plan),
        args.work,
        args.hours,
        args.threads,
        args.recordings,
    )
    print(f"{count} clips")


def _align(args: argparse.Namespace) -> None:
    from .align import align

    out = args.work / "align.jsonl"
    if args.step == "all" and out.is_file():
        return  # a resumed run
    languages = args.language * len(args.data) if len(args.language) == 1 else args.language
    aligned, failures = align(list(zip(args.data, languages, strict=True)), out, args.threads, _bar("align"))
    print(f"{aligned} clips aligned, {len(failures)} left out")
    for line in failures:
        print(f"  {line}")
    if not aligned:
        raise ValueError("no clip could be aligned: the transcripts must match the clips and be in the language named")


def _vocos(args: argparse.Namespace) -> None:
    from ishowtts.model.vocos import Vocos

    from . import data, lessons, vocos
    from .export import load_models
    from .generated import generate
    from .loop import prepare

    options, mels = _options(args, SHARES["vocos"]), None
    speech = data.load(args.work)
    if args.made:
        prepare(options)
        # 'all' distils the transformer after this step.
        dit, _, _ = load_models(args.work, speech, _base(args), distilled=args.step != "all")
        mels = generate(dit, speech, args.made, args.work / "made.npz", _bar("made"))
    taught: list[lessons.Lesson] = []
    if args.teacher == HIBARI:
        taught = lessons.lessons(speech, Vocos(vocos.architecture(), speech.config), LESSONS)
    vocos.train(options, speech, generated=mels, taught=taught)


def _distil(args: argparse.Namespace) -> None:
    from . import data, distil
    from .export import averaged, load_models

    if args.finetune is None and averaged(args.work, "dit") is None:
        raise ValueError(f"{args.work} has no transformer yet: train one first ('dit'), or name a voice (--finetune)")
    options, speech = _options(args, SHARES["distil"]), data.load(args.work)
    teacher = load_models(args.work, speech, _base(args), distilled=False)[0]
    if args.step == "all" and not distil.is_of(args.work, teacher):  # the transformer was trained further since
        shutil.rmtree(args.work / "distil", ignore_errors=True)
    if distil.train(options, teacher, speech).fraction < 1:
        raise ValueError("the distillation was stopped: the same command goes on with it")


def _base(args: argparse.Namespace) -> BaseVoice | None:
    from .export import BaseVoice

    if args.finetune is None:
        return None
    try:
        shares = {name: float(share) for name, share in (item.split("=") for item in args.keep)}
    except ValueError:
        raise ValueError(f"--keep takes NETWORK=SHARE, as dit=0.15, not {' '.join(args.keep)}") from None
    return BaseVoice(args.finetune, shares)


def _options(args: argparse.Namespace, share: float) -> Options:
    from .data import adopt
    from .loop import Options

    if args.finetune is not None:
        adopt(args.work, args.finetune)
    return Options(
        args.work,
        args.minutes * (share if args.step == "all" else 1.0),
        args.steps,
        args.seed,
        args.threads,
        args.device,
        args.finetune,
        args.compile,
        args.score_every,
    )
