"""What libraries say through :mod:`logging`, brought into our own log."""

from __future__ import annotations

import logging

from gatepost.log.logger import Logger


class Bridge(logging.Handler):
    """Brings what libraries say through :mod:`logging` into our log, one line each."""

    def __init__(self, log: Logger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*, an exception as our own failures are written."""
        text = record.getMessage().split("\n", 1)[0]
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self._log.failure(text, error, source=record.name)
        elif record.levelno >= logging.ERROR:
            self._log.event("error", text, source=record.name)
        elif record.levelno >= logging.WARNING:
            self._log.event("warning", text, source=record.name)
        else:
            self._log.event("debug", text, source=record.name)


def adopt_libraries(log: Logger) -> None:
    """Let the whole process's :mod:`logging` end in *log*, from level warning on."""
    root = logging.getLogger()
    root.handlers[:] = [Bridge(log)]
    root.setLevel(logging.WARNING)
