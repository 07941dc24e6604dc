"""The policy server with a scripted service, on a loop in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from policy.handler import Request
from policy.server import PolicyWorker
from tests.unit.milters.serving import Server


class ScriptedService:
    """Does what the sender's local part says, or answers *fixed*; keeps the requests that it has seen."""

    name = "scripted"

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.gate = asyncio.Event()
        self.cancelled = 0
        self.closed = 0
        self.fixed = ""

    def decide(self, request: Request) -> str | Awaitable[str]:
        self.requests.append(request)
        if self.fixed:
            return self.fixed
        script = request.sender.partition("@")[0]
        match script:
            case "raise":
                raise RuntimeError("as the script says")
            case "none":
                return None  # type: ignore[return-value]
            case "empty":
                return " "
            case "inject":
                return "DUNNO\n\naction=REJECT\r\nmore"
            case "wait" | "raise-later" | "never" | "cancel" | "slow":
                return self._later(script, request)
        return f"PREPEND X-Seen: {request.recipient}"

    async def _later(self, script: str, request: Request) -> str:
        if script == "raise-later":
            await asyncio.sleep(0)
            raise RuntimeError("as the script says, later")
        if script == "cancel":
            raise asyncio.CancelledError
        if script == "slow":
            await asyncio.sleep(0.05)
        try:
            if script == "wait":
                await self.gate.wait()
            elif script == "never":
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return f"PREPEND X-Waited: {request.recipient}"

    async def close(self) -> None:
        self.closed += 1


class PolicyServer(Server):
    """The policy server with a ScriptedService, on a unix socket (*path*) or a free TCP port of 127.0.0.1."""

    make = PolicyWorker
    handler: ScriptedService

    def __init__(self, path: Path | None = None, **options: Any) -> None:
        super().__init__(ScriptedService(), path, **options)

    def open_gate(self) -> None:
        """Let all answers that wait be given."""
        self.loop.call_soon_threadsafe(self.handler.gate.set)
