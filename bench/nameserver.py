"""An unbound of our own, which answers for a few zones, and denies all other names without asking anybody."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.missing import MissingError
from tests.harness.ports import LOOPBACK, free_port
from tests.harness.process import Process

_UNBOUND = """\
server:
    interface: {address}
    port: {port}
    do-daemonize: no
    chroot: ""
    username: ""
    directory: "{directory}"
    pidfile: ""
    use-syslog: no
    do-not-query-localhost: no
    access-control: 127.0.0.0/8 allow
    module-config: "iterator"
    num-threads: 1
    so-rcvbuf: 1m
    # Many questions may wait for a slow server, none of them asked twice.
    num-queries-per-thread: 2048
    outgoing-range: 4096
    unknown-server-time-limit: 5000
    local-zone: "." static
    local-data: ". 300 SOA localhost. nobody. 1 3600 1200 604800 60"
{zones}
remote-control:
    control-enable: no
{forwards}"""

_FORWARD = """\
forward-zone:
    name: "{zone}"
    forward-addr: {server}
"""


class NameServer(Process):
    """Runs in *place*, as a context manager, on ``address`` and ``port``.

    *port* is 53, on some address of the loopback, or 0 for a free one.
    *texts* are TXT records by name; *below* are those of all names below a
    zone; *addresses* are A records. Questions about *elsewhere* go to the
    server given, as ADDRESS@PORT. Raises MissingError where port 53 cannot be had.
    """

    def __init__(
        self,
        place: Path,
        port: int,
        *,
        texts: Mapping[str, str],
        below: Mapping[str, str],
        addresses: Mapping[str, str],
        elsewhere: Mapping[str, str],
    ) -> None:
        self.address = _free_address(port) if port else LOOPBACK
        self.port = port or free_port()
        zones = [
            *_records(texts, addresses),
            *(line for zone, text in below.items() for line in _redirected(zone, text)),
            *(f'local-zone: "{zone}" transparent' for zone in elsewhere),
        ]
        configuration = place / "unbound.conf"
        configuration.write_text(
            _UNBOUND.format(
                address=self.address,
                port=self.port,
                directory=place,
                zones="\n".join(f"    {line}" for line in zones),
                forwards="".join(
                    _FORWARD.format(zone=zone, server=server) for zone, server in elsewhere.items()
                ),
            )
        )
        super().__init__(["unbound", "-d", "-c", str(configuration)], place / "log", ready=self._answers)

    def _answers(self) -> bool:
        """Whether it is there: it answers a question about the root."""
        question = bytes.fromhex("1234010000010000000000000000060001")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.2)
            try:
                client.connect((self.address, self.port))
                client.send(question)
                return client.recv(512)[:2] == question[:2]
            except OSError:
                return False


def _records(texts: Mapping[str, str], addresses: Mapping[str, str]) -> Iterator[str]:
    for name, text in texts.items():
        yield f"local-data: '{name} 300 TXT {_quoted(text)}'"
    for name, address in addresses.items():
        yield f'local-data: "{name} 300 A {address}"'


def _redirected(zone: str, text: str) -> Iterator[str]:
    yield f'local-zone: "{zone}" redirect'
    yield f"local-data: '{zone} 300 TXT {_quoted(text)}'"


def _quoted(text: str) -> str:
    """A TXT record's text in strings of at most 255 octets (RFC 1035 §3.3.14)."""
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))


def _free_address(port: int) -> str:
    """An address of 127.53.0.0/16 where nobody has the port. Raises MissingError."""
    for _ in range(100):
        address = f"127.53.{random.randrange(256)}.{random.randrange(1, 255)}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return address
    raise MissingError(f"port {port} is taken on the loopback: another DNS server listens on all addresses")
