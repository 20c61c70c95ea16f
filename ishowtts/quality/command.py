"""`ishowtts quality`: measure clips, report the measures, compare them with a baseline."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ishowtts.errors import ConfigError
from ishowtts.options import Parser, add_speaker, speaker

from . import baseline, clips, listeners, report, sources
from .clips import Clip
from .measure import GROUPS, Judges, Row, Scorer, table


def parser(prog: str) -> Parser:
    """The argument parser of the command."""
    p = Parser(
        prog=prog, description="Measure the quality of speech: of files, of folders, of a server, or of the model here."
    )
    p.add_argument("source", nargs="*", help="audio files, folders, URLs, the address of a server; none: the model")
    p.add_argument(
        "--reference", metavar="PATH", help="a clip of the voice, or a folder of recordings with the clips' names"
    )
    p.add_argument(
        "--texts", metavar="FILE", type=Path, help="what clips say, as `name|text` lines; or what shall be said"
    )
    p.add_argument("--measure", metavar="LIST", help=f"groups, of {','.join(GROUPS)} (default: all that is installed)")
    p.add_argument(
        "--language", help="of the texts, as en, zh or de (default: by their script, English for Latin letters)"
    )
    listeners.add_options(p)
    p.add_argument("--mos", default=Judges.mos, help="distillmos, dnsmos or utmos=FILE (default: %(default)s)")
    p.add_argument("--similarity", default=Judges.similarity, help="resemblyzer or wavlm=FOLDER (default: %(default)s)")
    p.add_argument("--json", metavar="FILE", help="write all figures; - is standard output, in place of the table")
    p.add_argument("--csv", metavar="FILE", help="write one row a clip")
    p.add_argument("--html", metavar="FILE", help="write a page with players, spectrograms and plots")
    p.add_argument(
        "--baseline", metavar="FILE", type=Path, help="compare with this baseline: status 1 when something is worse"
    )
    p.add_argument("--store", action="store_true", help="write the baseline instead of comparing with it")
    p.add_argument("--key", help="API key of the server")
    add_speaker(p)  # that speaks when no source is given
    p.add_argument("--precision", help="of that model")
    p.add_argument("--nfe", type=int, help="steps of that model")
    return p


def _write(path: str, content: str) -> None:
    if not Path(path).absolute().parent.is_dir():
        raise ConfigError(f"there is no folder {Path(path).absolute().parent} to write to", field="output")
    Path(path).write_text(content, encoding="utf-8")


def _spoken(options: argparse.Namespace, sentences: dict[str, str]) -> Iterator[tuple[Clip, Row]]:
    from ishowtts.engine import open_speaker

    settings = speaker(options)
    if options.threads is None:  # waiting threads use processor time, which is measured
        settings = settings.model_copy(update={"model": settings.model.model_copy(update={"threads": 1})})
    chosen: dict[str, Any] = {} if options.nfe is None else {"nfe": options.nfe}
    precision = {} if options.precision is None else {"precision": options.precision}
    with open_speaker(settings, **precision) as engine:
        yield from baseline.spoken(engine, sentences, **chosen)


def _gathered(options: argparse.Namespace, said: dict[str, str]) -> Iterator[tuple[Clip, Row]]:
    sentences = said or sources.texts()
    for source in sources.gather(options.source):
        if isinstance(source, Path):
            yield clips.read(source, said.get(source.stem)), {}
        else:
            yield from ((clip, {}) for clip in sources.from_url(source, sentences, options.key))


def run(options: argparse.Namespace, report_to: Callable[[list[Row], list[str]], None] | None = None) -> int:
    """Run the command with parsed options; the exit status, 1 where something is worse than the baseline.

    `report_to`: called with the measures of all clips and the sentences about what is worse. IshowError: a source, a
    file or an option cannot be used.
    """
    from tqdm import tqdm

    for path in (options.json, options.csv, options.html):
        if path not in (None, "-") and not Path(path).absolute().parent.is_dir():
            raise ConfigError(f"there is no folder {Path(path).absolute().parent} to write to", field="output")
    if options.store and not options.baseline:
        raise ConfigError("--store needs --baseline FILE", field="baseline")
    if options.store and not options.baseline.absolute().parent.is_dir():
        raise ConfigError(f"there is no folder {options.baseline.absolute().parent} to write to", field="baseline")
    stored = baseline.load(options.baseline) if options.baseline and not options.store else None
    said = sources.texts(options.texts) if options.texts else {}
    sources.gather(options.source)  # reports a wrong path before the models of the measures are loaded
    voice, recordings = sources.recordings(options.reference)
    groups = [group.strip() for group in options.measure.split(",")] if options.measure else None
    scorer = Scorer(groups, Judges(listeners.chosen(options), options.mos, options.similarity), options.language)
    spoken = _gathered(options, said) if options.source else _spoken(options, said or sources.texts())
    rows: list[Row] = []
    heard: list[Clip] = []
    references: dict[str, Clip] = {}
    for clip, more in tqdm(spoken, unit="clip", disable=not sys.stderr.isatty(), leave=False):
        if clip.name in recordings:
            references[clip.name] = clips.read(recordings[clip.name])
        rows.append(scorer(clip, voice=voice, recording=references.get(clip.name)) | more)
        heard.append(clip)
    if options.csv:
        _write(options.csv, table(rows).to_csv(index=False))
    if options.html:
        _write(options.html, report.as_html(rows, heard, scorer.missing, references))
    if options.json and options.json != "-":
        _write(options.json, report.as_json(rows, scorer.missing) + "\n")
    print(report.as_json(rows, scorer.missing) if options.json == "-" else report.text(rows, scorer.missing))
    if options.store:
        baseline.store(options.baseline, rows, heard)
        print(f"stored {len(rows)} clips in {options.baseline}", file=sys.stderr)
    alarms = baseline.compare(stored, rows, heard) if stored is not None else []
    worse = [f"{alarm.kind}: {alarm.sentence}" for alarm in alarms]
    for sentence in worse:
        print(sentence, file=sys.stderr)
    if report_to is not None:
        report_to(rows, worse)
    if stored is not None and not alarms:
        print(f"nothing is worse than in {options.baseline}", file=sys.stderr)
    return 1 if alarms else 0


def main(arguments: Sequence[str], prog: str = "ishowtts quality") -> int:
    """Run the command with its arguments; the exit status."""
    return run(parser(prog).parse_args(arguments))
