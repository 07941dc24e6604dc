"""``python -m script.packages``: what ``script/package`` runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from script.packages.debian_package import make_deb
from script.packages.distributions import make_sdist, make_wheel
from script.packages.lock import write_lock
from script.packages.tree import ROOT, PackagingError

_MAKERS: Mapping[str, Callable[[str], Path]] = {
    "sdist": lambda revision: make_sdist(),
    "wheel": lambda revision: make_wheel(),
    "deb": make_deb,
}


def main() -> int:
    """Make what is asked for; exit status 0 when it is there."""
    parser = argparse.ArgumentParser(prog="script/package", description="Make packages, below dist/.")
    parser.add_argument(
        "what", nargs="?", choices=[*_MAKERS, "lock", "all"], default="all", help="(default: all but lock)"
    )
    parser.add_argument("--revision", default="1", help="of the Debian package (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        if arguments.what == "lock":
            write_lock()
        for what, make in _MAKERS.items():
            if arguments.what in (what, "all"):
                print(make(arguments.revision).relative_to(ROOT))
    except PackagingError as error:
        print(f"script/package: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
