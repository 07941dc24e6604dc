"""The machine's first process: furnishes it and runs the tests, with the arguments that are given to pytest.

``--shell`` opens a shell there instead, ``--shell COMMAND…`` runs that; ``--record`` records sessions;
``--load`` measures a thousand mails, with arguments of its own.
"""

from __future__ import annotations

import os
import sys

from tests.pipeline.machine import furnish, run


def main(arguments: list[str]) -> int:
    """The exit status of what was run."""
    furnish()
    if arguments[:1] == ["--shell"]:
        return run(arguments[1:] or [os.environ.get("SHELL", "/bin/bash")])
    if arguments[:1] == ["--record"]:
        return run([sys.executable, "-m", "tests.pipeline.record"])
    if arguments[:1] == ["--load"]:
        return run([sys.executable, "-m", "tests.pipeline.load", *arguments[1:]])
    return run([sys.executable, "-m", "pytest", "tests/pipeline", *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
