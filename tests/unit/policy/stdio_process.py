"""A process that serves the scripted service on standard input and output: ``stdio_process CONFIG [SYSLOG]``."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Awaitable
from pathlib import Path

from gatepost.cli.run import run_on_stdio
from gatepost.config.settings import Config
from policy import stdio
from policy.assembly import PolicyDaemon
from policy.handler import Request
from tests.unit.policy.serving import ScriptedService


class OpenService(ScriptedService):
    """Lets nothing wait, and prints. At "stop", SIGTERM arrives while the answer is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.gate.set()
        print("this must not meet the protocol", flush=True)  # noqa: T201

    def decide(self, request: Request) -> str | Awaitable[str]:
        if request.sender == "stop@x":
            os.kill(os.getpid(), signal.SIGTERM)
            return self._later("slow", request)
        return super().decide(request)


def build(config: Config, name: str) -> PolicyDaemon:
    return PolicyDaemon(name, config.daemons[name], lambda _log, _metrics, _clock: OpenService())


if len(sys.argv) > 2:
    stdio.logger = functools.partial(stdio.logger, path=Path(sys.argv[2]))
sys.exit(run_on_stdio("scripted", Path(sys.argv[1]), build))
