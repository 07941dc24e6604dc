"""The message as the MTA shows it: header fields as they came, and the envelope.

Nothing here is parsed or decoded: DKIM signs octets, and a field that was
"helpfully" normalised no longer verifies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class HeaderField(NamedTuple):
    """One header field (RFC 5322 §2.2), octet for octet.

    ``value`` is all that follows the colon, leading white space included;
    folds are as the MTA hands them over: a bare LF before the white space.
    """

    name: bytes
    value: bytes


@dataclass(slots=True)
class Envelope:
    """What SMTP said before the message (RFC 5321), as far as the MTA passed it on.

    ``client_address`` is the textual IP address, or "" where the MTA knows none
    (a local submission). ``mail_from`` and ``recipients`` are without angle
    brackets; an empty ``mail_from`` is the null reverse-path. ``macros`` holds
    the MTA's macros by bare name (``i``, ``auth_authen``), without braces.
    """

    client_address: str = ""
    client_name: str = ""
    helo: bytes = b""
    mail_from: bytes = b""
    recipients: list[bytes] = field(default_factory=list)
    macros: dict[str, str] = field(default_factory=dict)

    @property
    def queue_id(self) -> str:
        """The MTA's queue id, or "" while there is none (before the first accepted recipient)."""
        return self.macros.get("i", "")

    @property
    def login(self) -> str:
        """The SASL login name, or "" for a client that did not authenticate (RFC 4954)."""
        return self.macros.get("auth_authen", "")


@dataclass(slots=True)
class Message:
    """One message at the end of its header: the body is still to come, and is never held.

    ``oversized`` says which limit the header broke ("" for none); the fields
    beyond the limit are then not in ``headers``, so nothing may be concluded
    from their absence.
    """

    envelope: Envelope
    headers: list[HeaderField]
    oversized: str = ""

    def values(self, name: bytes) -> list[bytes]:
        """The values of all fields called *name* (lower case), topmost first.

        White space in front of the colon (RFC 5322 §4.5) hides no field.
        """
        return [value for field_name, value in self.headers if field_name.rstrip(b" \t").lower() == name]
