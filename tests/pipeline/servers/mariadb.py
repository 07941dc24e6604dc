"""MariaDB with the guides' three tables: domains, users with their passwords, and aliases."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.harness.process import Process

PASSWORD = "pipeline"
"""Of the reader mailuser, and of everyone who has a mailbox."""

_DATA, _SOCKET = "/var/lib/mysql", "/var/lib/mysql/mysqld.sock"

_TABLES = """\
CREATE DATABASE mailserver CHARACTER SET utf8mb4;
USE mailserver;
CREATE TABLE virtual_domains (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(255) UNIQUE);
CREATE TABLE virtual_users (id INT AUTO_INCREMENT PRIMARY KEY, domain_id INT,
    email VARCHAR(255) UNIQUE, password VARCHAR(255));
CREATE TABLE virtual_aliases (id INT AUTO_INCREMENT PRIMARY KEY, domain_id INT,
    source VARCHAR(255), destination TEXT);
CREATE USER mailuser@'127.0.0.1' IDENTIFIED BY '{password}';
GRANT SELECT ON mailserver.* TO mailuser@'127.0.0.1';
"""


class MariaDb(Process):
    """The server, on 127.0.0.1:3306. ``fill`` says who has a mailbox."""

    def __init__(self, directory: Path) -> None:
        log = directory / "mariadb.log"
        super().__init__(
            [
                *("mariadbd", "--no-defaults", "--user=mysql", "--bind-address=127.0.0.1", "--port=3306"),
                *(f"--datadir={_DATA}", f"--socket={_SOCKET}", "--innodb-buffer-pool-size=32M"),
            ],
            log,
            ready=lambda: "ready for connections" in self.output(),
            timeout=60,
        )

    def install(self) -> None:
        """Make the system's own tables."""
        command = ["mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={_DATA}"]
        subprocess.run([*command, "--skip-test-db"], check=True, capture_output=True)

    def fill(self, domains: Sequence[str], users: Sequence[str], aliases: Mapping[str, str]) -> None:
        """Make the tables, with a mailbox for each of *users*; *aliases* lead to addresses with commas between."""
        hashed = subprocess.run(
            ["doveadm", "pw", "-s", "SHA512-CRYPT", "-p", PASSWORD],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        numbers = {domain: number for number, domain in enumerate(domains, start=1)}
        lines = [
            f"INSERT INTO virtual_domains VALUES ({number}, '{name}');" for name, number in numbers.items()
        ]
        for user in users:
            number = numbers[user.rpartition("@")[2]]
            lines.append(f"INSERT INTO virtual_users VALUES (NULL, {number}, '{user}', '{hashed}');")
        for source, destination in aliases.items():
            number = numbers[source.rpartition("@")[2]]
            lines.append(f"INSERT INTO virtual_aliases VALUES (NULL, {number}, '{source}', '{destination}');")
        statements = _TABLES.format(password=PASSWORD) + "\n".join(lines)
        subprocess.run(["mariadb", f"--socket={_SOCKET}"], input=statements, text=True, check=True)
