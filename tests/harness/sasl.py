"""A login server for smtpd (``smtpd_sasl_type = dovecot``): a handful of users, in memory.

Speaks as much of Dovecot's client authentication protocol 1.1 as Postfix uses
for PLAIN. Cyrus SASL would do too, but looks for its configuration under /etc.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path

from tests.harness.server import Connection, Server

_GREETING = b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t%b\nDONE\n" % (b"0" * 32)


class LoginServer(Server):
    """Serves the unix socket *path* for the given users (login name to password)."""

    def __init__(self, path: Path, users: Mapping[str, str]) -> None:
        super().__init__(path=path)
        self._users = dict(users)

    def handle(self, connection: Connection) -> None:
        """Answer the AUTH requests of one smtpd."""
        connection.send(_GREETING)
        while True:
            command, *arguments = connection.line().rstrip(b"\n").split(b"\t")
            if command != b"AUTH":
                continue
            number, _, *parameters = arguments
            response = next((each[5:] for each in parameters if each.startswith(b"resp=")), b"")
            user = self._authenticated(response)
            if user:
                connection.send(b"OK\t%b\tuser=%b\n" % (number, user.encode()))
            else:
                connection.send(b"FAIL\t%b\n" % number)

    def _authenticated(self, response: bytes) -> str:
        try:
            _, user, password = base64.b64decode(response, validate=True).decode().split("\0")
        except (binascii.Error, ValueError):
            return ""
        return user if self._users.get(user) == password else ""
