"""A host on which the commands of a page are given: /etc, /var and /run are below a directory of its own."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from gatepost.cli import main as gatepost
from gatepost.dkim.keys.keyfile import KeyRules, load_private_key
from gatepost.dkim.publish import record_text

CONFIG = "/etc/gatepost/gatepost.yaml"
_PATH = re.compile(r"(?<![\w@./])/(?=(?:etc|var|run)/)")

RECORDS: Mapping[str, list[dict[str, Any]]] = {
    "example.nl": [{"TXT": "v=spf1 mx -all"}, {"MX": [10, "mail.example.nl"]}],
    "mail.example.nl": [{"A": "192.0.2.25"}, {"TXT": "v=spf1 a -all"}],
    "25.2.0.192.in-addr.arpa": [{"PTR": "mail.example.nl"}],
    "_dmarc.example.nl": [{"TXT": "v=DMARC1; p=reject; rua=mailto:dmarc@example.nl"}],
    "example.org": [{"TXT": "v=spf1 ip4:198.51.100.0/24 -all"}, {"MX": [10, "mx.example.org"]}],
    "mx.example.org": [{"A": "198.51.100.7"}],
    "_dmarc.example.org": [{"TXT": "v=DMARC1; p=none"}],
}

FIRST_CONFIG = """\
authserv_id: mail.example.nl
daemons:
  dkim-verify: {socket: "inet:8891@127.0.0.1", metrics: "127.0.0.1:9891"}
  dkim-sign:
    socket: inet:8892@127.0.0.1
    metrics: 127.0.0.1:9892
    keys:
      - {domain: example.nl, selector: mail, file: /etc/gatepost/keys/example.nl/mail.private}
  dmarc-enforce: {kind: dmarc, socket: "inet:8893@127.0.0.1", metrics: "127.0.0.1:9893"}
"""

MESSAGE = """\
From: Anna <anna@example.nl>
To: bert@example.org
Subject: Lunch on Friday
Date: Sat, 21 Nov 2026 10:00:00 +0000
Message-ID: <1@example.nl>

Shall we?
"""


class Sandbox:
    """The host. Commands are given by ``run``, files read and written by the names that the page has.

    With a *key*, it signs for example.nl already; without, it has no configuration
    yet. ``records`` is the DNS.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, key: Path | None = None) -> None:
        self.root = root
        self.records: dict[str, Any] = dict(RECORDS)
        for directory in (
            "/etc/gatepost/keys/example.nl",
            "/var/lib/gatepost/dkim",
            "/var/spool/postfix/private",
            "/root",
        ):
            (root / directory.lstrip("/")).mkdir(parents=True)
        for name in ("options", "asking", "signers"):
            monkeypatch.setattr(f"gatepost.cli.{name}.DEFAULT_CONFIG", self.path(CONFIG))
        monkeypatch.setattr("gatepost.cli.keygen.KEYS", self.path("/etc/gatepost/keys"))
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.chdir(root / "root")
        if key is not None:
            copied = "/var/lib/gatepost/dkim/example.nl.mail.key"
            for place in ("/etc/gatepost/keys/example.nl/mail.private", copied):
                self.path(place).write_bytes(key.read_bytes())
                self.path(place).chmod(0o600)
            self.write(CONFIG, FIRST_CONFIG)
        self.publish()
        (root / "root" / "message.eml").write_text(MESSAGE)

    def path(self, name: str) -> Path:
        """The file that the page calls *name*."""
        return self.root / name.lstrip("/")

    def write(self, name: str, text: str) -> None:
        """Write a file; in gatepost.yaml the DNS of the sandbox is added."""
        if name == CONFIG:
            data = yaml.safe_load(text)
            data.setdefault("dns", {})["zone"] = "/etc/gatepost/zone.json"
            data.setdefault("seal_secret", "/var/lib/gatepost/seal.key")
            text = yaml.safe_dump(data, sort_keys=False)
        file = self.path(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self._inside(text))

    def configure(self, text: str) -> None:
        """Put a piece of configuration, daemons or sections, into gatepost.yaml."""
        whole = yaml.safe_load(self._outside(self.path(CONFIG).read_text()))
        piece = yaml.safe_load(text)
        if "daemons" not in piece and not set(piece) & {"dns", "log", "authserv_id", "trusted_networks"}:
            piece = {"daemons": piece}
        daemons = piece.pop("daemons", {})
        whole |= piece
        for name, options in daemons.items():
            whole["daemons"][name] = {**whole["daemons"].get(name, {}), **options}
        self.write(CONFIG, yaml.safe_dump(whole, sort_keys=False))

    def publish(self, *domains: str) -> None:
        """Publish the record of every key that there is; of the keys of *domains* alone where given."""
        for file in self.path("/etc/gatepost/keys").glob("*/*.private"):
            domain = file.parent.name
            if not domains or domain in domains:
                record = record_text(load_private_key(file, KeyRules()).public_key())
                self.records[f"{file.stem}._domainkey.{domain}"] = [{"TXT": record}]
        self.path("/etc/gatepost/zone.json").write_text(json.dumps(self.records))

    def run(self, command: str) -> str:
        """What *command* writes, to either stream."""
        inside = self._inside(command)
        plain, _, target = inside.partition(" > ")
        if plain.startswith("gatepost ") and not re.search(r"[|&;<]", plain):
            out, err = _gatepost(shlex.split(plain)[1:])
            if target:
                Path(target.strip()).write_bytes(out)
                out = b""
        else:
            # The umask of a login, and the tools of a usual host; no gatepost among them.
            done = subprocess.run(["sh", "-c", inside], capture_output=True, timeout=20, check=False)
            assert done.returncode == 0, (command, done.stderr)
            out, err = done.stdout, done.stderr
        return self._outside((err + out).decode())

    def _inside(self, text: str) -> str:
        return _PATH.sub(f"{self.root}/", text)

    def _outside(self, text: str) -> str:
        return text.replace(str(self.root / "root") + "/", "").replace(str(self.root), "")


def _gatepost(arguments: list[str]) -> tuple[bytes, bytes]:
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        gatepost(arguments)
    return _written(out), _written(err)


def _written(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()


def session(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a ``console`` block, each with the output that it shows. A command may go on behind ``\\``."""
    command, shown = "", ""
    continues = False
    for line in text.splitlines(keepends=True):
        if continues:
            command += line.strip().removesuffix("\\")
            continues = line.rstrip().endswith("\\")
        elif line.startswith("$ "):
            if command:
                yield command, shown
            command, shown = line[2:].strip().removesuffix("\\"), ""
            continues = line.rstrip().endswith("\\")
        else:
            shown += line
    if command:
        yield command, shown


def fits(shown: str, output: str) -> bool:
    """Whether *output* is what a page shows.

    ``…`` stands for any text within a line, alone on a line for any lines. How
    wide a column of a table is depends on paths, which are longer here.
    """
    parts = []
    for line in _squeezed(shown).splitlines():
        if line.strip() == "…":
            parts.append("(?:.*\n)*?")
        else:
            parts.append(".*?".join(re.escape(piece) for piece in line.rstrip().split("…")) + " *\n")
    return re.fullmatch("".join(parts), _squeezed(output)) is not None


def _squeezed(text: str) -> str:
    return re.sub(r"(?<=\S) {2,}", "  ", text)
