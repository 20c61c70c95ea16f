"""`python -m ishowtts.train`."""

import sys

from ishowtts.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
