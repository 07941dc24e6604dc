"""DMARC's history cannot be written while mail comes in: the rows wait, and the mail does not."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from tests.e2e.support import FRIEND, message
from tests.harness.daemon import Installation
from tests.harness.dns_server import DnsServer
from tests.harness.mail import parse
from tests.harness.milter_client import Mail, MilterClient
from tests.harness.ports import LOOPBACK
from tests.harness.waiting import wait_for
from tests.unit.docs.fault_table import shows

DAEMON = "dmarc-enforce"
ZONE = {
    "example.org": [{"TXT": "v=spf1 ip4:192.0.2.10 -all"}],
    "_dmarc.example.org": [{"TXT": "v=DMARC1; p=reject"}],
}


def test_it_is_locked(tmp_path: Path) -> None:
    file = tmp_path / "dmarc.sqlite"
    headers, body = parse(message(FRIEND, "bert@example.nl"))
    mail = Mail(headers, body, client_address="192.0.2.10", mail_from=FRIEND.encode())

    def rows() -> int:
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(file, timeout=5)) as database:
            return int(database.execute("SELECT count(*) FROM message").fetchone()[0])
        return 0  # there is no table yet

    with DnsServer(ZONE) as dns:
        section = {"kind": "dmarc", "mode": "enforce", "history": str(file)}
        with Installation(tmp_path, {DAEMON: section}, {"dns": {"nameservers": [dns.address]}}) as gatepost:
            daemon = gatepost[DAEMON]
            with MilterClient((LOOPBACK, daemon.port)) as client:
                assert client.send(mail).disposition == "accept"
                wait_for(lambda: file.exists() and rows() == 1, "the first row")
                with closing(sqlite3.connect(file, timeout=5, isolation_level=None)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    assert client.send(mail).disposition == "accept"
                    wait_for(lambda: "cannot be written" in daemon.log(), "the complaint in the log")
                    assert client.send(mail).disposition == "accept"
                    other.execute("ROLLBACK")
                wait_for(lambda: rows() == 3, "the rows that waited")
            shows("DMARC's history is locked", daemon.log())
