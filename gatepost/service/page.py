"""The metrics address: where it listens, through reloads and when it came from systemd."""

from __future__ import annotations

import socket

from gatepost.config.addresses import HostAndPort
from gatepost.service.activation import Inherited
from gatepost.service.daemon import ServiceError
from gatepost.service.http import Responder
from gatepost.service.listeners import Listener, bind_metrics, moving


class Page:
    """The listening socket of ``/metrics`` and ``/healthz``, if there is one, served by *responder*."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._listener: Listener | None = None

    @property
    def address(self) -> str | None:
        """Where it listens, None for nowhere."""
        return None if self._listener is None else self._listener.address

    @property
    def sockets(self) -> list[socket.socket]:
        """All its open sockets, for a child process to close."""
        return self._responder.sockets

    def adopt(self, entry: Inherited) -> bool:
        """Serve a socket from systemd for good, whatever the configuration says. False when there is one already."""
        if self._listener is not None:
            return False
        self._listener = Listener(entry.address, entry.socket, from_systemd=True)
        self._responder.listen(entry.socket)
        return True

    def listen(self, address: HostAndPort | None) -> None:
        """Serve *address* from now on, or nothing. Raises ServiceError, and all is as it was."""
        old = self._listener
        if old is not None and (old.from_systemd or old.address == str(address)):
            return
        try:
            self._listener = None if address is None else bind_metrics(address)
        except ServiceError as error:
            assert address is not None
            raise moving([old] if old else [], address.port, error) from error
        self._responder.listen(None if self._listener is None else self._listener.socket)
        if old is not None:
            old.close()

    def expire(self) -> None:
        """Let go of clients that are too slow. To be called about once a second."""
        self._responder.expire()

    def close(self) -> None:
        """Stop serving."""
        self._responder.close()
        if self._listener is not None:
            self._listener.close()
