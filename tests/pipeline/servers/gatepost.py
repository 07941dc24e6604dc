"""Our daemons, from the shipped conf/gatepost.yaml, at the addresses that stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.harness.daemon import Daemon
from tests.pipeline.machine import rewrite

CONF = Path(__file__).parents[3] / "conf"
ETC = Path("/etc/gatepost")
FILE = ETC / "gatepost.yaml"
NAMES = ("dkim-verify", "dkim-sign", "dmarc-enforce", "dmarc-stamp", "spf", "greylist")
SIGNED = ("example.nl", "example2.nl")
"""The domains that have a key."""

# What an administrator changes in the shipped file: further keys, and here a wait that a test can wait for.
_FURTHER_KEY = """\
      - domain: {domain}
        selector: mail
        file: /etc/gatepost/keys/{domain}/mail.private
"""
CHANGES: Mapping[str, str] = {
    "    #delay: 5m\n": "    delay: 1s\n",
    "        file: /etc/gatepost/keys/example.nl/mail.private\n": (
        "        file: /etc/gatepost/keys/example.nl/mail.private\n"
        + "".join(_FURTHER_KEY.format(domain=domain) for domain in SIGNED[1:])
    ),
}


class Service(Daemon):
    """One of the daemons; ports are those of the file."""

    def __init__(self, name: str, directory: Path) -> None:
        super().__init__(name, directory / "gatepost.yaml")
        self.file = FILE
        self.process.command[-1] = str(FILE)


class Gatepost:
    """The installation: files in their places, keys made by ``gatepost keygen``, and the daemons not started yet.

    *changes* are replaced in the shipped file, each of which has to be there; *without* names
    daemons that are left out of it.
    """

    def __init__(
        self, directory: Path, changes: Mapping[str, str] | None = None, without: Sequence[str] = ()
    ) -> None:
        text = (CONF / "gatepost.yaml").read_text()
        for shipped, changed in {**CHANGES, **(changes or {})}.items():
            if shipped not in text:
                raise RuntimeError(f"conf/gatepost.yaml has no {shipped!r}")
            text = text.replace(shipped, changed)
        for name in without:
            text = re.sub(rf"(?m)^  {name}:\n(?:    .*\n|\n)*", "", text)
        rewrite(FILE, text)
        shutil.copy(CONF / "greylist-allow", ETC)
        self.keys = {f"mail._domainkey.{domain}": _key(domain) for domain in SIGNED}
        self.daemons = {name: Service(name, directory) for name in NAMES if name not in without}

    def __getitem__(self, name: str) -> Daemon:
        return self.daemons[name]


def _key(domain: str) -> str:
    """Make the domain's key, where there is none yet, and give its record."""
    file = ETC / "keys" / domain / "mail.private"
    if not file.exists():
        command = [sys.executable, "-m", "gatepost", "keygen", domain, "--format", "line"]
        made = subprocess.run(command, check=True, capture_output=True, text=True)
        _, _, record = made.stdout.strip().partition(" ")
        rewrite(file.with_suffix(".txt"), record)
    return file.with_suffix(".txt").read_text()
