"""A private Postfix: its own configuration, queue, data and log under one directory, on loopback ports.

What building it showed, on Postfix 3.7:

- ``postfix -c DIR check`` and, for root, ``postqueue -c DIR`` and
  ``postsuper -c DIR`` work without ``alternate_config_directories`` in
  /etc/postfix/main.cf; that is asked for only where postdrop and postqueue run
  set-gid for another user. So mail goes in by SMTP alone; pickup(8) is there
  because ``postqueue -f`` takes its absence for a Postfix that is down.
- Every Postfix program sleeps until main.cf is two seconds old, lest it read
  half a file. Files that date from the past make the start take 0.2 s.
- ``postfix start`` and ``start-fg`` leave the master a grandchild in a session
  of its own. Run directly, it is our child, and one signal ends all of it.
- The directory must not lie in pytest's tmp_path: that is closed to the users
  postfix and nobody, as whom queue and mailboxes are written. Its path must be
  short, too, for the queue's unix sockets (107 octets).
- ``maillog_file`` needs ``maillog_file_prefixes`` and the ``postlog`` service.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.harness.delivery import Delivery
from tests.harness.lasting import Startable
from tests.harness.ports import LOOPBACK, free_port
from tests.harness.process import Process
from tests.harness.sasl import LoginServer
from tests.harness.sink import SmtpSink
from tests.harness.waiting import PATIENCE, wait_for

# virtual(8) writes these three above the message, in this order, and no others.
_DELIVERY_FIELDS = (b"Return-Path:", b"X-Original-To:", b"Delivered-To:")

_RELAYING = ("permit_mynetworks", "permit_sasl_authenticated", "reject_unauth_destination")

_LONG_AGO = 1_000_000_000

_SERVICES = """\
pickup    unix       n - n 60    1   pickup
cleanup   unix       n - n -     0   cleanup
qmgr      unix       n - n 300   1   qmgr
rewrite   unix       - - n -     -   trivial-rewrite
bounce    unix       - - n -     0   bounce
defer     unix       - - n -     0   bounce
trace     unix       - - n -     0   bounce
verify    unix       - - n -     1   verify
flush     unix       n - n 1000? 0   flush
proxymap  unix       - - n -     -   proxymap
smtp      unix       - - n -     -   smtp
relay     unix       - - n -     -   smtp
filter    unix       - - n -     20  smtp
    -o smtp_send_xforward_command=yes
