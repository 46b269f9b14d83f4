"""`python -m node`: the command line of an office. The installed `kogge` is central's: it can do that and more."""

from __future__ import annotations

import sys

from node import command

if __name__ == "__main__":
    sys.exit(command.main(sys.argv[1:]))
