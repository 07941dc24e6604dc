"""The message as the MTA shows it: header fields as they came, and the envelope.

Nothing here is parsed or decoded: DKIM signs octets, and a field that was
"helpfully" normalised no longer verifies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class HeaderField(NamedTuple):
    """One header field (RFC 5322 §2.2), octet for octet.

    ``value`` is all that follows the colon, leading white space included;
    folds are as the MTA hands them over: a bare LF before the white space.
    """

    name: bytes
    value: bytes


Places = Mapping[bytes, Sequence[int]]
"""Where the fields of a header stand: by name in lower case, their positions from the top."""


def places_of(headers: Iterable[HeaderField]) -> Places:
    """Find out where the fields of each name stand.

    White space in front of the colon is no part of the name (RFC 5322 §4.5), and hides no field.
    """
    places: dict[bytes, list[int]] = {}
    for place, (name, _) in enumerate(headers):
        key = name.lower()
        if key[-1:] in b" \t":
            key = key.rstrip(b" \t")
        if key in places:
            places[key].append(place)
        else:
            places[key] = [place]
    return places


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
    _places: Places | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def places(self) -> Places:
        """Where the fields of each name stand. Found out once: the header is complete."""
        if self._places is None:
            self._places = places_of(self.headers)
        return self._places

    def values(self, name: bytes) -> list[bytes]:
        """The values of all fields called *name* (lower case), topmost first."""
        return [self.headers[place].value for place in self.places.get(name, ())]
