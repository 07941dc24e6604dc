"""What an MTA sends and what it waits for, once the negotiation is over: one row a command."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from milters import mfdef

_RULES = {
    mfdef.SMFIC_CONNECT: (mfdef.SMFIP_NOCONNECT, mfdef.SMFIP_NR_CONN),
    mfdef.SMFIC_HELO: (mfdef.SMFIP_NOHELO, mfdef.SMFIP_NR_HELO),
    mfdef.SMFIC_MAIL: (mfdef.SMFIP_NOMAIL, mfdef.SMFIP_NR_MAIL),
    mfdef.SMFIC_RCPT: (mfdef.SMFIP_NORCPT, mfdef.SMFIP_NR_RCPT),
    mfdef.SMFIC_DATA: (mfdef.SMFIP_NODATA, mfdef.SMFIP_NR_DATA),
    mfdef.SMFIC_HEADER: (mfdef.SMFIP_NOHDRS, mfdef.SMFIP_NR_HDR),
    mfdef.SMFIC_EOH: (mfdef.SMFIP_NOEOH, mfdef.SMFIP_NR_EOH),
    mfdef.SMFIC_BODY: (mfdef.SMFIP_NOBODY, mfdef.SMFIP_NR_BODY),
    mfdef.SMFIC_UNKNOWN: (mfdef.SMFIP_NOUNKNOWN, mfdef.SMFIP_NR_UNKN),
    mfdef.SMFIC_BODYEOB: (0, 0),
    mfdef.SMFIC_OPTNEG: (0, 0),
}
_STAGES = {
    mfdef.SMFIM_CONNECT: mfdef.SMFIC_CONNECT,
    mfdef.SMFIM_HELO: mfdef.SMFIC_HELO,
    mfdef.SMFIM_ENVFROM: mfdef.SMFIC_MAIL,
    mfdef.SMFIM_ENVRCPT: mfdef.SMFIC_RCPT,
    mfdef.SMFIM_DATA: mfdef.SMFIC_DATA,
    mfdef.SMFIM_EOH: mfdef.SMFIC_EOH,
    mfdef.SMFIM_EOM: mfdef.SMFIC_BODYEOB,
}
_NUMBERS = struct.Struct("!III")
_NUMBER = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Manners:
    """What the daemon answered to the offer: ``steps`` (SMFIP_*), and the macros it asks for by command.

    Before that, everything is sent and everything is answered.
    """

    steps: int = 0
    macros: Mapping[int, frozenset[bytes]] = field(default_factory=dict)

    @classmethod
    def agreed(cls, payload: bytes) -> Manners:
        """From the daemon's SMFIC_OPTNEG. What is cut short is read as far as it goes."""
        if len(payload) < _NUMBERS.size:
            return cls()
        _, _, steps = _NUMBERS.unpack_from(payload)
        macros = {}
        rest = payload[_NUMBERS.size :]
        while len(rest) > _NUMBER.size:
            (stage,) = _NUMBER.unpack_from(rest)
            names, _, rest = rest[_NUMBER.size :].partition(b"\0")
            if stage in _STAGES:
                macros[_STAGES[stage]] = frozenset(name.strip(b"{}") for name in names.split())
        return cls(steps, macros)

    @property
    def leading_space(self) -> bool:
        """Whether header values come with all that stands behind the colon."""
        return bool(self.steps & mfdef.SMFIP_HDR_LEADSPC)

    def sends(self, command: int) -> bool:
        """Whether the MTA sends this command at all."""
        leave_out, _ = _RULES.get(command, (0, 0))
        return not self.steps & leave_out

    def awaits(self, command: int) -> bool:
        """Whether the MTA waits for an answer to this command."""
        if command not in _RULES:
            return False
        _, no_reply = _RULES[command]
        return not self.steps & no_reply

    def left_out_beyond(self, other: Manners) -> int:
        """The SMFIP_NO* bits of steps that are left out here, and sent under *other*."""
        return sum(leave_out for leave_out, _ in _RULES.values() if self.steps & leave_out & ~other.steps)

    def wanted_macros(self, payload: bytes) -> bytes:
        """Those macros of a SMFIC_MACRO that the daemon asks for; "" where none is left."""
        wanted = self.macros.get(payload[0]) if payload else None
        words = payload[1:].split(b"\0")
        if wanted is None or len(words) % 2 == 0:
            return payload
        kept = [
            name + b"\0" + value + b"\0"
            for name, value in zip(words[:-1:2], words[1::2], strict=True)
            if name.strip(b"{}") in wanted
        ]
        return payload[:1] + b"".join(kept) if kept else b""
