"""Build the library, the extension modules and the server executable into the wheel.

The Makefile is the only description of the C build; this file asks it for the release variant, linked against the
interpreter that runs the build, and puts the results where the wheel (or an editable install) wants them.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
RELEASE = ROOT / "build" / "release"
HEADER = (ROOT / "include" / "ishow.h").read_text(encoding="utf-8")
VERSION = ".".join(re.findall(r"define ISHOW_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", HEADER))


class MakeExt(build_ext):
    """Take every module of csrc/pyext from the Makefile instead of compiling it again."""

    def run(self) -> None:
        """Build with make, then copy modules, the library and the server."""
        jobs = str(os.cpu_count() or 1)
        # A path inside the checkout is given relative to it: make splits one with a space.
        root = ROOT.resolve()
        python = os.path.relpath(sys.executable, root) if sys.executable.startswith(f"{root}/") else sys.executable
        subprocess.run(["make", "-j", jobs, f"PYTHON={python}", "server", "ext"], cwd=ROOT, check=True)
        super().run()
        package = ROOT / "ishowtts" if self.inplace else Path(self.build_lib) / "ishowtts"
        library = f"libishow.so.{VERSION.split('.')[0]}"
        self._install(RELEASE / "lib" / library, package / "lib" / library)
        self._install(RELEASE / "ishowtts-server", package / "bin" / "ishowtts-server")

    def build_extension(self, ext: Extension) -> None:
        """Copy one module."""
        target = Path(self.get_ext_fullpath(ext.name))
        self._install(RELEASE / "ext" / target.name, target)

    @staticmethod
    def _install(source: Path, target: Path) -> None:
        # A new file under the old name: a running server keeps the text it was started from.
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(target.name + ".new")
        shutil.copy2(source, temporary)
        temporary.replace(target)


setup(
    version=VERSION,
    ext_modules=[
        Extension(f"ishowtts.{path.stem}", [str(path.relative_to(ROOT))])
        for path in sorted((ROOT / "csrc" / "pyext").glob("_*.c"))
    ],
    cmdclass={"build_ext": MakeExt},
)
