"""Messages in tests: writing them, and looking at what was delivered, octet for octet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gatepost.message import HeaderField
from tests.harness.mail import parse

_FOLD = re.compile(rb"\r?\n(?=[ \t])")


def compose(fields: Iterable[tuple[str, str]], body: str = "Hello.\n") -> bytes:
    """A message with CRLF line ends; text may use bare LF. Non-ASCII goes out as UTF-8."""
    header = "".join(f"{name}: {value}\n" for name, value in fields)
    return f"{header}\n{body}".encode().replace(b"\n", b"\r\n")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it arrived for one recipient; ``octets`` has CRLF line ends."""

    recipient: str
    sender: str
    octets: bytes

    @property
    def body(self) -> bytes:
        """All that follows the empty line."""
        return self.octets.partition(b"\r\n\r\n")[2]

    @property
    def fields(self) -> list[HeaderField]:
        """The header fields from the top, folds as a bare LF."""
        return parse(self.octets)[0]

    def values(self, name: str) -> list[str]:
        """The values of all fields called *name*, unfolded and stripped, topmost first."""
        wanted = name.lower().encode()
        return [
            _FOLD.sub(b"", field.value).strip().decode("utf-8", "replace")
            for field in self.fields
            if field.name.lower() == wanted
        ]
