"""The Postfix of the mail server: Debian's files, the guides' maps and names, and our own conf/postfix on top."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.harness.process import Process
from tests.pipeline.machine import ADDRESS, DOMAIN, HOSTNAME, rewrite
from tests.pipeline.servers.mariadb import PASSWORD

CONF = Path(__file__).parents[3] / "conf" / "postfix"
ETC = Path("/etc/postfix")
LOG = Path("/var/log/mail.log")

_LONG_AGO = 1_000_000_000

_MAIN = """\
compatibility_level = 3.6
myhostname = {hostname}
mydomain = {domain}
mydestination = $myhostname, localhost
inet_interfaces = {address}, 127.0.0.1
inet_protocols = ipv4
alias_maps =
maillog_file = {log}
recipient_delimiter = +
message_size_limit = 52428800
mailbox_size_limit = 0
smtputf8_enable = no
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {certificate}
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtp_tls_security_level = may
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
virtual_mailbox_domains = mysql:/etc/postfix/mysql-domains.cf
virtual_mailbox_maps = mysql:/etc/postfix/mysql-mailboxes.cf
virtual_alias_maps = mysql:/etc/postfix/mysql-aliases.cf
virtual_transport = lmtp:unix:private/dovecot-lmtp
# Sooner than at home, so that a test need not wait for minutes.
minimal_backoff_time = 2s
maximal_backoff_time = 4s
queue_run_delay = 2s
postscreen_greet_wait = 1s
"""

_MAPS = {
    "mysql-domains.cf": "SELECT 1 FROM virtual_domains WHERE name='%s'",
    "mysql-mailboxes.cf": "SELECT 1 FROM virtual_users WHERE email='%s'",
    "mysql-aliases.cf": "SELECT destination FROM virtual_aliases WHERE source='%s'",
}


class Mx:
    """The server with the files of conf/postfix/*kind*. *options* are set in main.cf over those."""

    def __init__(self, kind: str, certificate: Path, options: Mapping[str, str] | None = None) -> None:
        self._kind = kind
        self._certificate = certificate
        self._options = dict(options or {})
        self.process = Process(
            [str(Path("/usr/lib/postfix/sbin/master"))],
            Path("/var/log/postfix.out"),
            ready=lambda: "daemon started" in self.log(),
        )

    def furnish(self) -> None:
        """Write all of /etc/postfix that is ours, and make the queue's directories and the chroot."""
        own = _MAIN.format(
            hostname=HOSTNAME, domain=DOMAIN, address=ADDRESS, log=LOG, certificate=self._certificate
        )
        rewrite(ETC / "main.cf", own + (CONF / self._kind / "main.cf").read_text())
        if self._options:
            subprocess.run(
                ["postconf", *(f"{name}={value}" for name, value in self._options.items())], check=True
            )
        debian = Path("/usr/share/postfix/master.cf.dist").read_text()
        rest = re.sub(r"(?m)^(smtp|submission|submissions|smtps)\s+inet.*\n(?:[ \t].*\n)*", "", debian)
        rewrite(ETC / "master.cf", rest + (CONF / self._kind / "master.cf").read_text())
        for file in CONF.glob("filtered/*_headers"):
            shutil.copy(file, ETC)
        for name, query in _MAPS.items():
            login = f"user = mailuser\npassword = {PASSWORD}\nhosts = 127.0.0.1\ndbname = mailserver\n"
            rewrite(ETC / name, f"{login}query = {query}\n", group="postfix", mode=0o640)
        for file in ETC.iterdir():
            # Postfix sleeps until main.cf is two seconds old, lest it read half a file.
            os.utime(file, (_LONG_AGO, _LONG_AGO))
        subprocess.run(["postfix", "check"], check=True, capture_output=True)
        subprocess.run(["/usr/lib/postfix/configure-instance.sh", "-"], check=True, capture_output=True)

    def log(self) -> str:
        """The mail log so far."""
        return LOG.read_text(errors="replace") if LOG.exists() else ""
