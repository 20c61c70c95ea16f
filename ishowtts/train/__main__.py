"""`python -m ishowtts.train`."""

import sys

from ishowtts.train import main

if __name__ == "__main__":
    sys.exit(main())
