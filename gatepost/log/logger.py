"""The log of one daemon: events, and the one line about each message."""

from __future__ import annotations

import json
import os
import re
import select
import time
import traceback
from typing import Final, Literal

from gatepost.log.sink import Sink, under_journal
from gatepost.log.value import bare, escaped, json_of, quote

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["text", "json"]

MESSAGE_LIMIT: Final = 1000
"""The most characters of an event's own words: several paths, and what to do."""

LINE_LIMIT: Final = select.PIPE_BUF
"""The most octets of one line, its end included: up to here a write to a pipe is all or nothing."""

SEVERITY: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3}
"""The levels as syslog numbers them (RFC 5424 §6.2.1)."""

_ORDER: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_QUEUE_ID = re.compile(r"[A-Za-z0-9]{1,40}").fullmatch
_NO_QUEUE_ID: Final = "NOQUEUE"


class Logger:
    """Writes the lines of one daemon. Shared by everything in a process; survives a fork.

    *level* is the least important kind of line that is written, *daemon* the
    daemon's name, *stream* the file descriptor to write to. ``dropped``
    counts the lines that could not be written.
    """

    def __init__(
        self, level: Level = "info", format: Format = "text", daemon: str = "", stream: int = 2
    ) -> None:
        self.daemon = daemon
        self.dropped = 0
        self._untold = 0
        self._journal = under_journal(stream)
        self._sink = Sink(stream)
        self._second = -1
        self._date = self._zone = self._name = ""
        self._pid = 0
        self.adjust(level, format)

    def adjust(self, level: Level, format: Format) -> None:
        """Write lines of other levels, or in the other format, from now on."""
        self.level: Level = level
        self.format: Format = format
        self._threshold = _ORDER[level]
        self._json = format == "json"

    def close(self) -> None:
        """Write no more. The stream itself stays open."""
        self._sink.close()

    def enabled(self, level: Level) -> bool:
        """Whether lines of this level are written."""
        return _ORDER[level] >= self._threshold

    def event(self, level: Level, message: str, /, **fields: object) -> None:
        """Something happened. *message* is our own words; *fields* follow it. None leaves a field out."""
        if _ORDER[level] < self._threshold:
            return
        if self._json:
            self._emit_json(level, {"message": escaped(message[:MESSAGE_LIMIT])}, fields)
        else:
            self._emit_text(level, escaped(message[:MESSAGE_LIMIT]), fields)

    def message(self, queue_id: str, /, **fields: object) -> None:
        """The one line about a message, at level info. No *queue_id* reads ``NOQUEUE``, as in Postfix."""
        if self._threshold > 20:
            return
        if self._json:
            self._emit_json("info", {"queue_id": json_of(queue_id)}, fields)
        elif _QUEUE_ID(queue_id) is not None:
            self._emit_text("info", queue_id + ":", fields)
        else:
            self._emit_text("info", (quote(queue_id) if queue_id else _NO_QUEUE_ID) + ":", fields)

    def failure(self, message: str, error: BaseException, /, **fields: object) -> None:
        """Something of ours broke: an error line with what *error* says and where it came through."""
        frames = traceback.extract_tb(error.__traceback__)[-4:]
        places = [f"{os.path.basename(frame.filename)}:{frame.lineno}:{frame.name}" for frame in frames]
        fields["error"] = f"{type(error).__name__}: {error}"
        fields["at"] = "<".join(reversed(places)) or None
        self.event("error", message, **fields)

    def _emit_text(self, level: Level, head: str, fields: dict[str, object]) -> None:
        parts = [self._prefix(level), head]
        for key, value in fields.items():
            if type(value) is str and bare(value) is not None:
                parts.append(f" {key}={value}")
            elif value is not None:
                parts.append(f" {key}={quote(value)}")
        self._write("".join(parts).encode("utf-8", "backslashreplace"))

    def _emit_json(self, level: Level, head: dict[str, object], fields: dict[str, object]) -> None:
        record: dict[str, object] = {
            "time": self._clock(),
            "level": level,
            "daemon": self.daemon,
            "pid": self._pid,
            **head,
        }
        for key, value in fields.items():
            if value is not None and key not in record:
                record[key] = json_of(value)
        line = json.dumps(record)
        while len(line) >= LINE_LIMIT:  # a cut object would be no object: leave out the last fields
            record.popitem()
            line = json.dumps(record | {"cut": True})
        self._write(line.encode("ascii"))

    def _clock(self) -> str:
        """The local time to the millisecond (RFC 3339). The part that changes once a second is kept."""
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            local = time.localtime(second)
            self._date = time.strftime("%Y-%m-%dT%H:%M:%S", local)
            zone = time.strftime("%z", local)
            self._zone = f"{zone[:3]}:{zone[3:]}"
            self._pid = os.getpid()
            self._name = f" gatepost/{self.daemon}[{self._pid}]: "
        return f"{self._date}.{int(now * 1000) % 1000:03d}{self._zone}"

    def forked(self) -> None:
        """Say in a child process that it is another process."""
        self._second = -1
        self._untold = 0

    def _prefix(self, level: Level) -> str:
        if self._journal:
            return f"<{SEVERITY[level]}>"
        stamp = self._clock()
        if level == "info":
            return stamp + self._name
        return f"{stamp}{self._name}{level}: "

    def _write(self, line: bytes) -> None:
        if len(line) >= LINE_LIMIT:
            # Not within a character.
            line = line[: LINE_LIMIT - 4].decode("utf-8", "ignore").encode() + b"..."
        if self._untold:
            lost, self._untold = self._untold, 0
            if not self._sink.write(self._lost_line(lost)):
                self._untold = lost + 1
                self.dropped += 1
                return
        if not self._sink.write(line + b"\n"):
            self._untold += 1
            self.dropped += 1

    def _lost_line(self, lost: int) -> bytes:
        text = "log lines were lost: the reader of standard error did not keep up"
        if self._json:
            record = {"time": self._clock(), "level": "warning", "daemon": self.daemon, "pid": self._pid}
            return json.dumps(record | {"message": text, "lines": lost}).encode("ascii") + b"\n"
        return f"{self._prefix('warning')}{text} lines={lost}\n".encode()
