"""The kinds of work: what is made ready before the clock runs, what is sent, and what has to come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from bench import ours
from bench.load import LoadError, MakeClient
from bench.milter_load import Dialogues
from bench.players import Player, Running
from bench.policy_load import Questions, template
from bench.world import World
from gatepost.authres.seal import without_seal
from gatepost.message import HeaderField
from tests.harness.keys import passes
from tests.harness.mail import unparse
from tests.harness.milter_client import Mail, MilterClient, Result
from tests.harness.policy_client import PolicyClient

_TIMEOUT = 60.0
_EACH_RUN = 1_000_000_000
_RESULTS = b"Authentication-Results"


class Work(Protocol):
    """What a case does to a daemon."""

    def prepare(self, world: World, player: Player, daemon: Running) -> None:
        """Once, before the first run: see that the daemon does its work, and let it learn what it has to know.

        Raises LoadError, OSError.
        """

    def clients(self, world: World, player: Player, daemon: Running) -> MakeClient:
        """The clients of the next run against this daemon. Raises LoadError, OSError."""


Check = Callable[[World, Mail, Result], None]
"""Looks at what became of a message; raises LoadError where it is not right."""


@dataclass(frozen=True)
class MilterWork:
    """Messages for a milter. Each answer has to hold *expected*; *check* looks closer at the first.

    *mails* makes the messages for a player: once, or with *fresh* for each
    run, so that none gets what another had.
    """

    mails: Callable[[World, Player], Sequence[Mail]]
    expected: Sequence[bytes]
    fresh: bool = False
    check: Check | None = None
    _made: dict[str, Sequence[Mail]] = field(default_factory=dict)

    def prepare(self, world: World, player: Player, daemon: Running) -> None:
        if not self.fresh:
            self._made[player.name] = self.mails(world, player)
        if self.check is not None:
            mail = self._made[player.name][0]
            with MilterClient(daemon.address, timeout=_TIMEOUT) as client:
                self.check(world, mail, client.send(mail))

    def clients(self, world: World, player: Player, daemon: Running) -> MakeClient:
        return self.dialogues(world, player, daemon).client

    def dialogues(self, world: World, player: Player, daemon: Running) -> Dialogues:
        """What the clients of the next run say."""
        mails = self.mails(world, player) if self.fresh else self._made[player.name]
        return Dialogues.prepare(daemon.address, mails, self.expected, once=self.fresh)


def signatures_hold(world: World, mail: Mail, result: Result) -> None:
    """All signatures that were added verify, by dkimpy."""
    octets = unparse([HeaderField(*each) for each in result.headers], mail.body)
    verdicts = passes(octets, world.records)
    if not verdicts or not all(verdicts):
        raise LoadError(f"the signatures do not all hold: {verdicts}")


def with_results(world: World, mails: Sequence[Mail], *, sealed: bool) -> list[Mail]:
    """Messages as they come to a DMARC filter: with the fields of our own verifier and SPF service on top.

    Unsealed ones are what a daemon gets that knows no seals.
    """
    found = []
    with (
        ours.installation(world, {"dkim-verify": {}, "spf": {}, "dmarc": _NO_HISTORY}) as gatepost,
        MilterClient(ours.running(gatepost["dkim-verify"]).address) as verifier,
        PolicyClient(ours.running(gatepost["spf"]).address) as service,
    ):
        for mail in mails:
            action = service.ask(
                client_address=mail.client_address,
                helo_name=mail.helo.decode(),
                sender=mail.mail_from.decode(),
                recipient=mail.recipients[0].decode(),
            )
            name, colon, spf = action.removeprefix("PREPEND ").encode().partition(b":")
            results = verifier.send(mail).values(_RESULTS)
            if not colon or name != _RESULTS or len(results) != 1:
                raise LoadError(f"no results to go on from: {action}, {results}")
            values = [*results, spf]
            if not sealed:
                values = [b" " + without_seal(value).strip() for value in values]
            headers = [*(HeaderField(_RESULTS, value) for value in values), *mail.headers]
            found.append(
                Mail(
                    headers=headers,
                    body=mail.body,
                    mail_from=mail.mail_from,
                    recipients=mail.recipients,
                    client_name=mail.client_name,
                    client_address=mail.client_address,
                    helo=mail.helo,
                    queue_id=mail.queue_id,
                )
            )
    return found


_NO_HISTORY = {"history": None}


@dataclass(frozen=True)
class PolicyWork:
    """Requests to a policy service. Each answer has to hold *expected*.

    *requests* are the attributes of each request; :data:`bench.policy_load.NUMBER` in one makes
    it new each time. ``per_connection`` requests go over one connection, all
    over one that is there already where it is 0.
    *first* are answers of all requests that have to be had before, one after
    the other, *pause* seconds apart: the daemon's state that the case is about.
    """

    requests: Sequence[dict[str, str]]
    expected: str
    per_connection: int = 0
    first: Sequence[str] = ()
    pause: float = 0.0
    _runs: count[int] = field(default_factory=lambda: count(1))

    def prepare(self, world: World, player: Player, daemon: Running) -> None:
        for number, expected in enumerate(self.first):
            if number:
                time.sleep(self.pause)
            with PolicyClient(daemon.address, timeout=_TIMEOUT) as service:
                for attributes in self.requests:
                    answer = service.ask(attributes)
                    if expected not in answer:
                        raise LoadError(f"no {expected!r} in the answer {answer!r}")

    def clients(self, world: World, player: Player, daemon: Running) -> MakeClient:
        templates = [template(**attributes) for attributes in self.requests]
        first = next(self._runs) * _EACH_RUN
        expected = self.expected.encode()
        return Questions(daemon.address, templates, expected, self.per_connection, first).client
