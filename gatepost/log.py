"""One line a thing that happened, to standard error.

``text`` is what Postfix's own log looks like: the queue id, then ``key=value``.
``json`` is one object a line. Under systemd each line begins with its priority
(``<6>``) and the journal adds time and process; elsewhere the line brings both.

Values may come from strangers. Nothing they hold can end a line, begin a
field or reach the terminal: what is not printable is written as an escape,
values with spaces or quotes are quoted, and each is cut at 200 characters.

A line is one ``write`` of at most ``PIPE_BUF`` octets. A reader that does not
keep up costs lines, never time: they are dropped and counted, and the next
line that goes through is preceded by one that tells how many were lost.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import select
import socket
import stat
import time
import traceback
from typing import Final, Literal

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["text", "json"]

VALUE_LIMIT: Final = 200
"""The most characters of one value that are written."""

MESSAGE_LIMIT: Final = 1000
"""The most characters of an event's own words: several paths, and what to do."""

LINE_LIMIT: Final = select.PIPE_BUF
"""The most octets of one line, its end included: up to here a write to a pipe is all or nothing."""

_SYSLOG: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3}
_ORDER: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_BARE = re.compile(r"[!#-\[\]-~]{1,200}").fullmatch
_QUEUE_ID = re.compile(r"[A-Za-z0-9]{1,40}").fullmatch
_NO_QUEUE_ID: Final = "NOQUEUE"


def _text_of(value: object) -> str:
    """*value* as text of at most the limit, octets that are no UTF-8 as ``\\xNN``."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, bytes):
        text = value[: VALUE_LIMIT * 4].decode("utf-8", "backslashreplace")
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, float):
        text = f"{value:.6g}"
    elif isinstance(value, (list, tuple)):
        text = ",".join(_text_of(item) for item in value[:VALUE_LIMIT])
    else:
        text = str(value)
    if len(text) > VALUE_LIMIT:
        text = text[: VALUE_LIMIT - 1] + "…"
    return text


def _escaped(text: str) -> str:
    """*text* with all escaped that is not printable: controls, line separators, bidi marks, surrogates."""
    if text.isprintable():
        return text
    parts = []
    for character in text:
        code = ord(character)
        if character.isprintable():
            parts.append(character)
        elif 0xDC80 <= code <= 0xDCFF:  # an octet that was no UTF-8 (surrogateescape)
            parts.append(f"\\x{code - 0xDC00:02x}")
        elif code < 0x100:
            parts.append(f"\\x{code:02x}")
        else:
            parts.append(f"\\u{code:04x}")
    return "".join(parts)


def quote(value: object) -> str:
    """*value* as it stands after ``key=``: bare where nothing can be misread, else in double quotes."""
    if type(value) is int:
        return str(value)
    text = _text_of(value)
    if _BARE(text) is not None:
        return text
    text = _escaped(text.replace("\\", "\\\\").replace('"', '\\"'))
    return f'"{text}"'


def _json_of(value: object) -> object:
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    text = _text_of(value)
    return (
        text
        if text.isascii()
        else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    )


class Sink:
    """Where lines go: one file descriptor, written to without ever waiting where that is possible."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._own: int | None = None
        self._socket: socket.socket | None = None
        self._cut = False
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISSOCK(kind):
            self._socket = socket.socket(fileno=os.dup(descriptor))
        elif stat.S_ISFIFO(kind):
            # A description of our own: the flag would otherwise hold for all who share this pipe.
            try:
                self._descriptor = self._own = os.open(
                    f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
                )
            except OSError:
                pass  # no /proc, or not allowed: writes may then wait for the reader

    def write(self, line: bytes) -> bool:
        """Write *line*; False when it could not be written whole."""
        try:
            if self._socket is not None:
                return self._socket.send(line, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL) == len(line)
            if self._cut:  # a full disk took only the beginning of a line: end it
                line = b"\n" + line
            written = os.write(self._descriptor, line)
        except OSError:
            return False
        self._cut = written < len(line)
        return not self._cut

    def close(self) -> None:
        """Let go of what was opened here; the descriptor that was given stays open."""
        if self._socket is not None:
            self._socket.close()
        if self._own is not None:
            os.close(self._own)
            self._own = None


def _under_journal(descriptor: int) -> bool:
    """Whether *descriptor* is the stream that systemd tells of in JOURNAL_STREAM (systemd.exec(5))."""
    told = os.environ.get("JOURNAL_STREAM")
    if not told:
        return False
    status = os.fstat(descriptor)
    return told == f"{status.st_dev}:{status.st_ino}"


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
        self._journal = _under_journal(stream)
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
            self._emit_json(level, {"message": _escaped(message[:MESSAGE_LIMIT])}, fields)
        else:
            self._emit_text(level, _escaped(message[:MESSAGE_LIMIT]), fields)

    def message(self, queue_id: str, /, **fields: object) -> None:
        """The one line about a message, at level info. No *queue_id* reads ``NOQUEUE``, as in Postfix."""
        if self._threshold > 20:
            return
        if self._json:
            self._emit_json("info", {"queue_id": _json_of(queue_id)}, fields)
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
            if type(value) is str and _BARE(value) is not None:
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
                record[key] = _json_of(value)
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
            return f"<{_SYSLOG[level]}>"
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
