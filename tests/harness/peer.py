"""OpenDKIM and OpenDMARC in the foreground, each with a configuration of its own."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from tests.harness.ports import LOOPBACK, free_port, listening
from tests.harness.process import Process

NOBODY = "192.0.2.255"
"""An address that no client ever has: with it as the only one of a list, nobody is on the list."""

_OPTION = {"opendkim": "-x", "opendmarc": "-c"}


class Expendable(Process):
    """A program that has nothing to save: libmilter would take five seconds over a SIGTERM."""

    def stop(self, timeout: float = 0.0) -> int | None:
        """End it at once."""
        if self.status is None:
            self.signal(signal.SIGKILL)
        return super().stop(timeout)


class Peer(Expendable):
    """One of the two on *port* of the loopback (0: a free one), which ``milter`` names as Postfix does.

    *settings* are lines of its configuration, beside and over what each run in the foreground
    needs. Configuration and output lie in *directory*, which several may share.
    """

    def __init__(
        self,
        program: Literal["opendkim", "opendmarc"],
        directory: Path,
        settings: Mapping[str, str],
        port: int = 0,
    ) -> None:
        self.port = port or free_port()
        self.milter = f"inet:{LOOPBACK}:{self.port}"
        common = {"Socket": f"inet:{self.port}@{LOOPBACK}", "Background": "no", "Syslog": "no"}
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / f"{program}.{self.port}.conf"
        file.write_text("".join(f"{name} {value}\n" for name, value in {**common, **settings}.items()))
        super().__init__(
            [program, "-f", _OPTION[program], str(file)],
            directory / f"{program}.{self.port}.log",
            ready=lambda: listening(self.port),
        )
