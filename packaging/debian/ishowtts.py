#!/usr/bin/python3
"""The command line of the packages of Debian: its modules are in a folder of their own."""

import sys

sys.path.insert(0, "/usr/lib/ishow")

from ishowtts.cli import main

sys.exit(main())