showq     unix       n - n -     -   showq
error     unix       - - n -     -   error
retry     unix       - - n -     -   error
discard   unix       - - n -     -   discard
virtual   unix       - n n -     -   virtual
anvil     unix       - - n -     1   anvil
scache    unix       - - n -     1   scache
postlog   unix-dgram n - n -     1   postlogd
"""


@dataclass(frozen=True, kw_only=True)
class Smtpd:
    """One smtpd service, as a line of master.cf with its options.

    ``milters``, ``policy`` and ``content_filter`` are as Postfix writes them
    (``inet:127.0.0.1:8891``, ``unix:/run/spf``, ``filter:[127.0.0.1]:10024``);
    ``proxy_filter`` is the port of a filter before the queue. ``networks`` are
    this service's mynetworks. ``daemon_name`` is what milters see as
    ``{daemon_name}``. ``options`` are any further parameters.
    """

    name: str
    port: int = field(default_factory=free_port)
    milters: Sequence[str] = ()
    content_filter: str = ""
    proxy_filter: int = 0
    sasl: bool = False
    daemon_name: str = ""
    policy: Sequence[str] = ()
    networks: Sequence[str] = ("127.0.0.0/8",)
    options: Mapping[str, str] = field(default_factory=dict)

    def lines(self) -> str:
        """The entry in master.cf."""
        recipient = [*_RELAYING, *(f"check_policy_service {service}" for service in self.policy)]
        options = {
            "syslog_name": f"postfix/{self.name}",
            "mynetworks": " ".join(self.networks),
            "smtpd_milters": " ".join(self.milters),
            "content_filter": self.content_filter,
            "smtpd_proxy_filter": f"{LOOPBACK}:{self.proxy_filter}" if self.proxy_filter else "",
            "smtpd_sasl_auth_enable": "yes" if self.sasl else "no",
            "smtpd_recipient_restrictions": ", ".join(recipient),
        }
        if self.daemon_name:
            options["milter_macro_daemon_name"] = self.daemon_name
        options |= self.options
        written = "".join(f"    -o {{ {name} = {value} }}\n" for name, value in options.items())
        return f"{LOOPBACK}:{self.port} inet n - n - - smtpd\n{written}"


def unavailable() -> str:
    """Why no private Postfix can run here, or "" where it can."""
    if os.geteuid() != 0:
        return "Postfix's master needs root"
    missing = [tool for tool in ("postfix", "postqueue", "setpriv") if shutil.which(tool) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


class Postfix(Startable):
    """A running Postfix with the given smtpd services, as a context manager.

    Mail for the domains *inside* goes to Maildirs, all other mail to ``outside``.
    *users* may log in where a service has ``sasl``. XCLIENT is allowed from
    127.0.0.1 everywhere. Nothing is looked up in the DNS.
    """

    def __init__(
        self,
        services: Sequence[Smtpd],
        *,
        hostname: str = "mail.example.nl",
        inside: Sequence[str] = ("example.nl",),
        users: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.services = {service.name: service for service in services}
        self.hostname = hostname
        self.inside = tuple(inside)
        self.outside = SmtpSink()
        self._users = dict(users or {})
        self._options = dict(options or {})
        self._root = Path()
        self._logins: LoginServer | None = None
        self._master: Process | None = None

    @property
    def directory(self) -> Path:
        """The directory that holds everything."""
        return self._root

    def start(self) -> Self:
        """Write the configuration and start everything. Raises RuntimeError where Postfix cannot run."""
        reason = unavailable()
        if reason:
            raise RuntimeError(f"no private Postfix: {reason}")
        self._root = Path(tempfile.mkdtemp(prefix="gatepost-"))
        try:
            self._lay_out()
            self.outside.start()
            self._logins = LoginServer(self._root / "login", self._users).start()
            self._tool("postfix", "check")  # makes the queue's directories
            master = Path(self._tool("postconf", "-h", "daemon_directory").strip(), "master")
            self._master = Process(
                [str(master)],
                self._root / "output",
                ready=lambda: "daemon started" in self.log(),
                environment={**os.environ, "MAIL_CONFIG": str(self._configuration)},
            ).start()
        except BaseException:
            self.stop()
            raise
        return self

    @property
    def _configuration(self) -> Path:
        return self._root / "etc"

    def _lay_out(self) -> None:
        self._root.chmod(0o755)
        for name in ("etc", "queue", "data", "mail"):
            (self._root / name).mkdir(mode=0o755)
        shutil.chown(self._root / "data", "postfix")
        shutil.chown(self._root / "mail", "nobody")
        (self._configuration / "main.cf").write_text(self._main())
        services = "".join(service.lines() for service in self.services.values())
        (self._configuration / "master.cf").write_text(services + _SERVICES)
        mailboxes = "".join(f"@{domain} {domain}/\n" for domain in self.inside)
        (self._configuration / "mailboxes").write_text(mailboxes)
        for file in self._configuration.iterdir():
            os.utime(file, (_LONG_AGO, _LONG_AGO))

    def _main(self) -> str:
        nobody = pwd.getpwnam("nobody")
        parameters = {
            "compatibility_level": "3.6",
            "queue_directory": str(self._root / "queue"),
            "data_directory": str(self._root / "data"),
            "maillog_file": str(self._root / "maillog"),
            "maillog_file_prefixes": str(self._root),
            "myhostname": self.hostname,
            "inet_interfaces": LOOPBACK,
            "inet_protocols": "all",
            "disable_dns_lookups": "yes",
            "smtpd_peername_lookup": "no",
            "mydestination": "",
            "alias_maps": "",
            "alias_database": "",
            "local_recipient_maps": "",
            "virtual_mailbox_domains": " ".join(self.inside),
            "virtual_mailbox_base": str(self._root / "mail"),
            "virtual_mailbox_maps": f"texthash:{self._configuration / 'mailboxes'}",
            "virtual_uid_maps": f"static:{nobody.pw_uid}",
            "virtual_gid_maps": f"static:{nobody.pw_gid}",
            "virtual_mailbox_limit": "0",
            "mailbox_size_limit": "0",
            "message_size_limit": "0",
            "relayhost": f"[{LOOPBACK}]:{self.outside.port}",
            "smtp_tls_security_level": "none",
            "smtpd_tls_security_level": "none",
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": f"unix:{self._root / 'login'}",
            "smtpd_sasl_security_options": "noanonymous",
            "smtpd_authorized_xclient_hosts": LOOPBACK,
            "smtpd_authorized_xforward_hosts": LOOPBACK,
            "smtpd_relay_restrictions": ", ".join(_RELAYING),
            # A test is no flood, and a rate limit would only hide what it means to measure.
            "smtpd_client_connection_count_limit": "0",
            "in_flow_delay": "0",
            "smtp_connection_cache_on_demand": "no",
            # Octets stay as they are, also towards a server without 8BITMIME.
            "disable_mime_output_conversion": "yes",
            "milter_default_action": "tempfail",
            "milter_protocol": "6",
            "minimal_backoff_time": "1s",
            "maximal_backoff_time": "2s",
            "queue_run_delay": "1s",
            "smtp_connect_timeout": "5s",
        }
        parameters |= self._options
        return "".join(f"{name} = {value}\n" for name, value in parameters.items())

    def port(self, name: str) -> int:
        """The port of the smtpd service called *name*."""
        return self.services[name].port

    def log(self) -> str:
        """The mail log so far."""
        log = self._root / "maillog"
        return log.read_text(errors="replace") if log.exists() else ""

    def _tool(self, *command: str) -> str:
        name, *arguments = command
        done = subprocess.run(
            [name, "-c", str(self._configuration), *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def queue(self) -> list[dict[str, Any]]:
        """What is in the queue, as ``postqueue -j`` tells it."""
        return [json.loads(line) for line in self._tool("postqueue", "-j").splitlines()]

    def flush(self) -> None:
        """Try all deferred mail now."""
        self._tool("postqueue", "-f")

    def postsuper(self, *arguments: str) -> None:
        """Run postsuper(1) on this queue, as in ``postsuper("-d", "ALL")``."""
        self._tool("postsuper", *arguments)

    def deliveries(self, recipient: str = "") -> list[Delivery]:
        """What has been delivered, inside and outside; for *recipient* alone where given."""
        found = []
        for domain in self.inside:
            # The second of delivery comes first in a Maildir name, its microsecond behind "M" later:
            # the inode's own time is finer and simpler.
            files = (self._root / "mail" / domain / "new").glob("*")
            found += [_delivery(path) for path in sorted(files, key=lambda path: path.stat().st_mtime_ns)]
        found += self.outside.deliveries()
        return [each for each in found if recipient in ("", each.recipient)]

    def take_deliveries(self) -> list[Delivery]:
        """What has been delivered since the last call, inside and outside, taken out of the mailboxes."""
        taken = self.outside.take()
        for domain in self.inside:
            for path in (self._root / "mail" / domain / "new").glob("*"):
                taken.append(_delivery(path))
                path.unlink()
        return taken

    def wait_for_delivery(self, recipient: str, count: int = 1) -> list[Delivery]:
        """Wait until *count* messages have been delivered to *recipient*, and return them.

        Raises TimeoutError with the end of the mail log in it.
        """

        def enough() -> list[Delivery]:
            found = self.deliveries(recipient)
            return found if len(found) >= count else []

        try:
            return wait_for(enough, f"mail for {recipient}")
        except TimeoutError as error:
            last = "\n".join(self.log().splitlines()[-30:])
            raise TimeoutError(f"{error}\n{last}") from None

    def wait_until_idle(self, timeout: float = PATIENCE) -> None:
        """Wait until the queue is empty."""
        wait_for(lambda: not self.queue(), "an empty queue", timeout)

    def stop(self) -> None:
        """Stop our own master and remove the directory."""
        if self._master is not None:
            self._master.stop()
            self._master = None
        if self._logins is not None:
            self._logins.stop()
            self._logins = None
        self.outside.stop()
        if self._root != Path():
            shutil.rmtree(self._root, ignore_errors=True)


def _delivery(path: Path) -> Delivery:
    octets = path.read_bytes()
    values = []
    for name in _DELIVERY_FIELDS:
        line, _, octets = octets.partition(b"\n")
        if not line.startswith(name):
            raise ValueError(f"{path}: {name.decode()} expected, {line!r} found")
        values.append(line[len(name) :].strip().decode())
    sender, recipient, _ = values
    return Delivery(recipient, sender.strip("<>"), octets.replace(b"\n", b"\r\n"))
