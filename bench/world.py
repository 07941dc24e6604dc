"""What all daemons of a run have in common: a directory, the DNS, the keys, and a reader of their log lines.

The DNS is an unbound of our own on port 53 of a loopback address, which
answers for a few zones and denies all others: no question leaves the host.
Who can be told the server's address is told it. Who reads /etc/resolv.conf is
started in a mount namespace where another file lies there, and where /dev/log
is a socket that somebody reads; the host's own files stay as they are. Port 53
and mount namespaces take root; without it, only gatepost can be measured.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import mails
from bench.endpoint import Endpoint
from tests.harness.dns_server import DnsServer, ZoneData
from tests.harness.keys import KeyPair, ed25519_key, rsa_key
from tests.harness.ports import free_port
from tests.harness.process import Process

AUTHSERV_ID = "mail.example.nl"
OURS = "example.nl"
"""The domain that mail is signed for."""

DOMAINS = 20
COLD = "cold.example"
"""Below it, each name has a DKIM key, and each is a domain of its own."""
SPF_COLD = "unseen.example"
"""Below it, each name has an SPF record."""
SLOW = "slow.example"
"""Each selector has a key here, which takes :data:`SLOW_SECONDS`."""

SLOW_SECONDS = 2.0

_NETWORK = "v=spf1 ip4:192.0.2.0/24 ip4:203.0.113.0/24 -all"

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
forward-zone:
    name: "{slow}"
    forward-addr: {slow_address}
"""

# Runs in the namespace: our resolv.conf, and a /dev with a few devices and our log socket.
_ENTER = """\
mount --bind {directory}/resolv.conf /etc/resolv.conf
mount -t tmpfs none {directory}/dev
for device in null zero full random urandom tty; do
    : >{directory}/dev/$device
    mount --bind /dev/$device {directory}/dev/$device
done
ln -s /proc/self/fd {directory}/dev/fd
mkdir -m 1777 {directory}/dev/shm
: >{directory}/dev/log
mount --bind {directory}/log.socket {directory}/dev/log
mount --move {directory}/dev /dev
exec "$@"
"""


class MissingError(Exception):
    """Something that a measurement needs is not here; the text says what."""


def need(*commands: str) -> None:
    """Raise MissingError unless all these commands are installed."""
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        raise MissingError(f"not installed: {', '.join(missing)}")


