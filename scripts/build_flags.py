"""Print build facts of the interpreter that runs this.

`cflags`, `suffix` (of modules), or link flags: `embed` (of a program), `library`. ISHOWTTS_SYSROOT names the folder of
another processor's system, to which paths of headers and libraries belong then.
"""

import os
import sys
import sysconfig
from pathlib import Path


def main() -> None:
    """Print one line of flags."""
    get = sysconfig.get_config_var
    root = os.environ.get("ISHOWTTS_SYSROOT", "")
    if sys.argv[1] == "cflags":
        print("-I" + root + sysconfig.get_path("include"))
        return
    if sys.argv[1] == "suffix":
        print(get("EXT_SUFFIX"))
        return
    libdir, version = get("LIBDIR"), get("LDVERSION")
    if (
        sys.argv[1] == "library"
    ):  # without a shared libpython, the program that loads the library must bring the symbols
        shared = any(Path(root + libdir).glob(f"libpython{version}.so*"))
        print(f"-L{root}{libdir} -lpython{version} -Wl,-rpath,{libdir} -Wl,-z,defs" if shared else "")
        return
    flags = [f"-L{root}{libdir}", f"-L{root}{get('LIBPL')}", f"-lpython{version}"]
    flags += [*get("LIBS").split(), *get("SYSLIBS").split()]
    # Extension modules find the interpreter's symbols in the program that embeds it.
    flags += ["-Wl,--export-dynamic", f"-Wl,-rpath,{libdir}"]
    if os.environ.get(
        "ISHOWTTS_STATIC_PYTHON"
    ):  # a wheel cannot rely on a shared interpreter, so its server has one inside
        whole = ["-no-pie", "-Wl,--whole-archive", f"-l:libpython{version}.a", "-Wl,--no-whole-archive"]
        flags = [part for flag in flags for part in (whole if flag == f"-lpython{version}" else [flag])]
        flags += (get("MODLIBS") or "").split()
    print(" ".join(flags))


if __name__ == "__main__":
    main()
