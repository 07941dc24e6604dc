"""A line-oriented server in threads: what the sink, the pass-through filter and the login server share."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Self

from tests.harness.lasting import Startable
from tests.harness.ports import LOOPBACK, free_port
from tests.harness.waiting import PATIENCE


class Hangup(Exception):  # noqa: N818 (an ordinary end, not an error)
    """The peer is gone."""


class Connection:
    """One accepted connection, or one that we opened: lines in, octets out."""

    def __init__(self, peer: socket.socket) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if peer.family == socket.AF_INET:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = peer
        self._file = peer.makefile("rb", 65_536)

    def line(self) -> bytes:
        """The next line with its end. Raises Hangup where there is none, or half of one."""
        try:
            line: bytes = self._file.readline()
        except (OSError, ValueError) as error:
            raise Hangup from error
        if not line.endswith(b"\n"):
            raise Hangup
        return line

    def read(self, count: int) -> bytes:
        """Exactly *count* octets. Raises Hangup where there are fewer."""
        try:
            octets: bytes = self._file.read(count)
        except (OSError, ValueError) as error:
            raise Hangup from error
        if len(octets) < count:
            raise Hangup
        return octets

    def data(self) -> bytes:
        """The message after DATA (RFC 5321 §4.5.2), dots unstuffed, up to the final dot and without it."""
        lines = []
        while (line := self.line()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    def send(self, octets: bytes) -> None:
        """Write everything. Raises Hangup when the peer is gone."""
        try:
            self._socket.sendall(octets)
        except OSError as error:
            raise Hangup from error

    def break_off(self) -> None:
        """Wake whoever reads here, from any thread."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is gone already

    def close(self) -> None:
        """Close both directions."""
        self._file.close()
        self._socket.close()


class Server(Startable):
    """Listens on 127.0.0.1 (or on the unix socket *path*) and serves each connection in a thread."""

    def __init__(self, port: int = 0, path: Path | None = None) -> None:
        self.port = 0 if path else port or free_port()
        self.path = path
        self._listener: socket.socket | None = None
        self._threads: set[threading.Thread] = set()
        self._open: set[Connection] = set()
        self._lock = threading.Lock()

    def handle(self, connection: Connection) -> None:
        """Serve one connection; Hangup ends it quietly. For the subclass."""
        raise NotImplementedError

    def start(self) -> Self:
        """Bind, listen and accept in the background."""
        if self.path is not None:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self.path))
            self.path.chmod(0o666)  # Postfix connects as its own user
        else:
            listener = socket.socket(socket.AF_INET)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((LOOPBACK, self.port))
        listener.listen(128)
        self._listener = listener
        self._run(self._accept, listener)
        return self

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            self._run(self._serve, peer)

    def _serve(self, peer: socket.socket) -> None:
        connection = Connection(peer)
        with self._lock:
            self._open.add(connection)
        try:
            self.handle(connection)
        except Hangup:
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()
            self._threads.discard(threading.current_thread())

    def _run(self, target: object, argument: object) -> None:
        thread = threading.Thread(target=target, args=(argument,), daemon=True)  # type: ignore[arg-type]
        self._threads.add(thread)
        thread.start()

    def stop(self) -> None:
        """Stop accepting, break off what is open, and wait for the threads."""
        if self._listener is None:
            return
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            pass  # a unix socket may refuse it; close() does
        self._listener.close()
        self._listener = None
        with self._lock:
            for connection in self._open:
                connection.break_off()
        for thread in list(self._threads):
            thread.join(PATIENCE)
        if self.path is not None:
            self.path.unlink(missing_ok=True)