class World:
    """As a context manager: up while it lasts, nothing left of it afterwards.

    ``directory`` is a short path, for sockets. Daemons that are started while
    ``tcp`` is true listen on TCP, the others on unix sockets. ``keys`` are those
    of the domains that write to us, ``cold`` is the one of all below
    :data:`COLD`, ``ours`` and ``ours_ed25519`` sign for :data:`OURS`.
    """

    keys: list[KeyPair]
    cold: KeyPair
    ours: KeyPair
    ours_ed25519: KeyPair

    def __init__(self) -> None:
        self.directory = Path()
        self.root = os.geteuid() == 0
        self.address = "127.0.0.1"
        self.port = 0
        self.tcp = False
        self._running = ExitStack()
        self._numbers = self._domains = 0

    @property
    def nameserver(self) -> str:
        """The DNS server's address and port."""
        return f"{self.address}:{self.port}"

    def place(self, name: str) -> Path:
        """A new directory for one daemon."""
        self._numbers += 1
        place = self.directory / f"{self._numbers}-{name}"
        place.mkdir(mode=0o755)
        return place

    def signing_keys(self, algorithms: str) -> list[KeyPair]:
        """Our own keys: "rsa", "ed25519" or "both"."""
        keys = {"rsa": [self.ours], "ed25519": [self.ours_ed25519]}
        return keys.get(algorithms, [self.ours, self.ours_ed25519])

    def key_file(self, key: KeyPair) -> Path:
        """A private key as PKCS #8, readable by its owner alone."""
        file = self.directory / f"{key.selector}.private"
        return file if file.exists() else key.write(file)

    def enclosed(self, command: Iterable[str]) -> list[str]:
        """The command as it is started with this DNS and this /dev/log. Raises MissingError."""
        if not self.root:
            raise MissingError("needs root, for a DNS server and a /dev/log of its own")
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-e", str(self.directory / "enter")]
        return [*enter, *command]

    def reader(self, place: Path) -> Path:
        """A pipe for one daemon's standard error, which a process reads into a file beside it."""
        fifo = place / "stderr"
        os.mkfifo(fifo)
        need("socat")
        # Opened for both, so that it does not end when a daemon is started again.
        command = ["socat", "-u", f"OPEN:{fifo},rdwr", f"OPEN:{place / 'stderr.log'},creat,append"]
        self._running.enter_context(Process(command, place / "reader", ready=lambda: True))
        return fifo

    def endpoint(self, place: Path, name: str = "socket") -> Endpoint:
        """Where a daemon in that place is to listen."""
        return Endpoint.tcp() if self.tcp else Endpoint(place / name)

    def new_domains(self, number: int) -> list[str]:
        """Domains with a DKIM key that nobody has asked for yet."""
        first, self._domains = self._domains, self._domains + number
        return [f"d{place}.{COLD}" for place in range(first, self._domains)]

    @property
    def records(self) -> Mapping[str, str]:
        """The TXT records, by name."""
        found = {f"_dmarc.{key.domain}": "v=DMARC1; p=reject" for key in self.keys}
        found |= {key.name: key.record for key in (*self.keys, self.ours, self.ours_ed25519)}
        found |= {key.domain: _NETWORK for key in self.keys}
        return found | {mails.HELO: _NETWORK}

    def slow_selectors(self, number: int) -> list[str]:
        """Selectors of :data:`SLOW` that nobody has asked for yet."""
        first, self._domains = self._domains, self._domains + number
        return [f"s{place}" for place in range(first, self._domains)]

    def __enter__(self) -> Self:
        need("unbound", "socat")
        with ExitStack() as starting:
            self.directory = Path(tempfile.mkdtemp(prefix="gpbench-"))
            starting.callback(shutil.rmtree, self.directory, ignore_errors=True)
            self.directory.chmod(0o755)
            self._make_keys()
            self._running = starting
            self._start_dns(starting)
            if self.root:
                self._prepare_namespace(starting)
            self._running = starting.pop_all()
        return self

    def _make_keys(self) -> None:
        # Few private keys for many domains: making keys takes long, and costs the daemons the same.
        some = [rsa_key(COLD) for _ in range(2)]
        self.keys = [
            KeyPair(f"sender{number}.example", "mail", some[number % len(some)].private)
            for number in range(DOMAINS)
        ]
        self.cold = KeyPair(COLD, "mail", some[0].private)
        self.ours = rsa_key(OURS)
        self.ours_ed25519 = ed25519_key(OURS)

    def _start_dns(self, starting: ExitStack) -> None:
        if self.root:
            self.address, self.port = _free_address(), 53
        else:
            self.port = free_port()
        late: ZoneData = {f"*._domainkey.{SLOW}": [{"TXT": self.cold.record}, {"DELAY": SLOW_SECONDS}]}
        slow = starting.enter_context(DnsServer(late))
        place = self.place("unbound")
        configuration = place / "unbound.conf"
        configuration.write_text(
            _UNBOUND.format(
                address=self.address,
                port=self.port,
                directory=place,
                zones="".join(f"    {line}\n" for line in self._zones()),
                slow=SLOW,
                slow_address=f"{slow.host}@{slow.port}",
            )
        )
        starting.enter_context(
            Process(
                ["unbound", "-d", "-c", str(configuration)],
                place / "log",
                ready=lambda: _answers(self.address, self.port),
            )
        )

    def _zones(self) -> Iterable[str]:
        yield f'local-zone: "{SLOW}" transparent'
        for name, text in self.records.items():
            yield f"local-data: '{name} 300 TXT {_quoted(text)}'"
        yield f'local-data: "{mails.HELO} 300 A {mails.STRANGER}"'
        for zone, text in ((COLD, self.cold.record), (SPF_COLD, _NETWORK)):
            yield f'local-zone: "{zone}" redirect'
            yield f"local-data: '{zone} 300 TXT {_quoted(text)}'"

    def _prepare_namespace(self, starting: ExitStack) -> None:
        (self.directory / "resolv.conf").write_text(f"nameserver {self.address}\n")
        (self.directory / "dev").mkdir()
        (self.directory / "enter").write_text(_ENTER.format(directory=self.directory))
        log, lines = self.directory / "log.socket", self.directory / "syslog"
        command = ["socat", "-u", f"UNIX-RECV:{log},mode=666", f"OPEN:{lines},creat,append"]
        starting.enter_context(Process(command, self.directory / "syslog.reader", ready=log.exists))
        done = subprocess.run(self.enclosed(["true"]), capture_output=True, text=True, check=False)
        if done.returncode:
            self.root = False
            raise MissingError(f"no mount namespace: {done.stderr.strip()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()


def _quoted(text: str) -> str:
    """A TXT record's text in strings of at most 255 octets (RFC 1035 §3.3.14)."""
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))


def _free_address() -> str:
    """An address of 127.53.0.0/16 whose port 53 nobody has. Raises MissingError."""
    for _ in range(100):
        address = f"127.53.{random.randrange(256)}.{random.randrange(1, 255)}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address, 53))
            except OSError:
                continue
            return address
    raise MissingError("port 53 is taken on all loopback addresses: another DNS server listens everywhere")


def _answers(address: str, port: int) -> bool:
    """Whether a DNS server is there: it answers a question about the root."""
    question = bytes.fromhex("1234010000010000000000000000060001")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        try:
            client.connect((address, port))
            client.send(question)
            return client.recv(512)[:2] == question[:2]
        except OSError:
            return False
