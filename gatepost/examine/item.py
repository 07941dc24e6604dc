"""One thing that a domain should publish, and how that stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How what is published stands to what should be."""

    OK = "ok"
    MISSING = "missing"
    DIFFERS = "differs"
    """It is there, and is not what is wanted, or is broken."""
    UNKNOWN = "unknown"
    """The DNS did not tell, or it is not known what is wanted."""


@dataclass(frozen=True, slots=True)
class Item:
    """One record, or set of records.

    ``wanted`` is what to publish, "" where there is nothing to propose, and
    ``found`` what is published, one text a record. ``notes`` are sentences.
    What is ``optional`` may be missing, or not known.
    """

    kind: str
    name: str
    rdtype: str
    status: Status
    found: tuple[str, ...] = ()
    wanted: str = ""
    notes: tuple[str, ...] = ()
    optional: bool = False

    @property
    def in_order(self) -> bool:
        """Whether nothing has to be done."""
        return self.status is Status.OK or (self.optional and self.status is not Status.DIFFERS)
