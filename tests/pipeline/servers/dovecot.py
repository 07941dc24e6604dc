"""Dovecot as the guides have it: mailboxes over IMAP with TLS, LMTP and logins for Postfix, users from MariaDB."""

from __future__ import annotations

from pathlib import Path

from tests.harness.ports import listening
from tests.harness.process import Process
from tests.pipeline.machine import VMAIL, rewrite
from tests.pipeline.servers.mariadb import PASSWORD

PORT = 993
LOG = Path("/var/log/dovecot.log")

_CONFIGURATION = """\
protocols = imap lmtp
log_path = {log}
ssl = required
ssl_min_protocol = TLSv1.2
ssl_cert = <{certificate}
ssl_key = <{certificate}
disable_plaintext_auth = yes
mail_location = maildir:~/Maildir
first_valid_uid = {vmail}

passdb {{
  driver = sql
  args = /etc/dovecot/dovecot-sql.conf.ext
}}
userdb {{
  driver = static
  args = uid={vmail} gid={vmail} home=/var/mail/vhosts/%d/%n
}}

service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service auth {{
  unix_listener /var/spool/postfix/private/auth {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
service lmtp {{
  unix_listener /var/spool/postfix/private/dovecot-lmtp {{
    mode = 0600
    user = postfix
    group = postfix
  }}
}}
# One address brings all the mail that is fetched here.
mail_max_userip_connections = 100
"""

_SQL = """\
driver = mysql
connect = host=127.0.0.1 dbname=mailserver user=mailuser password={password}
default_pass_scheme = SHA512-CRYPT
password_query = SELECT email AS user, password FROM virtual_users WHERE email='%u'
"""


def dovecot(directory: Path, certificate: Path) -> Process:
    """The server, not started yet; Postfix's queue directories have to be there before."""
    text = _CONFIGURATION.format(log=LOG, certificate=certificate, vmail=VMAIL, port=PORT)
    rewrite("/etc/dovecot/dovecot.conf", text)
    rewrite("/etc/dovecot/dovecot-sql.conf.ext", _SQL.format(password=PASSWORD), mode=0o640)
    return Process(["dovecot", "-F"], directory / "dovecot.out", ready=lambda: listening(PORT))
