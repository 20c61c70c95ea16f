"""The form of the source: no circular imports, short files and lines, few arguments of formats."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ishowtts"
LINES, COLUMNS, FORMATTED = 500, 120, 8
PRAGMA = re.compile(r"  # (type: ignore|noqa|fmt: skip).*$")


def modules() -> dict[str, Path]:
    """Files of the package by the names of their modules; of an extension module its stub."""
    found = {}
    for path in (*PACKAGE.rglob("*.py"), *PACKAGE.glob("_*.pyi")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """Modules of the package that a module imports: at its head, in functions, for type checkers.

    A stub describes a module in C, which imports no other; a stub imports types only.
    """
    if path.suffix == ".pyi":
        return set()
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *filter(None, [node.module])])
            named = {f"{base}.{alias.name}" for alias in node.names}
            found |= (named & known.keys()) | ({base} & known.keys() if named - known.keys() else set())
    return found - {name}


def test_modules_do_not_import_one_another_in_circles() -> None:
    known = modules()
    graph = {name: imports(name, path, known) for name, path in known.items()}
    assert len(graph) > 100 and "ishowtts._engine" in graph["ishowtts.engine"], "the imports were not found"
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(reversed(error.args[1]))) from None


def sources() -> list[Path]:
    """Source files and documents of the checkout that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    kinds = (".c", ".h", ".py", ".pyi", ".js", ".css", ".html", ".sh", ".md")
    return [ROOT / name for name in listed.split("\0") if name.endswith(kinds) and (ROOT / name).is_file()]


def test_files_are_short() -> None:
    counts = {str(path.relative_to(ROOT)): path.read_bytes().count(b"\n") for path in sources()}
    assert not {name: lines for name, lines in counts.items() if lines >= LINES}


def test_lines_are_short() -> None:
    wide = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources()
        if path.suffix != ".md"  # tests/docs knows which of its lines cannot be broken
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(PRAGMA.sub("", line)) > COLUMNS
    ]
    assert not wide


LEXEMES = re.compile(r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])+' | \w+ | \S""", re.S | re.X)
OPEN, CLOSE = "([{", ")]}"


def calls(source: str) -> Iterator[tuple[str, list[str]]]:
    """Calls in C source: the function's name and its arguments, as text without spaces."""
    words = [word for word in LEXEMES.findall(source) if not word.startswith(("/*", "//"))]
    for start, (name, after) in enumerate(pairwise(words)):
        if after != "(" or not name.isidentifier():
            continue
        arguments, depth = [""], 0
        for word in words[start + 1 :]:
            depth += (word in OPEN) - (word in CLOSE)
            if depth == 0:
                break
            if depth == 1 and word == ",":
                arguments.append("")
            elif depth > 1 or word != "(":
                arguments[-1] += word
        yield name, arguments


def values_of_format(name: str, arguments: list[str]) -> int:
    """How many arguments follow the format of a call such as printf, json_pack or Py_BuildValue; 0: it has none."""
    packs = re.search("json_(un)?pack|BuildValue|PyArg_Parse", name)
    for place, argument in enumerate(arguments):
        if argument.startswith('"') and (packs or "%" in argument):
            return len(arguments) - place - 1
    return 0


def test_formats_take_few_arguments() -> None:
    sample = calls("""f(1, g("%d, %s", (a, b), h(','))); /* f("%d", 1) */""")
    assert [values_of_format(*call) for call in sample] == [0, 2, 0]
    long = {}
    for path in sources():
        if path.suffix in (".c", ".h"):
            for name, arguments in calls(path.read_text(encoding="utf-8")):
                if values_of_format(name, arguments) > FORMATTED:
                    long[f"{path.relative_to(ROOT)}: {name}"] = len(arguments)
    assert not long
