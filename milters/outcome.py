"""From a daemon's verdict to what the MTA is told, in order and checked. Shared by both engines.

The checks are the last line against header and reply injection: what a daemon
wants written is either safe as it stands or not written at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from milters import mfdef, protocol
from milters.handler import Change, DeleteHeader, Disposition, InsertHeader, ReplaceHeader, Verdict

_FIELD_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]+")  # RFC 5322 §2.2
_ENHANCED_CODE = re.compile(r"([245])\.\d{1,3}\.\d{1,3}")  # RFC 3463 §2
_REPLY_TEXT = re.compile(r"[\x20-\x7e]*")
_MAX_REPLY = 980  # libmilter's MAXREPLYLEN
_MAX_POSITION = 2**31 - 1
_MAX_FIELD = mfdef.MILTER_MAX_DATA_SIZE - 16


class Outcome(NamedTuple):
    """What is done with a message.

    ``changes`` are in the order in which they are made. ``quarantine`` is the
    reason for the hold queue, or None. ``reply`` is the SMTP reply, or "" for
    the MTA's own. ``left_out`` has the SMFIF_* bits that the verdict asked for
    and the MTA does not grant.
    """

    disposition: Disposition
    changes: Sequence[Change] = ()
    quarantine: str | None = None
    reply: str = ""
    left_out: int = 0


ACCEPTED = Outcome(Disposition.ACCEPT)
TEMPFAILED = Outcome(Disposition.TEMPFAIL)

_FINAL = {
    Disposition.ACCEPT: protocol.ACCEPT,
    Disposition.QUARANTINE: protocol.ACCEPT,
    Disposition.DISCARD: protocol.DISCARD,
    Disposition.TEMPFAIL: protocol.TEMPFAIL,
    Disposition.REJECT: protocol.REJECT,
}


def settle(verdict: Verdict, granted: int) -> Outcome:
    """What *verdict* comes to where the MTA grants the SMFIF_* bits *granted*.

    Raises ValueError for a change or reply that must not go out: the daemon is
    at fault, and none of the verdict can be relied on.
    """
    disposition = verdict.disposition
    if disposition in (Disposition.REJECT, Disposition.TEMPFAIL):
        return Outcome(disposition, reply=_reply_line(verdict))
    left_out = 0
    changes: list[Change] = []
    insertions: list[Change] = []
    for change in verdict.changes:
        _check(change)
        needed = mfdef.SMFIF_ADDHDRS if isinstance(change, InsertHeader) else mfdef.SMFIF_CHGHDRS
        if not granted & needed:
            left_out |= needed
        elif needed == mfdef.SMFIF_ADDHDRS:
            insertions.append(change)
        else:
            changes.append(change)
    if changes:
        # From the highest instance down: each deletion renumbers those below it.
        changes.sort(key=_index, reverse=True)
        changes += insertions
    else:
        changes = insertions
    quarantine = None
    if disposition is Disposition.QUARANTINE:
        if granted & mfdef.SMFIF_QUARANTINE:
            quarantine = _quarantine_reason(verdict.reason)
        else:
            left_out |= mfdef.SMFIF_QUARANTINE
    return Outcome(disposition, changes, quarantine, "", left_out)


def encode(outcome: Outcome, leading_space: bool) -> bytes:
    """The packets for *outcome*. *leading_space*: whether values carry the space behind the colon."""
    final = _FINAL[outcome.disposition]
    if outcome.reply:
        return protocol.write_replycode(outcome.reply.encode("ascii"))
    if not outcome.changes and outcome.quarantine is None:
        return final
    space = b" " if leading_space else b""
    packets = []
    for change in outcome.changes:
        if isinstance(change, InsertHeader):
            packets.append(protocol.write_insheader(change.position, change.name, space + change.value))
        elif isinstance(change, ReplaceHeader):
            # An empty value would delete the field.
            value = space + change.value or b" "
            packets.append(protocol.write_chgheader(change.index, change.name, value))
        else:
            packets.append(protocol.write_chgheader(change.index, change.name, b""))
    if outcome.quarantine is not None:
        packets.append(protocol.write_quarantine(outcome.quarantine.encode("ascii")))
    packets.append(final)
    return b"".join(packets)


def _index(change: Change) -> int:
    return 0 if isinstance(change, InsertHeader) else change.index


@lru_cache(maxsize=64)
def _is_field_name(name: bytes) -> bool:
    return _FIELD_NAME.fullmatch(name) is not None


def _is_unsafe(value: bytes) -> bool:
    """Whether *value* holds NUL or CR, or a line end that is no fold."""
    return (
        (b"\n" in value and value.count(b"\n") != value.count(b"\n\t") + value.count(b"\n "))
        or b"\0" in value
        or b"\r" in value
    )


def _check(change: Change) -> None:
    """Refuse what could end up as another header field, or as none."""
    if not _is_field_name(change.name):
        raise ValueError(f"header field name {change.name!r}")
    if isinstance(change, DeleteHeader):
        number, lowest = change.index, 1
    else:
        if _is_unsafe(change.value):
            raise ValueError(f"value of {change.name.decode()} would not stay one header field")
        if len(change.name) + len(change.value) > _MAX_FIELD:
            raise ValueError(f"value of {change.name.decode()} has {len(change.value)} octets")
        if isinstance(change, InsertHeader):
            number, lowest = change.position, 0
        else:
            number, lowest = change.index, 1
    if not lowest <= number <= _MAX_POSITION:
        raise ValueError(f"{change.name.decode()} at position {number}")


def _reply_line(verdict: Verdict) -> str:
    """The SMTP reply of a refusal, checked; "" where the daemon leaves it to the MTA."""
    reply = verdict.reply
    if reply is None:
        return ""
    lowest = 500 if verdict.disposition is Disposition.REJECT else 400
    if not lowest <= reply.code < lowest + 100:
        raise ValueError(f"reply code {reply.code} for {verdict.disposition.value}")
    match = _ENHANCED_CODE.fullmatch(reply.enhanced)
    if not match or int(match[1]) != reply.code // 100:
        raise ValueError(f"enhanced status code {reply.enhanced!r} with {reply.code}")
    if not _REPLY_TEXT.fullmatch(reply.text) or len(reply.text) > _MAX_REPLY:
        raise ValueError("reply text that is not one line of printable ASCII")
    return f"{reply.code} {reply.enhanced} {reply.text}"


def _quarantine_reason(reason: str) -> str:
    """The reason as one line of printable ASCII. It is for the operator's eyes alone, so it is bent, not refused."""
    text = "".join(char if " " <= char <= "~" else "?" for char in reason[:_MAX_REPLY])
    return text or "quarantined"
