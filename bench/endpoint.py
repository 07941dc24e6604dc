"""Where a daemon listens: on a unix socket in its directory, or on a TCP port of the loopback."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.harness.milter_client import Address
from tests.harness.ports import LOOPBACK, free_port, listening, listening_at


@dataclass(frozen=True)
class Endpoint:
    """Unix where *path* is given, TCP otherwise."""

    path: Path | None = None
    port: int = 0

    @classmethod
    def tcp(cls) -> Endpoint:
        """A free port."""
        return cls(port=free_port())

    @property
    def address(self) -> Address:
        """As the harness's clients take it."""
        return str(self.path) if self.path else (LOOPBACK, self.port)

    @property
    def libmilter(self) -> str:
        """As libmilter and gatepost write it."""
        return f"local:{self.path}" if self.path else f"inet:{self.port}@{LOOPBACK}"

    @property
    def postfix(self) -> str:
        """As Postfix writes it."""
        return f"unix:{self.path}" if self.path else f"inet:{LOOPBACK}:{self.port}"

    def ready(self) -> bool:
        """Whether somebody listens there, without a connection that it would see."""
        return listening_at(self.path) if self.path else listening(self.port)
