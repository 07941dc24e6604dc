"""The server of somebody who follows a page: gives its commands, edits as it says, and compares what it shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from script.howtos import world
from script.howtos.page import Step
from script.packages.trial.checking import expect
from script.packages.trial.clean_root import CleanRoot
from tests.unit.docs.sandbox import fits, session

CONFIG = "/etc/gatepost/gatepost.yaml"
_KEYS = Path("/etc/gatepost/keys")
_SMTPD = "pgrep -x smtpd || true"


class Host:
    """A booted root; ``commands`` counts what was given."""

    def __init__(self, root: CleanRoot) -> None:
        self.root = root
        self.commands = 0

    def follow(self, steps: Iterable[Step]) -> None:
        """Do all *steps*. Raises TrialError or CommandError where the page promises what is not so."""
        for step in steps:
            self._do(step)

    def _do(self, step: Step) -> None:
        what, _, name = step.mark.partition(" ")
        if what == "published":
            world.publish(self.root, _KEYS)
        elif what == "without":
            self._take_out(*name.split("."))
        elif what == "file":
            self._write(name, step.text)
        elif what == "configured":
            self.configure(step.text)
        elif step.language == "sh":
            self._give(step.text)
        elif step.language == "console":
            for command, shown in session(step.text):
                seen = self.root.run(f"cd /root; export COLUMNS=100; {command} || true")
                self.commands += 1
                expect(fits(shown, seen), f"$ {command} prints what the page shows", seen)
        elif step.language == "main.cf":
            for line in re.sub(r"\n\s+", " ", step.text).strip().splitlines():
                self.root.run(f"postconf -e {shlex.quote(line)}")

    def _give(self, script: str) -> None:
        """Give commands; where Postfix was reloaded, what runs under its old configuration ends before the next."""
        self.commands += len(script.replace("\\\n", "").strip().splitlines())
        old = self.root.run(_SMTPD).split() if "reload postfix" in script else []
        self.root.run(f"cd /root; set -e\n{script}")
        if old:
            self.root.settled(f"! ps -p {','.join(old)} -o comm= | grep -qx smtpd", 60)

    def configure(self, text: str) -> None:
        """Put a piece of configuration, whole or some daemons, into gatepost.yaml."""
        piece = yaml.safe_load(text)
        whole = self._configuration()
        daemons = piece.pop("daemons", None)
        if daemons is None:
            daemons, piece = piece, {}
        for name, options in daemons.items():
            whole["daemons"][name] = {**whole["daemons"].get(name, {}), **options}
        self._write(CONFIG, yaml.safe_dump({**whole, **piece}, sort_keys=False))

    def _take_out(self, daemon: str, option: str = "") -> None:
        whole = self._configuration()
        if option:
            del whole["daemons"][daemon][option]
        else:
            del whole["daemons"][daemon]
        self._write(CONFIG, yaml.safe_dump(whole, sort_keys=False))

    def _configuration(self) -> dict[str, Any]:
        whole: dict[str, Any] = yaml.safe_load(self.root.path(CONFIG).read_text())
        whole["daemons"] = whole.get("daemons") or {}
        return whole

    def _write(self, name: str, text: str) -> None:
        file = self.root.path(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
