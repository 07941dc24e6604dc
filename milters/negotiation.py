"""What MTA and milter agree on when a connection opens. A pure function of the offer and the daemon's needs.

Steps that the daemon does not need are not sent; those it needs are sent
without waiting for replies, so that Postfix can put a whole message into two
writes.
"""

from __future__ import annotations

from dataclasses import dataclass

from milters import mfdef
from milters.handler import Needs, Step
from milters.mfdef import SMFI_OLDEST_VERSION, SMFI_PROT_VERSION
from milters.protocol import CONTINUE, ProtocolError, write_agreement

_STEPS = (
    (Step.CONNECT, mfdef.SMFIC_CONNECT, mfdef.SMFIP_NOCONNECT, mfdef.SMFIP_NR_CONN),
    (Step.HELO, mfdef.SMFIC_HELO, mfdef.SMFIP_NOHELO, mfdef.SMFIP_NR_HELO),
    (Step.MAIL, mfdef.SMFIC_MAIL, mfdef.SMFIP_NOMAIL, mfdef.SMFIP_NR_MAIL),
    (Step.RCPT, mfdef.SMFIC_RCPT, mfdef.SMFIP_NORCPT, mfdef.SMFIP_NR_RCPT),
    (Step.HEADERS, mfdef.SMFIC_HEADER, mfdef.SMFIP_NOHDRS, mfdef.SMFIP_NR_HDR),
    (Step.HEADERS, mfdef.SMFIC_EOH, mfdef.SMFIP_NOEOH, mfdef.SMFIP_NR_EOH),
    (Step.BODY, mfdef.SMFIC_BODY, mfdef.SMFIP_NOBODY, mfdef.SMFIP_NR_BODY),
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a connection is spoken.

    ``actions`` are the SMFIF_* bits granted, ``steps`` the SMFIP_* bits in
    force, ``macros`` the names asked for by stage (SMFIM_*), separated by
    spaces. ``replies`` is what answers a step that was taken without
    incident, by command; nothing where the MTA awaits no reply.
    """

    version: int
    actions: int
    steps: int
    macros: dict[int, str]
    replies: dict[int, bytes]

    @property
    def leading_space(self) -> bool:
        """Whether header values carry the space behind the colon, in both directions."""
        return bool(self.steps & mfdef.SMFIP_HDR_LEADSPC)

    @property
    def may_skip(self) -> bool:
        """Whether a body chunk may be answered with "no more of this"."""
        return bool(self.steps & mfdef.SMFIP_SKIP)

    def answer(self) -> bytes:
        """The packet that tells the MTA."""
        return write_agreement(self.version, self.actions, self.steps, self.macros)


def wanted_actions(needs: Needs) -> int:
    """The SMFIF_* bits a daemon asks for."""
    actions = mfdef.SMFIF_ADDHDRS
    if needs.changes_headers:
        actions |= mfdef.SMFIF_CHGHDRS
    if needs.quarantines:
        actions |= mfdef.SMFIF_QUARANTINE
    if any(needs.macros.values()):
        actions |= mfdef.SMFIF_SETSYMLIST
    return actions


def wanted_steps(needs: Needs, offered: int) -> int:
    """The SMFIP_* bits a daemon asks for, of those *offered*."""
    wanted = mfdef.SMFIP_HDR_LEADSPC | mfdef.SMFIP_NOUNKNOWN | mfdef.SMFIP_NR_UNKN
    # DATA brings nothing but its macros.
    wanted |= mfdef.SMFIP_NR_DATA if needs.macros.get("data") else mfdef.SMFIP_NODATA
    for step, _, leave_out, no_reply in _STEPS:
        wanted |= no_reply if step in needs.steps else leave_out
    if needs.skips_body and Step.BODY in needs.steps and offered & mfdef.SMFIP_SKIP:
        wanted |= mfdef.SMFIP_SKIP
        wanted &= ~mfdef.SMFIP_NR_BODY
    return wanted & offered


def macro_names(needs: Needs) -> frozenset[str]:
    """The macros a daemon reads, at whatever stage, by bare name."""
    return frozenset(name.strip("{}") for names in needs.macros.values() for name in names)


def braced(name: str) -> str:
    """A macro's name as the protocol has it: one letter bare, longer ones in braces."""
    name = name.strip("{}")
    return name if len(name) == 1 else f"{{{name}}}"


def macro_lists(needs: Needs) -> dict[int, str]:
    """The macros a daemon asks for, by stage (SMFIM_*)."""
    return {
        mfdef.STAGES[stage]: " ".join(map(braced, names)) for stage, names in needs.macros.items() if names
    }


def negotiate(version: int, actions: int, steps: int, needs: Needs) -> Agreement:
    """What comes of the MTA's offer.

    Raises ProtocolError for a version that is too old. What the MTA does not
    offer is not asked for: the milter then answers where no answer is needed,
    and leaves out the actions it was not granted.
    """
    if version < SMFI_OLDEST_VERSION:
        raise ProtocolError(f"milter protocol version {version}")
    granted = wanted_actions(needs) & actions
    agreed = wanted_steps(needs, steps)
    replies = {command: b"" if agreed & no_reply else CONTINUE for _, command, _, no_reply in _STEPS}
    replies[mfdef.SMFIC_DATA] = b"" if agreed & mfdef.SMFIP_NR_DATA else CONTINUE
    replies[mfdef.SMFIC_UNKNOWN] = b"" if agreed & mfdef.SMFIP_NR_UNKN else CONTINUE
    return Agreement(
        version=min(version, SMFI_PROT_VERSION),
        actions=granted,
        steps=agreed,
        macros=macro_lists(needs) if granted & mfdef.SMFIF_SETSYMLIST else {},
        replies=replies,
    )
