"""Serves one daemon of gatepost.yaml on an engine: ``python -m tests.sessions.serve ENGINE NAME SCRATCH SOCKET``.

Says "ready" on standard output, and stops when standard input ends.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.sessions.daemons import Engine, daemon, listen, worker


async def main(engine: Engine, name: str, scratch: Path, path: Path) -> None:
    serving = worker(daemon(name, scratch, engine))
    await serving.start([listen(path)])
    print("ready", flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.read)
    await serving.stop(0)


if __name__ == "__main__":
    _, word, name, scratch, path = sys.argv
    asyncio.run(main("libmilter" if word == "libmilter" else "asyncio", name, Path(scratch), Path(path)))
