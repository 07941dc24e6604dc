"""The log of a process whose standard error nobody reads: to syslog, as Postfix's own programs write there."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Final

from gatepost.log.logger import SEVERITY, Format, Level, Logger

SOCKET: Final = Path("/dev/log")
"""Where the local syslog listens."""

_MAIL: Final = 2 << 3


class SyslogLogger(Logger):
    """A :class:`~gatepost.log.logger.Logger` that writes to the syslog at *path*, facility mail (RFC 3164 §4.1).

    Lines are always text: they stand among Postfix's. Raises OSError where nobody listens.
    """

    def __init__(self, daemon: str, path: Path = SOCKET) -> None:
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._connection.connect(str(path))
            super().__init__("info", "text", daemon, self._connection.fileno())
        except BaseException:
            self._connection.close()
            raise

    def adjust(self, level: Level, format: Format) -> None:
        """Write lines of other levels from now on; the format stays."""
        super().adjust(level, "text")

    def close(self) -> None:
        """Write no more."""
        super().close()
        self._connection.close()

    def _prefix(self, level: Level) -> str:
        self._clock()  # brings the name up to date
        stamp = time.strftime("%b %e %H:%M:%S")
        word = "" if level == "info" else f"{level}: "
        return f"<{_MAIL | SEVERITY[level]}>{stamp}{self._name}{word}"
