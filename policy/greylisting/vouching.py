"""What others say about a client before greylisting decides: the sender's SPF record, and a list of mail servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from gatepost.dns.answer import Answer
from gatepost.networks import parse_address
from policy.instances import is_too_long

if TYPE_CHECKING:
    from gatepost.spf.result import SpfResult

SpfCheck = Callable[[str, str, str], Awaitable["SpfResult"]]
"""Checks client address, HELO and MAIL FROM. Raises nothing but CancelledError."""

_KEPT_FOR: Final = 60.0
"""Seconds for which a result serves: one message has many recipients, and many messages come in a row."""

_MOST_KEPT: Final = 4096

_EVERYBODY: Final = frozenset({"all", "+all"})


class SpfVouching:
    """Which domain vouches for a client. *clock* gives seconds, from any starting point."""

    def __init__(self, check: SpfCheck, clock: Callable[[], float]) -> None:
        self._check = check
        self._clock = clock
        self._kept: dict[tuple[str, str, str], tuple[str, float]] = {}

    def known(self, client: str, helo: str, sender: str) -> str | None:
        """What :meth:`domain` gave a moment ago; None where it has to be asked."""
        kept = self._kept.get(_key(client, helo, sender))
        # A clock that was set back must not keep it for long.
        return kept[0] if kept is not None and 0 <= self._clock() - kept[1] < _KEPT_FOR else None

    async def domain(self, client: str, helo: str, sender: str) -> str:
        """The domain in whose name the client may send (RFC 7208); "" where SPF does not say so.

        A record that lets everybody send says nothing about this client.
        """
        result = await self._check(client, helo, sender)
        vouches = result.verdict == "pass" and result.mechanism.lower() not in _EVERYBODY
        domain = result.domain if vouches else ""
        key = _key(client, helo, sender)
        if result.verdict != "temperror" and not is_too_long(key):
            if len(self._kept) >= _MOST_KEPT:
                # The oldest: a dict keeps the order in which things came.
                del self._kept[next(iter(self._kept))]
            self._kept[key] = domain, self._clock()
        return domain


def _key(client: str, helo: str, sender: str) -> tuple[str, str, str]:
    # HELO decides where there is no sender (RFC 7208 §2.4); otherwise few records look at it.
    return client, "" if sender else helo, sender


def list_question(address: str, zone: str) -> str:
    """The name to look up for a client in the DNS list *zone* (RFC 5782 §2.1, §2.4); "" for what is no address."""
    parsed = parse_address(address)
    if parsed is None:
        return ""
    labels = parsed.reverse_pointer.rsplit(".", 2)[0]
    return f"{labels}.{zone}"


def is_listed(answer: Answer) -> bool:
    """Whether the list knows the client.

    Entries are in 127.0.0.0/16 (RFC 5782 §2.1: 127.0.0.0/8). 127.0.0.255 tells
    that the asker is refused, and addresses outside that the name was hijacked.
    """
    return any(
        isinstance(record, str) and record.startswith("127.0.") and record != "127.0.0.255"
        for record in answer.records
    )
