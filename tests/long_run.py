"""What the long forms of tests share: a command line, a table of results, a chat without limits."""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Mapping, Sequence

from serving import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))


def command_line(text: str | None) -> argparse.ArgumentParser:
    """A parser whose help is a module's docstring."""
    return argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)


def record(table: str, rows: Sequence[Mapping[str, object]], by: str) -> None:
    """Print rows, and write them to benchmarks/results/`table`.csv, where rows with other values of `by` stay."""
    from common import write_csv

    for row in rows:
        print(row, flush=True)
    write_csv(table, rows, by)


def recorded(table: str, *, here: bool = False, **wanted: str) -> list[dict[str, str]]:
    """The rows of a table that have these values; here: only those of this machine."""
    from common import RESULTS, processor

    if here:
        wanted["machine"] = processor()
    path = RESULTS / f"{table}.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if all(row[key] == value for key, value in wanted.items())]


def commit_of(*folders: str) -> str:
    """The last commit that changed one of these folders, with "+" where files in them differ from it."""
    made = subprocess.run(
        ["git", "log", "-1", "--format=%h", "--", *folders], cwd=ROOT, check=True, capture_output=True
    )
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *folders], cwd=ROOT).returncode
    return made.stdout.decode().strip() + "+" * changed


def settings(*given: str) -> tuple[str, ...]:
    """Arguments of a server."""
    return tuple(word for one in given for word in ("--set", one))


def unlimited_chat(expire_seconds: int = 0) -> tuple[str, ...]:
    """Arguments of a server whose chat takes every message; 0: messages wait for ever."""
    limits = ("rate=0", "repeat_seconds=0", "flood_messages=0", "queue_max=4096", f"expire_seconds={expire_seconds}")
    return settings(*(f"chat.{limit}" for limit in limits))


def message(name: str, viewer: str = "Eve") -> dict[str, str]:
    """A message of a viewer; `name`: its id."""
    return {"id": name, "platform": "test", "channel": "room", "username": viewer, "content": f"This is {name}."}
