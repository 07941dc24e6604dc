"""The books: each mail that was sent, what its sender was told, and where it arrived."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.harness.accounting.mail import NUMBER, Mail
from tests.harness.delivery import Delivery

TWICE = "delivered twice"
"""The discrepancy that a part can cause by going away with a mail in its hands (RFC 1047)."""

_SHOWN = 5
"""Examples of each kind of discrepancy."""


@dataclass(slots=True)
class Entry:
    """What is known of one mail. Times are those of ``time.monotonic``."""

    mail: Mail
    sent: float
    told: str = ""
    """"taken", the text of a refusal, or "" while it is not decided."""
    put_off: int = 0
    arrived: Counter[str] = field(default_factory=Counter)


class Books:
    """Accounts for all mail. ``discrepancies`` are counted by what they are; ``examples`` show some of each."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._lock = threading.Lock()
        self._shaken: list[tuple[float, float]] = []
        self.put_off: Counter[str] = Counter()
        self.outcomes: dict[str, Counter[str]] = {}
        self.discrepancies: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.latest = ""
        """The discrepancy that was found last."""

    @property
    def sent(self) -> int:
        """How many mails there are."""
        return len(self._entries)

    @property
    def open(self) -> int:
        """How many are not yet settled: undecided, or on their way."""
        with self._lock:
            return sum(not _settled(entry) for entry in self._entries.values())

    def enter(self, mail: Mail) -> None:
        """A mail is about to be sent for the first time."""
        with self._lock:
            self._entries[mail.number] = Entry(mail, time.monotonic())

    def came_back(self, mail: Mail, text: str) -> None:
        """It was put off, with *text*; it is sent again."""
        with self._lock:
            self._entries[mail.number].put_off += 1
            self.put_off[text] += 1

    def decided(self, mail: Mail, told: str) -> None:
        """It was "taken", or refused with the text *told*."""
        with self._lock:
            self._entries[mail.number].told = told

    def shaken(self, begin: float, end: float) -> None:
        """Between these times results could be lost on the way, as seals were no longer to be believed."""
        with self._lock:
            self._shaken.append((begin, end))

    def arrive(self, deliveries: Iterable[Delivery]) -> None:
        """Take in what has arrived."""
        for delivery in deliveries:
            numbers = delivery.values(NUMBER)
            entry = self._entries.get(int(numbers[0])) if numbers else None
            if entry is None:
                self._report(
                    "a mail that nobody sent", f"for {delivery.recipient}: {delivery.octets[:300]!r}"
                )
                continue
            entry.arrived[delivery.recipient] += 1
            if delivery.recipient not in entry.mail.recipients:
                self._report("arrived elsewhere", f"{_name(entry)} for {delivery.recipient}")
            if entry.mail.kind.refused:
                self._report("wrongly accepted", _name(entry))
            elif fault := entry.mail.faults(delivery):
                if self._was_shaken(entry):
                    self._count(entry, "result lost on the way, and known to be")
                else:
                    self._report("a wrong result", f"{_name(entry)}: {fault}")

    def close(self) -> None:
        """All is over: judge every mail."""
        for entry in self._entries.values():
            kind = entry.mail.kind
            if not entry.told:
                self._report("undecided", f"{_name(entry)}, put off {entry.put_off} times")
            elif entry.told != "taken":
                expected = kind.refused and kind.refused in entry.told
                self._count(entry, "refused")
                if not expected:
                    self._report("wrongly refused", f"{_name(entry)}: {entry.told}")
            else:
                self._count(entry, "delivered")
                missing = set(entry.mail.recipients) - set(entry.arrived)
                if missing and not kind.refused:
                    self._report("lost", f"{_name(entry)} for {len(missing)} of its recipients")
            if any(count > 1 for count in entry.arrived.values()):
                self._report(TWICE, _name(entry))
            if entry.put_off:
                self._count(entry, "put off at first")

    def _was_shaken(self, entry: Entry) -> bool:
        now = time.monotonic()
        with self._lock:
            return any(begin <= now and entry.sent <= end for begin, end in self._shaken)

    def _count(self, entry: Entry, outcome: str) -> None:
        self.outcomes.setdefault(entry.mail.kind.name, Counter())[outcome] += 1

    def _report(self, what: str, detail: str) -> None:
        self.discrepancies[what] += 1
        self.latest = f"{what}: {detail}"
        examples = self.examples.setdefault(what, [])
        if len(examples) < _SHOWN:
            examples.append(detail)


def _settled(entry: Entry) -> bool:
    if entry.told != "taken":
        return bool(entry.told)
    return len(entry.arrived) >= len(entry.mail.recipients)


def _name(entry: Entry) -> str:
    return f"mail {entry.mail.number} ({entry.mail.kind.name})"
