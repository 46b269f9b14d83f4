"""The console script `kogge`: everything that a node can do, and what only head office and the demo need."""

from __future__ import annotations

import sys

from central import command


def main() -> int:
    """Run the command line; the exit code."""
    return command.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
