"""``python -m gatepost`` is the ``gatepost`` command."""

import sys

from gatepost.cli import main

if __name__ == "__main__":
    sys.exit(main())
