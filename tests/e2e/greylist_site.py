"""Mail hosts with greylisting: each a Postfix with daemons of its own, and strangers who come to them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.support import message
from tests.harness.daemon import Daemon, Installation
from tests.harness.ports import LOOPBACK
from tests.harness.postfix import Postfix, Smtpd
from tests.harness.smtp import Client, RefusedError, Reply, deliver
from tests.harness.together import Together

DELAY = 2
"""Seconds that a first attempt waits, in these tests."""

FIELD = "X-Greylist"
NEWCOMER = Client("198.51.100.7", "mx.newcomer.example", "mx.newcomer.example")
GREYLISTED = re.compile(r"4\.2\.0 .*: Greylisted, please try again in (\d+) seconds$")

_OUTSIDE = "127.0.0.2"
"""The address from which a Postfix of the world comes: one that nobody trusts."""


class Host(Together):
    """A mail host for example.nl. ``spf`` stands before ``greylist`` where both are in *sections*.

    *options* are the greylist's.
    """

    def __init__(
        self,
        directory: Path,
        options: Mapping[str, Any],
        *,
        sections: Mapping[str, Any] | None = None,
        common: Mapping[str, Any] | None = None,
        hostname: str = "mail.example.nl",
    ) -> None:
        greylist = {"delay": DELAY, "store": str(directory / "greylist.sqlite"), **options}
        self.gatepost = Installation(
            directory,
            {**(sections or {}), "greylist": greylist},
            {"authserv_id": hostname, "trusted_networks": [LOOPBACK], **(common or {})},
        )
        policy = [daemon.milter for daemon in self.gatepost.daemons.values()]
        # Nobody is one of ours here: not those who come from the loopback's other addresses either.
        service = Smtpd(name="mx", policy=policy, networks=["127.0.0.255/32"])
        self.postfix = Postfix([service], hostname=hostname)

    @property
    def daemon(self) -> Daemon:
        """The daemon greylist."""
        return self.gatepost["greylist"]

    @property
    def port(self) -> int:
        """Where mail comes in."""
        return self.postfix.port("mx")

    def send(self, sender: str, *recipients: str, client: Client = NEWCOMER) -> Reply:
        """One delivery attempt. Raises RefusedError."""
        return deliver(self.port, message(sender, recipients[0]), sender, recipients, client=client)

    def put_off(self, sender: str, *recipients: str, client: Client = NEWCOMER) -> int:
        """One delivery attempt, which is greylisted; the seconds that its reply tells."""
        try:
            self.send(sender, *recipients, client=client)
        except RefusedError as refused:
            told = GREYLISTED.match(refused.reply.text)
            if refused.reply.code == 450 and told:
                return int(told[1])
            raise
        raise AssertionError(f"from {sender}: not greylisted")

    def command(self, *words: str) -> Any:
        """What ``gatepost greylist WORDS --json`` gives."""
        command = [sys.executable, "-m", "gatepost", "greylist", *words, "--json"]
        done = subprocess.run(
            [*command, "--config", str(self.gatepost.file)],
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    def outcomes(self) -> dict[str, float]:
        """How many requests there were, by what became of them."""
        return {
            found[1]: value
            for name, value in self.daemon.metrics().items()
            if (found := re.match(r'gatepost_greylist_requests_total\{.*outcome="(\w+)"', name)) and value
        }

    def _start(self, starting: ExitStack) -> None:
        starting.enter_context(self.gatepost)
        starting.enter_context(self.postfix)


@contextmanager
def far_end(ports: Sequence[int], backoff: int = 1) -> Iterator[Postfix]:
    """A Postfix of the world, whose mail goes to the first of *ports* that takes it.

    What is put off there waits in its queue, for *backoff* seconds or one more.
    """
    hosts = ", ".join(f"[{LOOPBACK}]:{port}" for port in ports)
    with Postfix(
        [Smtpd(name="in")],
        hostname="mx.newcomer.example",
        inside=["newcomer.example"],
        options={
            "relayhost": hosts,
            "smtp_bind_address": _OUTSIDE,
            "minimal_backoff_time": f"{backoff}s",
            "maximal_backoff_time": f"{backoff}s",
        },
    ) as postfix:
        yield postfix


class Strangers:
    """Sends the mail of a number from a sender of its own, and keeps what was replied; for support.Traffic."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.waits: dict[int, list[int]] = defaultdict(list)
        """By the number of the mail: the seconds that each put-off told."""
        self.others: list[str] = []
        """Replies that neither took the mail nor greylisted it."""

    def send(self, number: int) -> Reply:
        """One delivery attempt."""
        try:
            return self._host.send(self.sender(number), f"{number}@example.nl")
        except RefusedError as refused:
            told = GREYLISTED.match(refused.reply.text)
            if refused.reply.code == 450 and told:
                self.waits[number].append(int(told[1]))
            else:
                self.others.append(str(refused))
            raise

    @staticmethod
    def sender(number: int) -> str:
        """Whose mail that is. The words keep their numbers apart: runs of digits count as one sender's."""
        return f"{''.join(chr(ord('a') + int(digit)) for digit in str(number))}@newcomer.example"

    def kept_promises(self) -> None:
        """Assert that everybody was greylisted or taken, and that nobody was made to wait anew."""
        assert self.others == []
        assert [waits for waits in self.waits.values() if waits != sorted(waits, reverse=True)] == []
        known = self._host.command("show", "--limit", "10000")["entries"]
        senders = {entry["sender"] for entry in known}
        assert {self.sender(number) for number in self.waits} <= senders
