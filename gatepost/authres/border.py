"""Which Authentication-Results fields of a message may stay, and which of them are believed.

Nothing is believed because of where it stands: a sender can write a field with
our name, and it can come in from any side. What we wrote ourselves bears a
seal. At the border (a client that is not one of us) only the SPF field that our
policy service has just written for this very client may stay; inside, every
field whose seal fits the message, and an SPF field whose seal fits what it
states, if it states this message's MAIL FROM: that has come through a content
filter, while client and HELO have not. The topmost one of these alone: the
policy service puts its own on top. All others with our name go (RFC 8601 §5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gatepost.authres.read import ARParseError, read
from gatepost.authres.result import Result
from gatepost.authres.seal import Sealer, message_subject, spf_subject
from gatepost.authres.spf_field import STATEMENT, stated
from gatepost.authres.strip import Ids, claims
from gatepost.authres.unsealed import read_unsealed
from gatepost.message import Message
from gatepost.networks import Networks

FIELD_NAME = b"Authentication-Results"
_KEY = FIELD_NAME.lower()

MOMENT = 60.0
"""Seconds for which, at the border, one of our milters believes another: they take one message one after the
other. An older seal has come with the message; what it says is then checked again."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A field that bears our authserv-id.

    ``index`` counts the message's Authentication-Results fields from 1, as the
    milter protocol does. ``sealed`` fields were written by us for this message.
    ``believed`` are these, and all from a client that the operator believes
    unsealed; the others are forged, or too old.
    """

    index: int
    value: bytes
    sealed: bool
    believed: bool

    def results(self) -> tuple[Result, ...]:
        """What a believed field says; nothing where it cannot be read, or is not believed."""
        if not self.believed:
            return ()
        try:
            return (read if self.sealed else read_unsealed)(self.value).results
        except ARParseError:
            return ()


class Border:
    """Judges the fields of messages. ``believe_unsealed`` are clients whose word is taken without a seal."""

    def __init__(self, ids: Ids, sealer: Sealer, believe_unsealed: Networks) -> None:
        self._ids = ids
        self._sealer = sealer
        self._believe_unsealed = believe_unsealed

    def claims(self, message: Message, inside: bool, now: float, *, first: bool = True) -> list[Claim]:
        """The fields that claim to be ours, topmost first.

        *inside* says that the message comes from one of us; *now* is the time
        in seconds since 1970. *first* says that none of our milters has had
        the message before in this session: what one of them wrote a moment ago
        is good at the border too.
        """
        found = [
            (index, value) for index, value in enumerate(message.values(_KEY), 1) if claims(value, self._ids)
        ]
        if not found:
            return []
        envelope = message.envelope
        subjects = []
        if inside or not first:
            subjects.append(
                (message_subject(message.headers, message.places), math.inf if inside else MOMENT)
            )
        if not inside:
            client_subject = spf_subject(envelope.client_address, envelope.helo, envelope.mail_from)
            subjects.append((client_subject, math.inf))
        trusted = envelope.client_address in self._believe_unsealed
        judged = []
        seen_spf = False
        for index, value in found:
            # Each subject costs a MAC, so the one that will do is tried first.
            likely = reversed(subjects) if STATEMENT in value else subjects
            sealed = any(self._sealer.opened(value, subject, now, longest) for subject, longest in likely)
            if inside and not sealed and not seen_spf and (spf := stated(value)) is not None:
                sealed = seen_spf = spf.speaks_of(envelope.mail_from) and self._sealer.opened(
                    value, spf.subject, now
                )
            judged.append(Claim(index, value, sealed, believed=sealed or trusted))
        return judged
