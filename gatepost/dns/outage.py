"""Noticing that no nameserver answers: every result is a temporary error then, and each looks like a sender's fault."""

from __future__ import annotations

from collections.abc import Callable

from gatepost.dns.answer import Answer, Outcome

UNANSWERED = 3
"""Questions in a row that nobody answered; one may be due to the servers of the domain that it was about."""


class Outage:
    """Tells *complain*, in one line, when nobody answers any more, and once when somebody does again."""

    __slots__ = ("_complain", "_told", "_unanswered")

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._unanswered = 0
        self._told = False

    def note(self, answer: Answer, *, nobody: bool = False) -> None:
        """Note how a question ended. *nobody* says that there was no server to ask."""
        if answer.outcome is not Outcome.TIMEOUT and not nobody:
            self._unanswered = 0
            if self._told:
                self._told = False
                self._complain("the DNS answers again")
            return
        self._unanswered += 1
        if self._unanswered >= UNANSWERED and not self._told:
            self._told = True
            self._complain(
                f"the DNS does not answer: {answer.detail}: "
                "start the nameserver, or name another as dns.nameservers (none named: in /etc/resolv.conf)"
            )
