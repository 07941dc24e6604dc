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
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from bench import mails
from bench.endpoint import Endpoint
from bench.missing import MissingError, need
from bench.nameserver import NameServer
from tests.harness.dns_server import DnsServer, ZoneData
from tests.harness.keys import KeyPair, ed25519_key, rsa_key
from tests.harness.process import Process
from tests.harness.together import Together

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


class World(Together):
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
        self._why_not = "needs root, for a DNS server and a /dev/log of its own"
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
        if self._why_not:
            raise MissingError(self._why_not)
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

    def _start(self, starting: ExitStack) -> None:
        need("unbound", "socat")
        self.directory = Path(tempfile.mkdtemp(prefix="gpbench-"))
        starting.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.directory.chmod(0o755)
        self._make_keys()
        self._start_dns(starting)
        if self.root:
            self._prepare_namespace(starting)

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
        late: ZoneData = {f"*._domainkey.{SLOW}": [{"TXT": self.cold.record}, {"DELAY": SLOW_SECONDS}]}
        slow = starting.enter_context(DnsServer(late))
        unbound = NameServer(
            self.place("unbound"),
            53 if self.root else 0,
            texts=self.records,
            below={COLD: self.cold.record, SPF_COLD: _NETWORK},
            addresses={mails.HELO: mails.STRANGER},
            elsewhere={SLOW: f"{slow.host}@{slow.port}"},
        )
        self.address, self.port = unbound.address, unbound.port
        starting.enter_context(unbound)

    def _prepare_namespace(self, starting: ExitStack) -> None:
        (self.directory / "resolv.conf").write_text(f"nameserver {self.address}\n")
        (self.directory / "dev").mkdir()
        (self.directory / "enter").write_text(_ENTER.format(directory=self.directory))
        log, lines = self.directory / "log.socket", self.directory / "syslog"
        command = ["socat", "-u", f"UNIX-RECV:{log},mode=666", f"OPEN:{lines},creat,append"]
        starting.enter_context(Process(command, self.directory / "syslog.reader", ready=log.exists))
        self._why_not = ""
        done = subprocess.run(self.enclosed(["true"]), capture_output=True, text=True, check=False)
        if done.returncode:
            self._why_not = f"no mount namespace to be had: {done.stderr.strip()}"
