"""A process that serves the scripted daemon through libmilter, on the listening socket whose descriptor it is given.

It says "ready" and serves. To each line of its standard input it tells how
many messages were cancelled so far; when that ends, it stops within the seconds
of grace in its second argument.
"""

from __future__ import annotations

import asyncio
import socket
import sys

from gatepost.config.sections import Limits
from milters.libmilter import LibmilterWorker
from tests.unit.milters.handlers import ScriptedHandler
from tests.unit.milters.serving import Log


async def main() -> None:
    grace = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    handler = ScriptedHandler()
    limits = Limits(header_fields=50, recipients=3)
    worker = LibmilterWorker(handler, limits=limits, log=Log(), progress_interval=0.05)
    await worker.start([socket.socket(fileno=int(sys.argv[1]))])
    print("ready", flush=True)  # noqa: T201
    while await asyncio.to_thread(sys.stdin.readline):
        print(handler.cancelled, flush=True)  # noqa: T201
    print("stopping", flush=True)  # noqa: T201
    await worker.stop(grace)
    print("stopped", flush=True)  # noqa: T201


asyncio.run(main())
