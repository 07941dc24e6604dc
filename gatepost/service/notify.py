"""Telling systemd how we are (sd_notify(3)): one datagram a message, to the socket in NOTIFY_SOCKET."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Talks to the service manager; without one, every method does nothing.

    ``watchdog`` is how many seconds systemd waits for a sign of life before
    it kills us, 0 where it does not watch this process (sd_watchdog_enabled(3)).
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._socket: socket.socket | None = None
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog = 0.0
        if self._address.startswith("@"):  # Linux's abstract namespace
            self._address = "\0" + self._address[1:]
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
            interval = environment.get("WATCHDOG_USEC", "")
            owner = environment.get("WATCHDOG_PID", "")
            if interval.isdecimal() and (not owner or owner == str(os.getpid())):
                self.watchdog = int(interval) / 1_000_000

    def send(self, *assignments: str) -> None:
        """Send the assignments (``READY=1``) as one message. Nobody listening is no error."""
        if self._socket is not None:
            try:
                self._socket.sendto("\n".join(assignments).encode(), self._address)
            except OSError:
                pass  # a manager that does not listen must not stop the daemon

    def ready(self, status: str) -> None:
        """All is up, or up again after a reload."""
        self.send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """A reload begins; ``ready`` ends it."""
        self.send(
            "RELOADING=1",
            f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}",
            "STATUS=reloading",
        )

    def stopping(self, status: str, seconds: float) -> None:
        """We are going, within *seconds*."""
        self.send("STOPPING=1", f"STATUS={status}", f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def alive(self) -> None:
        """The sign of life that the watchdog waits for."""
        self.send("WATCHDOG=1")

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
